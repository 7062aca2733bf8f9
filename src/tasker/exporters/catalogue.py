"""The metrics of a manager: one table, for all exporters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tasker.core.reading import Reading
from tasker.metrics.histogram import Histogram

from .source import ManagerReader

BOUNDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the buckets of the histograms, in seconds."""
_PRIORITIES = ("high", "normal", "low")

Values = Iterable[tuple[str, float]]
"""A label's value and the number; "" for a metric without a label of its own."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge or a counter. ``label`` tells its numbers apart, besides the manager."""

    name: str
    """Words joined by dots."""
    help: str
    unit: str
    """As OpenTelemetry writes it."""
    read: Callable[[ManagerReader, Reading], Values]
    label: str = ""
    total: bool = False
    """Whether it is a counter."""


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram of seconds."""

    name: str
    help: str
    read: Callable[[Reading], Histogram]


def _one(read: Callable[[Reading], float]) -> Callable[[ManagerReader, Reading], Values]:
    return lambda _, reading: (("", read(reading)),)


def _replacements(_: ManagerReader, reading: Reading) -> Values:
    stats = reading.stats
    return (
        ("unhealthy", stats.replaced_workers),
        ("worn", stats.renewed_workers),
        ("lost", stats.lost_workers),
    )


GAUGES = (
    Metric("workers", "Workers, by state.", "{worker}", lambda _, r: r.workers.items(), "state"),
    Metric("workers.target", "Workers that there should be.", "{worker}", _one(lambda r: r.target)),
    Metric(
        "queue.tasks",
        "Tasks that wait to be started, by priority; retries are of high priority.",
        "{task}",
        lambda _, r: zip(_PRIORITIES, r.queued, strict=True),
        "priority",
    ),
    Metric("running.tasks", "Tasks that run.", "{task}", _one(lambda r: r.stats.running_tasks)),
    Metric(
        "failing.creations",
        "Rounds of creations in a row that failed; 0 if the last one succeeded.",
        "{creation}",
        _one(lambda r: r.stats.failing_creations),
    ),
    Metric("resources", "Resources that live.", "{resource}", _one(lambda r: r.stats.resources.alive)),
    Metric(
        "target.wait",
        "Seconds that tasks should wait at most (Config.target_wait).",
        "s",
        lambda source, _: (("", source.target_wait),),
    ),
)
COUNTERS = (
    Metric("accepted.tasks", "Tasks that were accepted.", "{task}", _one(lambda r: r.stats.accepted_tasks), total=True),
    Metric(
        "tasks",
        "Tasks that have ended, by outcome.",
        "{task}",
        lambda source, r: source.outcomes(r).items(),
        "outcome",
        total=True,
    ),
    Metric("retries", "Attempts after the first.", "{attempt}", _one(lambda r: r.retried), total=True),
    Metric("replacements", "Workers that were replaced, by reason.", "{worker}", _replacements, "reason", total=True),
    Metric(
        "creations",
        "Resources that were made.",
        "{creation}",
        _one(lambda r: r.stats.resources.created),
        total=True,
    ),
    Metric(
        "creation.failures",
        "Creations of resources that failed.",
        "{creation}",
        _one(lambda r: r.stats.failed_creations),
        total=True,
    ),
    Metric(
        "user.errors",
        "Errors raised by callbacks, hooks, the logger and the collector.",
        "{error}",
        _one(lambda r: r.stats.user_errors),
        total=True,
    ),
)
TIMES = (
    Times("task.wait", "From when a task was accepted to the start of its last attempt.", lambda r: r.waits),
    Times("task.execution", "The last attempt of a task.", lambda r: r.executions),
    Times("creation", "Creations of resources that succeeded.", lambda r: r.creations),
)
