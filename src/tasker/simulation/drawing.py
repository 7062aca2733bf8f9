"""How the plots of a report are drawn: as SVG for embedding into the page, whose colours (light or dark) they take; and the
axes and lines that several of them have."""

from __future__ import annotations

import importlib
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .figures import Figures
from .outcome import Sample
from .rules import OWN

COLOURS: dict[str, str] = {
    OWN: "#12a075",
    "base": "#8d99a6",
    "max": "#4c7fd6",
    "go": "#d9822b",
    "kpa": "#b565c9",
    "hpa": "#d15b6c",
}
"""The colour of each rule, readable on white and on black."""

DASHES: dict[str, Any] = {
    "base": (0, (6, 2)),
    "max": (0, (4, 4)),
    "go": (4, (4, 4)),
    "kpa": (0, (1, 1.5)),
    "hpa": (0, (6, 2, 1, 2)),
}
"""Of the other rules, whose lines are thin and lie on tasker's wide one: so equal lines are all seen."""

# Placeholders: matplotlib can't write CSS variables, so it draws in these colours, which `_svg` then replaces.
INK, LINE, FILLED = "#010203", "#040506", "#070809"
_VARIABLES = {INK: "var(--ink)", LINE: "var(--line)", FILLED: "var(--oracle)"}
_SIZE = (5.6, 3.1)
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tasker",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
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


def drawn(makers: Sequence[Callable[[Any], tuple[str, str]]]) -> list[Plot]:
    """Draws a plot with each of the makers, which get an axis and return title and caption. Raises ``MissingExtra`` without
    matplotlib."""
    using = load_matplotlib()
    plots = []
    for make in makers:
        with using.style(_STYLE):
            figure = using.figure(figsize=_SIZE, layout="constrained")
            title, caption = make(figure.add_subplot())
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


def line(axis: Any, figures: Figures, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
    """Draws the line of a rule."""
    own, dashes = figures.rule == OWN, DASHES.get(figures.rule, "solid")
    width, order = (3.0, 2) if own else (1.2, 3)
    axis.plot(x, y, color=COLOURS[figures.rule], linestyle=dashes, linewidth=width, zorder=order, **options)


def dot(axis: Any, place: int, figures: Figures, x: float, y: float) -> None:
    """Draws the ring of the rule at this place of the table, tasker's own filled. They grow, so that rules with the same figures
    can all be seen."""
    colour = COLOURS[figures.rule]
    face = "none" if place else colour
    axis.scatter(x, y, s=30 + 40 * place, facecolors=face, edgecolors=colour, linewidths=2, zorder=3)


def time_axis(axis: Any, duration: float) -> None:
    """Makes the horizontal axis one of time, in seconds."""
    axis.set_xlim(0, duration)
    axis.set_xlabel("time (s)")


def wait_axis(axis: Any, target: float) -> None:
    """Makes the vertical axis one of waits."""
    axis.axhline(target, color=INK, linewidth=0.8, linestyle="--", zorder=1)
    axis.set_yscale("symlog", linthresh=0.01)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, place: _duration(value))


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds <= 0:
        return f"{seconds:,.0f} s"
    return f"{seconds * 1e3:,.3g} ms"


# -- plots that every report has ---------------------------------------------------------------------------------------


def workers(axis: Any, compared: Sequence[Figures], duration: float, most: int) -> None:
    """The number of workers over time."""
    _samples(axis, compared, lambda sample: sample.alive)
    axis.set_ylim(0, most * 1.05)
    axis.set_ylabel("workers")
    time_axis(axis, duration)


def queue(axis: Any, compared: Sequence[Figures], duration: float) -> tuple[str, str]:
    """The length of the queue over time."""
    _samples(axis, compared, lambda sample: sample.queued)
    axis.set_yscale("symlog", linthresh=10)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    axis.set_ylabel("tasks that wait")
    time_axis(axis, duration)
    return "Queue", "The most at any tick of each stretch of time. From 10 on, the scale is logarithmic."


def waits_over_time(axis: Any, compared: Sequence[Figures], duration: float, target: float) -> tuple[str, str]:
    """The 99th percentile of the waits over time."""
    for figures in compared:
        line(axis, figures, *zip(*figures.over_time, strict=True))
    wait_axis(axis, target)
    axis.set_ylabel("wait, 99th percentile")
    time_axis(axis, duration)
    return (
        "Waits over time",
        "By the time of arrival. The dashed line is the target. Above 10 ms, the scale is logarithmic.",
    )


def percentiles(axis: Any, compared: Sequence[Figures], target: float) -> tuple[str, str]:
    """All percentiles, on a logarithmic scale of the rest: each tick leaves a tenth of the tasks of the one before."""
    for figures in compared:
        shares, waits = zip(*figures.curve, strict=True)
        line(axis, figures, [-math.log10(1 - share) for share in shares], waits)
    wait_axis(axis, target)
    axis.set_xlim(0, 3.5)
    axis.set_xticks([0, 0.301, 1, 2, 3], ["all", "p50", "p90", "p99", "p99.9"])
    axis.set_ylabel("wait")
    axis.set_xlabel("share of the tasks that wait at most so long")
    return "Waits", "How long tasks waited, over all. The dashed line is the target."


def _samples(axis: Any, compared: Sequence[Figures], value: Callable[[Sample], int]) -> None:
    for figures in compared:
        times = [sample.time for sample in figures.series]
        line(axis, figures, times, [value(sample) for sample in figures.series], drawstyle="steps-post")
