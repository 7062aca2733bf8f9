"""A point of a chart: what happened between two readings, and how things stood at the second."""

from __future__ import annotations

from math import nan

from tasker.metrics.histogram import Histogram

from .reading import PoolReading

COLUMNS = (
    *("arrivals", "completions", "failures", "retries"),  # a second
    *("urgent", "normal", "low", "running"),  # tasks, at the end of the step
    *("target", "base", "burst", "starting", "parked", "stuck", "lost"),  # workers, at its end; lost: since the start
    *("wait50", "wait95", "wait99", "run50", "run95", "run99"),  # seconds; NaN where no task has ended in the step
)
Point = tuple[float, ...]
"""The values of ``COLUMNS``."""
_SHARES = (0.50, 0.95, 0.99)


def point(before: PoolReading, after: PoolReading) -> Point:
    """Returns the values of ``COLUMNS`` for the time from one reading to the next."""
    seconds = max(after.at - before.at, 1e-9)
    stats, metrics, old = after.stats, after.metrics, before.metrics
    return (
        max(0, stats.accepted_tasks - before.stats.accepted_tasks) / seconds,
        max(0, metrics.total_tasks_completed - old.total_tasks_completed) / seconds,
        max(0, metrics.total_tasks_failed - old.total_tasks_failed) / seconds,
        max(0, metrics.total_tasks_retried - old.total_tasks_retried) / seconds,
        stats.priority_tasks,
        stats.queued_tasks - after.low,
        after.low,
        stats.running_tasks,
        after.target,
        stats.base_workers,
        stats.burst_workers,
        stats.starting_workers,
        stats.parked_workers,
        stats.stuck_workers,
        stats.lost_workers,
        *_percentiles(before.waits, after.waits),
        *_percentiles(before.executions, after.executions),
    )


def _percentiles(before: Histogram, after: Histogram) -> list[float]:
    """Returns p50, p95 and p99 of what was measured between two states of a histogram."""
    new = after.since(before)
    if new.count <= 0:
        return [nan, nan, nan]
    return [new.percentile(share) for share in _SHARES]
