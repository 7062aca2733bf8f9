"""The two plots of SCALING.md, workers over time and wait against cost, with a panel for each workload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import load
from tasker.simulation.comparison import FACTOR, Comparison
from tasker.simulation.oracle import downsampled
from tasker.simulation.rules import MAXIMUM, OWN, RULES

COLOURS = {OWN: "#12a075", "base": "#8d99a6", MAXIMUM: "#4c7fd6", "go": "#d9822b", "kpa": "#b565c9", "hpa": "#d15b6c"}
_INK, _AREA = "#333333", "#dfe9e4"
_COLUMNS = 2


def draw(folder: Path, comparisons: Sequence[Comparison]) -> None:
    """Draws both into the folder. Raises ``Missing`` without matplotlib."""
    matplotlib = load("matplotlib")
    figure_of = load("matplotlib.figure").Figure
    style = {"svg.hashsalt": "tasker", "svg.fonttype": "none", "font.size": 9, "axes.edgecolor": _INK}
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(style):
        _panels(figure_of, comparisons, _workers, folder / "scaling-workers.svg")
        _panels(figure_of, comparisons, _trade, folder / "scaling-trade.svg")


def _panels(
    figure_of: Any, comparisons: Sequence[Comparison], plot: Callable[[Any, Comparison], None], path: Path
) -> None:
    rows = -(-len(comparisons) // _COLUMNS)
    figure = figure_of(figsize=(9, 0.5 + 2.1 * rows), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).flatten()
    for axis, comparison in zip(axes, comparisons, strict=False):
        plot(axis, comparison)
        axis.set_title(comparison.workload.name, loc="left", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[len(comparisons) :]:
        axis.set_visible(False)
    handles, labels = next(iter(figure.axes)).get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9)
    figure.savefig(path, format="svg", metadata={"Date": None})


def _workers(axis: Any, comparison: Comparison) -> None:
    axis.fill_between(
        *zip(*downsampled(comparison.bound.workers, 400), strict=True),
        step="post",
        color=_AREA,
        linewidth=0,
        label="oracle",
    )
    for figures in comparison.figures:
        if figures.rule in ("kpa", OWN):
            times = [sample.time for sample in figures.series]
            alive = [sample.alive for sample in figures.series]
            axis.step(
                times,
                alive,
                where="post",
                color=COLOURS[figures.rule],
                linewidth=1.0,
                label=RULES[figures.rule].title,
                zorder=3 if figures.rule == OWN else 2,
            )
    axis.set_xlim(0, comparison.workload.duration)
    axis.set_ylim(0, comparison.pool.max_worker_count * 1.05)
    axis.set_xlabel("time (s)", fontsize=8)
    axis.set_ylabel("workers", fontsize=8)


def _trade(axis: Any, comparison: Comparison) -> None:
    for figures in comparison.figures:
        cost, wait = comparison.cost(figures), max(figures.p99, 1e-3)
        own = figures.rule in (OWN, MAXIMUM)
        colour = COLOURS[figures.rule]
        axis.scatter(cost, wait, s=40, facecolors=colour if own else "none", edgecolors=colour, linewidths=1.6, zorder=3,
                     label=RULES[figures.rule].title)  # fmt: skip
    axis.axvspan(0, FACTOR, ymax=1, color=_AREA, linewidth=0, zorder=1)
    axis.axhline(comparison.allowed_wait, color=_INK, linewidth=0.8, linestyle="--", zorder=2)
    axis.set_yscale("log")
    axis.set_xlim(left=0)
    axis.set_xlabel("worker-seconds / oracle's", fontsize=8)
    axis.set_ylabel("p99 wait (s)", fontsize=8)
