"""Readings of the counters that are disturbed each time: the least disturbed one is the answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from tasker.core.counters import _TRIES, Counters, Flow, Shard


class Restless:
    """A counter that is late: before each of its readings so many tasks as the script says are accepted and run."""

    def __init__(self, counters: Counters, *script: int) -> None:
        self._shard = counters.shard(1)
        self._script = list(script)
        self._value = 0
        self.readings = 0

    def __iter__(self) -> Any:
        raise AssertionError("a reader takes no number")

    def value(self) -> int:
        """The numbers that were given out."""
        moved = self._script.pop(0) if self._script else 0
        self.readings += 1
        self._value += moved
        self._shard.taken += moved
        self._shard.done += moved
        return self._value


def restless(*script: int) -> tuple[Counters, Restless]:
    """Counters with such a counter."""
    counters = Counters()
    counter = Restless(counters, *script)
    counters.numbers = counter  # type: ignore[assignment]
    return counters, counter


@pytest.mark.parametrize("calm", range(_TRIES))
def test_the_least_disturbed_reading_counts(calm: int) -> None:
    """Where not one reading is of one moment, the closest to one is the answer, whichever it was."""
    script = [50] * _TRIES
    script[calm] = 2
    counters, counter = restless(*script)
    assert counters.flow() == Flow(accepted=50 * calm + 2, queued=2, running=0, done=50 * calm)
    assert counter.readings == _TRIES


@pytest.mark.parametrize("disturbed", range(_TRIES))
def test_an_undisturbed_reading_counts_at_once(disturbed: int) -> None:
    """The first reading of one moment is the answer, after however many that were not."""
    counters, counter = restless(*[5] * disturbed)
    assert counters.flow() == Flow(accepted=5 * disturbed, queued=0, running=0, done=5 * disturbed)
    assert counter.readings == disturbed + 1


def test_notes_that_come_meanwhile_are_entered_and_the_reading_is_repeated() -> None:
    """What ended in the queue during a reading made room for tasks that the reading has: both count, or neither."""
    counters, counter = restless()
    counter._value = 1  # accepted, and about to be cancelled
    value = counter.value

    def noting() -> int:
        if counter.readings == 0:
            counters.note("ended_in_queue")
        return value()

    counter.value = noting  # type: ignore[method-assign]
    assert counters.flow() == Flow(accepted=1, queued=0, running=0, done=1)
    assert counter.readings == 2


class Looked(deque[Any]):
    """Has a signal handler that asks for the numbers come when it was found that there are notes."""

    def __init__(self, handler: Callable[[], object]) -> None:
        super().__init__()
        self.handlers = [handler]

    def __len__(self) -> int:
        length = super().__len__()
        if length and self.handlers:
            self.handlers.pop()()
        return length


def test_a_signal_handler_that_enters_the_notes_first() -> None:
    """Whoever was about to enter them finds none; each is entered once."""
    counters = Counters()
    notes = counters.notes = Looked(counters.flow)
    for _ in range(3):
        counters.note("retried")
    counters.flow()
    assert (counters.retried, notes.handlers) == (3, [])


class TakenAgain(Shard):
    """The numbers of a worker whose task goes back to the queue, and is taken again, before each reading of them."""

    counters: Counters

    @property
    def taken(self) -> int:  # type: ignore[override]
        """How many were taken: each time one more."""
        self.counters.note("sent_back")
        self._taken += 1
        return self._taken

    @taken.setter
    def taken(self, value: int) -> None:
        self._taken = value


def test_a_task_that_is_tried_again_in_each_reading() -> None:
    """Its returns to the queue are noted after the reading has looked for them: it counts as running, and none as queued."""
    counters = Counters()
    next(iter(counters.numbers))
    shard = counters.shards[1] = TakenAgain()
    shard.counters, shard.taken = counters, 1
    assert counters.flow() == Flow(accepted=1, queued=0, running=1, done=0)
