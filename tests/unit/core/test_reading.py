"""A reading for an exporter: outcomes that exclude each other, the queue by priority, workers by state."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.control.workers import WorkerState
from tasker.core.reading import reading_of
from tasker.metrics.protocol import TaskLifecycleTimestamps
from unit.core.test_report import Figures, some_view

STAMPS = TaskLifecycleTimestamps(0.0, 1.0, 3.0)


class Read(Figures):
    """Figures with a queue."""

    levels: Any = ((), (), ())

    def read(self) -> Any:
        """The reading."""
        return reading_of(self, self.stats())  # type: ignore[arg-type]


def test_nothing_yet() -> None:
    """All is zero, and each state and outcome is named."""
    reading = Read().read()
    assert reading.workers == {"starting": 0, "ready": 0, "parked": 0, "ending": 0, "stuck": 0}
    assert reading.outcomes == {"completed": 0, "failed": 0, "timed_out": 0, "quarantined": 0, "cancelled": 0}
    assert (reading.queued, reading.retried, reading.target) == ((0, 0, 0), 0, 0)


def test_workers_and_target() -> None:
    """Workers are counted by their state."""
    figures = Read(WorkerState.READY, WorkerState.READY, WorkerState.STUCK)
    figures.view = some_view(target=2)
    reading = figures.read()
    assert (reading.workers["ready"], reading.workers["stuck"], reading.target) == (2, 1, 2)


def test_each_outcome_counts_once() -> None:
    """What ended in the queue and what a worker has ended, each under one kind."""
    figures = Read().tasks(accepted=12, taken=8, done=4)
    shard = figures.counters.shard(1)
    for cancelled, timed_out in ((False, False), (False, False), (False, True), (True, False)):
        shard.failed(STAMPS, cancelled=cancelled, timed_out=timed_out)
    counters = figures.counters
    counters.ended_in_queue, counters.cancelled_in_queue, counters.timed_out_in_queue = 3, 1, 1
    counters.quarantined, counters.retried = 1, 5
    counters.creation_times.add(0.5)
    reading = figures.read()
    assert reading.outcomes == {"completed": 4, "failed": 2, "timed_out": 2, "quarantined": 1, "cancelled": 2}
    assert sum(reading.outcomes.values()) == reading.stats.done_tasks
    assert (reading.retried, reading.creations.count, reading.executions.count, reading.waits.total) == (5, 1, 3, 3.0)


@pytest.mark.parametrize(
    ("levels", "queued"),
    [
        ((1, 2, 3), (1, 2, 3)),
        ((0, 2, 3), (1, 2, 3)),  # a retry waits for its time
        ((1, 9, 3), (0, 6, 0)),  # some of these were cancelled
        ((1, 2, 9), (0, 2, 4)),
    ],
)
def test_the_queue_by_priority(levels: tuple[int, ...], queued: tuple[int, ...]) -> None:
    """The priorities add up to the queued tasks, whatever else is in the levels."""
    figures = Read().tasks(accepted=9, taken=3, done=3)
    figures.levels = tuple(range(count) for count in levels)
    assert figures.read().queued == queued
