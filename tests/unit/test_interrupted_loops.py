"""Ctrl-C where a loop turns: what the loop holds is given back. See ``test_jumps_back``."""

from __future__ import annotations

import _thread
import math
import queue
from collections.abc import Callable, Iterator
from typing import Any

from support.waiting import Call
from tasker.aio.callbacks import Callbacks
from tasker.remote.graces import Graces
from tasker.threads.cooling import CoolingWorkers
from tasker.threads.hold import TaskHold
from tasker.threads.queue_slots import QueueSlots, SlotWait

from .interrupts import each_moment

ENGINE: Any = None
FUTURE: Any = None
WORKER: Any = None


def no_call(*_: object) -> None:
    """Nothing."""


def strikes(fn: Callable[[], object], function: Any) -> Iterator[str | None]:
    """Yields where Ctrl-C has struck in the function, which raises nothing else."""
    for struck, _, raised in each_moment(fn, function):
        assert raised is None or isinstance(raised, KeyboardInterrupt), raised
        yield struck


def asleep() -> SlotWait:
    """Returns a wait for a slot."""
    wait = SlotWait()
    wait.lock = _thread.allocate_lock()
    wait.lock.acquire()
    return wait


def count(number: int) -> Callable[[], bool]:
    """Returns a function that returns True so many times."""
    left = [True] * number
    return lambda: bool(left) and left.pop()


def test_the_close_of_a_queue_with_waiters() -> None:
    """The slots are not left locked."""
    slots: list[QueueSlots] = []

    def close() -> None:
        slots.append(QueueSlots(1))
        slots[0]._waiting.extend(asleep() for _ in range(3))
        slots[0].close()

    for _ in strikes(close, QueueSlots.close):
        Call(slots.pop().release).outcome(20)


def test_a_worker_that_stays_in_a_pause() -> None:
    """It is not taken for one that stays, and the lock is free."""
    holds: list[TaskHold] = []

    def stay() -> None:
        holds.append(TaskHold(no_call))
        holds[0].begin()
        holds[0]._changed.wait = no_call  # type: ignore[method-assign, assignment]
        goes_on = count(3)
        holds[0].stay(WORKER, lambda: not goes_on())

    for struck in strikes(stay, TaskHold.stay):
        hold = holds.pop()
        assert not hold._staying, struck
        Call(hold.end).outcome(20)


def test_a_worker_that_cools_down() -> None:
    """Nothing is left of its wait."""
    cooling: list[CoolingWorkers] = []

    def wait() -> None:
        cooling.append(CoolingWorkers(queue.SimpleQueue(), ()))
        goes_on = count(3)
        cooling[0]._wait(math.inf, lambda: not goes_on(), cooling[0].wake)

    for struck in strikes(wait, CoolingWorkers._wait):
        assert not cooling.pop()._alarms, struck


def test_callbacks_that_are_called_one_after_the_other() -> None:
    """The depth is that of before."""
    made: list[Callbacks] = []

    def call() -> None:
        made.append(Callbacks(ENGINE))
        made[0]._call = no_call  # type: ignore[method-assign]
        made[0]._later.extend([(FUTURE, no_call, None, None)] * 3)
        made[0].call(FUTURE, no_call, None, None)

    for struck in strikes(call, Callbacks.call):
        assert made.pop()._depth == 0, struck


def test_the_look_for_graces_that_are_over() -> None:
    """The lock is free."""
    made: list[Graces] = []

    def look() -> None:
        made.append(Graces())
        made[0]._due.update({1: (math.inf, 1, no_call), 2: (0.0, 2, no_call), 3: (math.inf, 3, no_call)})
        made[0]._next()

    for struck in strikes(look, Graces._next):
        assert Call(made.pop()._lock.acquire, False).outcome(20), struck
