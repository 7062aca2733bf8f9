"""One reading of a manager for an exporter: all of its numbers and histograms, taken together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tasker.control.workers import WorkerState
from tasker.core.ports import MetricsPort, ReportPort
from tasker.core.report import meter_of
from tasker.metrics.histogram import Histogram
from tasker.metrics.meter import Meter
from tasker.stats import TaskStats


class ReadingPort(ReportPort, MetricsPort, Protocol):
    """What a reading is made of."""

    @property
    def levels(self) -> Sequence[Sequence[Any]]:
        """The levels of the queue, most urgent first."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of one manager. Totals count from its start."""

    stats: TaskStats = field(default_factory=TaskStats)
    target: int = 0
    """How many workers there should be."""
    workers: Mapping[str, int] = field(default_factory=dict)
    """By state."""
    queued: tuple[int, int, int] = (0, 0, 0)
    """By priority: high (with all retries), normal, low."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """By kind, which exclude each other. They are counted while workers go on, so the completed ones may be fewer by
    as many as end meanwhile, and so fewer than in the last reading."""
    retried: int = 0
    executions: Histogram = field(default_factory=Histogram)
    waits: Histogram = field(default_factory=Histogram)
    creations: Histogram = field(default_factory=Histogram)


def reading_of(engine: ReadingPort, stats: TaskStats) -> Reading:
    """Returns the numbers of this moment; ``stats``: those of just before. Costs O(workers)."""
    counters = engine.counters
    with counters.lock:
        done = counters.flow().done
        failed, cancelled = counters.ended_in_queue - counters.cancelled_in_queue, counters.cancelled_in_queue
        timed_out, quarantined, retried = counters.timed_out_in_queue, counters.quarantined, counters.retried
    # After `done`, so that a task that has failed meanwhile does not count as completed.
    total = meter_of(engine)
    outcomes = _outcomes(total, done, cancelled=cancelled, failed=failed, timed_out=timed_out, quarantined=quarantined)
    states = Counter(worker.state.value for worker in list(engine.workers.values()))
    return Reading(
        stats=stats,
        target=engine.view.target,
        workers={state.value: states[state.value] for state in WorkerState},
        queued=by_priority(engine.levels, stats),
        outcomes=outcomes,
        retried=retried,
        executions=total.executions,
        waits=total.waits,
        creations=counters.creation_times.histogram(),
    )


def _outcomes(
    total: Meter, done: int, *, cancelled: int, failed: int, timed_out: int, quarantined: int
) -> dict[str, int]:
    """The arguments after ``done`` count what ended in the queue, and so is in no meter; ``quarantined`` all of them."""
    cancelled, failed = total.cancelled + cancelled, total.failed + failed
    timed_out += total.timed_out
    return {
        "completed": max(0, done - failed - cancelled),
        "failed": max(0, failed - timed_out - quarantined),
        "timed_out": timed_out,
        "quarantined": quarantined,
        "cancelled": cancelled,
    }


def by_priority(levels: Sequence[Sequence[Any]], stats: TaskStats) -> tuple[int, int, int]:
    """Shares out the queued tasks as ``Reading.queued`` has them. The levels know more, such as some that are cancelled, and less:
    a retry that has to wait for its time, and goes to the most urgent level then."""
    waiting = stats.queued_tasks + stats.priority_tasks
    normal = min(len(levels[1]), waiting)
    low = min(len(levels[2]), waiting - normal)
    return waiting - normal - low, normal, low
