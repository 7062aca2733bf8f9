"""Frame: all that a live view draws of a manager, at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan, nan
from time import monotonic

from tasker.control import notices as say
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import TaskStats, WorkerStatus

from .history import Recorder
from .telling import Notable
from .watch import PoolWatch, State

MOST_ROWS = 50
"""Failures, decisions and events: more than a screen takes."""
LONGEST_LINE = 120
"""Steps in a line of durations."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long tasks took, in the last steps of a second. Immutable. Seconds; NaN where no task has ended."""

    p50: float = nan
    p95: float = nan
    """Both of the last step in which a task has ended."""
    line: tuple[float, ...] = ()
    """p95 of each step, the oldest first."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Tasks a second, in the last step. Immutable."""

    arrivals: float
    completions: float
    failures: float


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures with one type and first line. Immutable."""

    type: str
    message: str
    count: int
    retried: int
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """See the module's docstring. Immutable. Moments are in ``time.monotonic`` seconds; what was last comes first."""

    at: float
    name: str
    state: State
    stats: TaskStats = field(default_factory=TaskStats)
    totals: TaskMetrics = field(default_factory=TaskMetrics)
    least: int = 0
    most: int = 0
    target: int = 0
    rates: Rates | None = None
    """None during the first second."""
    waits: Durations = Durations()
    executions: Durations = Durations()
    workers: tuple[WorkerStatus, ...] = ()
    failures: tuple[FailureGroup, ...] = ()
    decisions: tuple[say.Scaled, ...] = ()
    notables: tuple[Notable, ...] = ()
    dropped: int = 0


def frame_of(watch: PoolWatch, *, arguments: bool = False) -> Frame:
    """Returns what is known since the last ``sample``. ``arguments``: with those of running tasks. Costs O(workers)."""
    manager, fine = watch.manager, watch.history.fine
    bounds = manager.explain()
    return Frame(
        at=monotonic(),
        name=manager.name,
        state=watch.state,
        stats=watch.last.stats,
        totals=watch.last.metrics,
        least=bounds.worker_count,
        most=bounds.max_worker_count,
        target=bounds.target,
        rates=_rates(fine),
        waits=_durations(fine, "wait"),
        executions=_durations(fine, "run"),
        workers=manager.workers(arguments=arguments),
        failures=tuple(
            FailureGroup(one.type, one.message, one.count, one.retried, one.last)
            for one in watch.failures.groups()[:MOST_ROWS]
        ),
        decisions=tuple(reversed(watch.decisions))[:MOST_ROWS],
        notables=tuple(reversed(watch.notables))[:MOST_ROWS],
        dropped=watch.dropped,
    )


def _rates(recorder: Recorder) -> Rates | None:
    if not len(recorder):
        return None
    return Rates(*(recorder.tail(name, 1)[0] for name in ("arrivals", "completions", "failures")))


def _durations(recorder: Recorder, what: str) -> Durations:
    middle, line = recorder.tail(f"{what}50", LONGEST_LINE), recorder.tail(f"{what}95", LONGEST_LINE)
    known = [(p50, p95) for p50, p95 in zip(middle, line, strict=True) if not isnan(p95)]
    return Durations(*(known[-1] if known else (nan, nan)), tuple(line))
