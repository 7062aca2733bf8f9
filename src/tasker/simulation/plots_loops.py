"""The plots of a comparison on clients that wait for their answers: what is done over time, workers, queue and waits."""

from __future__ import annotations

import functools
from typing import Any

from . import drawing
from .comparison import FACTOR
from .drawing import FILLED, Plot, drawn
from .loops import ENOUGH, LoopComparison


def draw(comparison: LoopComparison) -> list[Plot]:
    """Draws all plots of a comparison. Raises ``MissingExtra`` without matplotlib."""
    makers = (_throughput, _workers, _queue, _waits, _percentiles, _trade)
    return drawn([functools.partial(make, comparison) for make in makers])


def _throughput(comparison: LoopComparison, axis: Any) -> tuple[str, str]:
    for figures in comparison.figures:
        drawing.line(axis, figures, *zip(*figures.rates, strict=True))
    axis.set_ylim(bottom=0)
    axis.set_ylabel("tasks/s")
    axis.yaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    drawing.time_axis(axis, comparison.load.duration)
    return "Throughput", "Tasks that start in a second."


def _workers(comparison: LoopComparison, axis: Any) -> tuple[str, str]:
    drawing.workers(axis, comparison.figures, comparison.load.duration, comparison.pool.max_worker_count)
    return "Workers", "Those that start and end included."


def _queue(comparison: LoopComparison, axis: Any) -> tuple[str, str]:
    return drawing.queue(axis, comparison.figures, comparison.load.duration)


def _waits(comparison: LoopComparison, axis: Any) -> tuple[str, str]:
    return drawing.waits_over_time(axis, comparison.figures, comparison.load.duration, comparison.pool.target_wait)


def _percentiles(comparison: LoopComparison, axis: Any) -> tuple[str, str]:
    return drawing.percentiles(axis, comparison.figures, comparison.pool.target_wait)


def _trade(comparison: LoopComparison, axis: Any) -> tuple[str, str]:
    best = max(map(comparison.rate, comparison.figures))
    for place, figures in enumerate(comparison.figures):
        drawing.dot(axis, place, figures, comparison.cost(figures), comparison.rate(figures))
    axis.set_xlim(0, 1.15 * max(FACTOR, *map(comparison.cost, comparison.figures)))
    axis.set_ylim(0, 1.15 * best or 1.0)
    axis.fill_between([0, FACTOR], ENOUGH * best, 1.15 * best, color=FILLED, linewidth=0, zorder=1)
    axis.yaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    axis.set_xlabel("worker-seconds / those of the cheapest that does enough")
    axis.set_ylabel("tasks/s")
    return "Throughput against cost", "Upper left is better; the filled corner is good enough."
