"""The books are read while tasks come, start and end all the time, so that no reading is undisturbed."""

from __future__ import annotations

from typing import Any

from tasker.core.counters import Counters


class Arriving:
    """Numbers of which one is taken at each look, by a task that is cancelled in the queue at once."""

    def __init__(self, counters: Counters) -> None:
        self.counters, self.taken = counters, 0

    def value(self) -> int:
        self.taken += 1
        self.counters.note("ended_in_queue", "cancelled_in_queue")
        return self.taken


class Busy(Arriving):
    """The same, and a worker starts and ends a task at each look."""

    def value(self) -> int:
        shard = self.counters.shard(0)
        shard.taken += 1
        shard.done += 1
        self.taken += 1
        return super().value()


def reading(numbers: Any) -> tuple[int, int, int, int]:
    """Queued, running, done and accepted, read against such a load."""
    counters = Counters()
    counters.shard(0)
    counters.numbers = numbers(counters)
    flow = counters.flow()
    return flow.queued, flow.running, flow.done, flow.accepted


def test_tasks_that_end_in_the_queue_at_each_look() -> None:
    """None of them is counted as ended without being counted as accepted: the one of the last look is queued."""
    queued, running, done, accepted = reading(Arriving)
    assert (queued, running) == (1, 0)
    assert queued + running + done == accepted


def test_tasks_that_run_and_tasks_that_end_in_the_queue_at_each_look() -> None:
    """No number is negative, and the three add up, although no two looks agree."""
    queued, running, done, accepted = reading(Busy)
    assert min(queued, running, done) >= 0
    assert queued + running + done == accepted
