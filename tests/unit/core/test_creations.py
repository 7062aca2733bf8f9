"""How long creations took: counted in batches, exact at every moment."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from tasker.core.counters import Counters
from tasker.core.creations import CreationTimes
from tasker.metrics.histogram import Histogram
from tasker.metrics.meter import BATCH


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 7])
def test_each_counts_once(count: int) -> None:
    """Whether it is in the histogram yet or not, and however often one asks."""
    times = CreationTimes()
    for _ in range(count):
        times.add(0.5)
    for _ in range(2):
        histogram = times.histogram()
        assert (histogram.count, histogram.total) == (count, count * 0.5)


def test_what_is_returned_is_a_copy() -> None:
    """Adding to it changes nothing here."""
    times = CreationTimes()
    times.add(1.0)
    times.histogram().add_all([2.0])
    assert times.histogram().count == 1


def test_a_signal_handler_that_makes_a_resource_meanwhile(monkeypatch: Any) -> None:
    """One that strikes while a batch is entered loses nothing, and enters nothing twice."""
    times, add_all, struck = CreationTimes(), Histogram.add_all, []

    def interrupted(histogram: Histogram, values: list[float]) -> None:
        if not struck:
            struck.append(True)
            for _ in range(2 * BATCH):
                times.add(2.0)
        add_all(histogram, values)

    monkeypatch.setattr(Histogram, "add_all", interrupted)
    for _ in range(BATCH):
        times.add(1.0)
    histogram = times.histogram()
    assert (histogram.count, histogram.total) == (3 * BATCH, 5.0 * BATCH)


class Growing(deque[float]):
    """A deque that another thread appends to whenever it is looked through, as can happen without the GIL."""

    def __iter__(self) -> Any:
        raise RuntimeError("deque mutated during iteration")

    def copy(self) -> Any:
        return iter(self)


def test_another_thread_that_makes_a_resource_meanwhile() -> None:
    """The numbers can be asked for at any moment."""
    times = CreationTimes()
    times._lately = Growing()
    times.add(0.5)
    assert times.histogram().count == 1


def test_a_forked_child_has_a_lock_of_its_own() -> None:
    """The lock may have been held by a thread that the child does not have."""
    counters = Counters()
    before = counters.creation_times._lock
    counters.renew_locks()
    assert counters.creation_times._lock is not before
    counters.creation_times.add(1.0)
    assert counters.creation_times.histogram().count == 1
