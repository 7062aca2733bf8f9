"""The plots of a report, as SVG for embedding into the page, whose colours (light or dark) they take."""

from __future__ import annotations

import importlib
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .comparison import FACTOR, Comparison
from .figures import Figures
from .oracle import downsampled
from .outcome import Sample
from .rules import OWN, RULES

COLOURS: dict[str, str] = {
    OWN: "#12a075",
    "base": "#8d99a6",
    "max": "#4c7fd6",
    "go": "#d9822b",
    "kpa": "#b565c9",
    "hpa": "#d15b6c",
}
"""The colour of each rule, readable on white and on black."""

_DASHES: dict[str, Any] = {
    "base": (0, (6, 2)),
    "max": (0, (4, 4)),
    "go": (4, (4, 4)),
    "kpa": (0, (1, 1.5)),
    "hpa": (0, (6, 2, 1, 2)),
}
"""Of the other rules, whose lines are thin and lie on tasker's wide one: so equal lines are all seen."""

# Placeholders: matplotlib can't write CSS variables, so it draws in these colours, which `_svg` then replaces.
_INK, _LINE, _ORACLE = "#010203", "#040506", "#070809"
_VARIABLES = {_INK: "var(--ink)", _LINE: "var(--line)", _ORACLE: "var(--oracle)"}
_SIZE = (5.6, 3.1)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tasker",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.3,
}


class MissingExtra(Exception):
    """matplotlib is not installed."""


class Plot(NamedTuple):
    """A plot with its title and caption."""

    title: str
    caption: str
    svg: str


class Matplotlib(NamedTuple):
    """The parts of matplotlib that are used. Not ``pyplot``, which keeps global state."""

    figure: Callable[..., Any]
    canvas: Callable[[Any], Any]
    style: Callable[[dict[str, Any]], Any]


def load_matplotlib() -> Matplotlib:
    """Imports matplotlib. Raises ``MissingExtra`` if it is not installed."""
    try:
        return Matplotlib(
            importlib.import_module("matplotlib.figure").Figure,
            importlib.import_module("matplotlib.backends.backend_svg").FigureCanvasSVG,
            importlib.import_module("matplotlib").rc_context,
        )
    except ImportError as error:
        raise MissingExtra(
            f"the report is drawn with matplotlib: pip install tasker-pool[simulate] ({error})"
        ) from error


def draw(comparison: Comparison) -> list[Plot]:
    """Draws all plots of a comparison. Raises ``MissingExtra`` without matplotlib."""
    using = load_matplotlib()
    plots = []
    for make in (_workers, _queue, _waits, _percentiles, _cost, _trade):
        with using.style(_STYLE):
            figure = using.figure(figsize=_SIZE, layout="constrained")
            title, caption = make(figure.add_subplot(), comparison)
            plots.append(Plot(title, caption, _svg(using, figure, title)))
    return plots


def _svg(using: Matplotlib, figure: Any, title: str) -> str:
    file = io.StringIO()
    using.canvas(figure).print_svg(file, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    # Without a fixed size, it fills the width that the page gives it.
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', f'role="img" aria-label="{title}"', text, count=1)
    # The background of the figure: the page has its own.
    text = re.sub(r'<g id="patch_1">.*?</g>', "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = text.replace("fill: #ffffff", "fill: none")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text


# -- over time ---------------------------------------------------------------------------------------------------------


def _time_axis(axis: Any, comparison: Comparison) -> None:
    axis.set_xlim(0, comparison.workload.duration)
    axis.set_xlabel("time (s)")


def _line(axis: Any, figures: Figures, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
    own, dashes = figures.rule == OWN, _DASHES.get(figures.rule, "solid")
    width, order = (3.0, 2) if own else (1.2, 3)
    axis.plot(x, y, color=COLOURS[figures.rule], linestyle=dashes, linewidth=width, zorder=order, **options)


def _samples(axis: Any, comparison: Comparison, value: Callable[[Sample], int]) -> None:
    for figures in comparison.figures:
        times = [sample.time for sample in figures.series]
        _line(axis, figures, times, [value(sample) for sample in figures.series], drawstyle="steps-post")


def _workers(axis: Any, comparison: Comparison) -> tuple[str, str]:
    steps = downsampled(comparison.bound.workers, 600)
    axis.fill_between(*zip(*steps, strict=True), step="post", color=_ORACLE, linewidth=0, zorder=1)
    _samples(axis, comparison, lambda sample: sample.alive)
    axis.set_ylim(0, comparison.pool.max_worker_count * 1.05)
    axis.set_ylabel("workers")
    _time_axis(axis, comparison)
    return "Workers", "Those that start and end included. The filled area is what the oracle needs."


def _queue(axis: Any, comparison: Comparison) -> tuple[str, str]:
    _samples(axis, comparison, lambda sample: sample.queued)
    axis.set_yscale("symlog", linthresh=10)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    axis.set_ylabel("tasks that wait")
    _time_axis(axis, comparison)
    return "Queue", "The most at any tick of each stretch of time. From 10 on, the scale is logarithmic."


def _waits(axis: Any, comparison: Comparison) -> tuple[str, str]:
    for figures in comparison.figures:
        _line(axis, figures, *zip(*figures.over_time, strict=True))
    _wait_axis(axis, comparison)
    axis.set_ylabel("wait, 99th percentile")
    _time_axis(axis, comparison)
    return (
        "Waits over time",
        "By the time of arrival. The dashed line is the target. Above 10 ms, the scale is logarithmic.",
    )


def _wait_axis(axis: Any, comparison: Comparison) -> None:
    axis.axhline(comparison.pool.target_wait, color=_INK, linewidth=0.8, linestyle="--", zorder=1)
    axis.set_yscale("symlog", linthresh=0.01)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, place: _duration(value))


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds <= 0:
        return f"{seconds:,.0f} s"
    return f"{seconds * 1e3:,.3g} ms"


# -- over all ----------------------------------------------------------------------------------------------------------


def _percentiles(axis: Any, comparison: Comparison) -> tuple[str, str]:
    """On a logarithmic scale of the rest: each tick leaves a tenth of the tasks of the one before."""
    for figures in comparison.figures:
        shares, waits = zip(*figures.curve, strict=True)
        _line(axis, figures, [-math.log10(1 - share) for share in shares], waits)
    _wait_axis(axis, comparison)
    axis.set_xlim(0, 3.5)
    axis.set_xticks([0, 0.301, 1, 2, 3], ["all", "p50", "p90", "p99", "p99.9"])
    axis.set_ylabel("wait")
    axis.set_xlabel("share of the tasks that wait at most so long")
    return "Waits", "How long tasks waited, over all. The dashed line is the target."


def _cost(axis: Any, comparison: Comparison) -> tuple[str, str]:
    names = [RULES[figures.rule].title for figures in comparison.figures]
    spent = [figures.worker_seconds for figures in comparison.figures]
    axis.barh(names, spent, color=[COLOURS[figures.rule] for figures in comparison.figures], height=0.65, zorder=2)
    axis.axvline(comparison.bound.worker_seconds, color=_INK, linewidth=1.2, zorder=3)
    axis.axvline(comparison.bound.worker_seconds * FACTOR, color=_INK, linewidth=0.8, linestyle="--", zorder=3)
    for place, figures in enumerate(comparison.figures):
        axis.annotate(
            f"{comparison.cost(figures):.2f}x",
            (1, place),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=9,
            zorder=4,
        )
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlim(0, 1.2 * max(spent))
    axis.locator_params(axis="x", nbins=5)
    axis.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    axis.set_xlabel("worker-seconds")
    return "Cost", f"The line is the oracle, the dashed one {FACTOR:g} times that."


def _trade(axis: Any, comparison: Comparison) -> tuple[str, str]:
    right = 1.15 * max(FACTOR, *map(comparison.cost, comparison.figures))
    for place, figures in enumerate(comparison.figures):
        # Rings of growing size, so that rules with the same figures can all be seen.
        size, point = 30 + 40 * place, (comparison.cost(figures), figures.p99)
        colour = COLOURS[figures.rule]
        axis.scatter(*point, s=size, facecolors="none" if place else colour, edgecolors=colour, linewidths=2, zorder=3)
    axis.set_xlim(0, right)
    axis.fill_between([0, FACTOR], comparison.allowed_wait, color=_ORACLE, linewidth=0, zorder=1)
    _wait_axis(axis, comparison)
    axis.set_ylim(-0.003, 3 * max(comparison.allowed_wait, *(figures.p99 for figures in comparison.figures)))
    axis.set_xlabel("worker-seconds / oracle's")
    axis.set_ylabel("wait, 99th percentile")
    return "Wait against cost", "Lower left is better; the filled corner is good enough."
