"""The plots of a comparison: workers, queue and waits over time; waits and cost over all."""

from __future__ import annotations

import functools
from typing import Any

from . import drawing
from .comparison import FACTOR, Comparison
from .drawing import COLOURS, FILLED, INK, Plot, drawn
from .oracle import downsampled
from .rules import RULES


def draw(comparison: Comparison) -> list[Plot]:
    """Draws all plots of a comparison. Raises ``MissingExtra`` without matplotlib."""
    makers = (_workers, _queue, _waits, _percentiles, _cost, _trade)
    return drawn([functools.partial(make, comparison) for make in makers])


def _workers(comparison: Comparison, axis: Any) -> tuple[str, str]:
    steps = downsampled(comparison.bound.workers, 600)
    axis.fill_between(*zip(*steps, strict=True), step="post", color=FILLED, linewidth=0, zorder=1)
    drawing.workers(axis, comparison.figures, comparison.workload.duration, comparison.pool.max_worker_count)
    return "Workers", "Those that start and end included. The filled area is what the oracle needs."


def _queue(comparison: Comparison, axis: Any) -> tuple[str, str]:
    return drawing.queue(axis, comparison.figures, comparison.workload.duration)


def _waits(comparison: Comparison, axis: Any) -> tuple[str, str]:
    duration, target = comparison.workload.duration, comparison.pool.target_wait
    return drawing.waits_over_time(axis, comparison.figures, duration, target)


def _percentiles(comparison: Comparison, axis: Any) -> tuple[str, str]:
    return drawing.percentiles(axis, comparison.figures, comparison.pool.target_wait)


def _cost(comparison: Comparison, axis: Any) -> tuple[str, str]:
    names = [RULES[figures.rule].title for figures in comparison.figures]
    spent = [figures.worker_seconds for figures in comparison.figures]
    axis.barh(names, spent, color=[COLOURS[figures.rule] for figures in comparison.figures], height=0.65, zorder=2)
    axis.axvline(comparison.bound.worker_seconds, color=INK, linewidth=1.2, zorder=3)
    axis.axvline(comparison.bound.worker_seconds * FACTOR, color=INK, linewidth=0.8, linestyle="--", zorder=3)
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


def _trade(comparison: Comparison, axis: Any) -> tuple[str, str]:
    for place, figures in enumerate(comparison.figures):
        drawing.dot(axis, place, figures, comparison.cost(figures), figures.p99)
    axis.set_xlim(0, 1.15 * max(FACTOR, *map(comparison.cost, comparison.figures)))
    axis.fill_between([0, FACTOR], comparison.allowed_wait, color=FILLED, linewidth=0, zorder=1)
    drawing.wait_axis(axis, comparison.pool.target_wait)
    axis.set_ylim(-0.003, 3 * max(comparison.allowed_wait, *(figures.p99 for figures in comparison.figures)))
    axis.set_xlabel("worker-seconds / oracle's")
    axis.set_ylabel("wait, 99th percentile")
    return "Wait against cost", "Lower left is better; the filled corner is good enough."
