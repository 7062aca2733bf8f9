"""Tests TaskFuture under concurrent.futures.wait and as_completed, with an outcome that comes at any moment of their
check."""

from __future__ import annotations

import concurrent.futures as cf
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tasker.threads.future import TaskFuture
from tasker.threads.future_log import Bridge
from unit.futures import Owner, Thread, begin, land, new, run, succeed
from unit.hooks import HookedBridge, HookedList


def test_two_bridges_at_once() -> None:
    """Two threads that make the Condition at the same time get the same one."""
    log = HookedList(when=lambda entry: isinstance(entry, Bridge))
    future = new(log=log)
    others: list[Any] = []
    log.before = lambda: others.append((future._condition, future._waiters))
    mine = (future._condition, future._waiters)
    assert mine[0] is others[0][0]
    assert mine[1] is others[0][1]


class Scripted(TaskFuture[Any]):
    """Runs a step after the n-th read of `_state`, as if another thread ran then."""

    __slots__ = ()

    def script(self, reading: int, step: Callable[[], object]) -> None:
        """Runs the step after the read with this number (from 1)."""
        self.readings, self.reading, self.step = 0, reading, step

    @property
    def _state(self) -> str:  # type: ignore[override]
        state = super()._state
        self.readings += 1
        if self.readings == self.reading:
            self.step()
        return state


def scripted() -> Scripted:
    """Makes a running one."""
    future = Scripted._accepted(Owner(), 1, new, (), queued_at=1.0)
    begin(future)
    return future


@pytest.mark.parametrize("when", [cf.ALL_COMPLETED, cf.FIRST_COMPLETED, cf.FIRST_EXCEPTION])
@pytest.mark.parametrize("reading", [1, 2])
@pytest.mark.parametrize("others", [0, 1])
def test_landed_while_wait_looks(when: str, reading: int, others: int) -> None:
    """A result that gets into the log at any moment of the check in wait(), with its worker going on, wakes it."""
    future = scripted()
    workers: list[Thread] = []

    def step() -> None:
        going_on = land(future, 14)
        workers.append(Thread(going_on))

    future.script(reading, step)
    done = [new() for _ in range(others)]
    for other in done:
        run(other)
    if when == cf.FIRST_COMPLETED:
        done = []
    waiting = Thread(lambda: cf.wait([future, *done], return_when=when, timeout=5))
    finished, _ = waiting.join()
    if workers:
        assert workers[0].join() is True
        assert future in finished
    else:  # it did not read that often
        assert reading == 2
        succeed(future)


def test_landed_while_as_completed_looks() -> None:
    """A result that gets into the log during the check in as_completed() is yielded, once."""
    future = scripted()
    workers: list[Thread] = []
    future.script(1, lambda: workers.append(Thread(land(future, 15))))
    assert Thread(lambda: list(cf.as_completed([future], timeout=10))).join() == [future]
    assert workers[0].join() is True


def test_landed_before_wait_looks() -> None:
    """If a result is in the log and its worker has not notified the bridge, wait() and as_completed() find it at once, and
    are not notified again."""
    future = scripted()
    bridge = future._bridge()
    assert bridge is not None
    going_on = land(future, 16)
    future.script(0, lambda: None)
    assert cf.wait([future], timeout=0).done == {future}
    waiting = Thread(lambda: cf.wait([future], timeout=10).done)
    coming = Thread(lambda: list(cf.as_completed([future], timeout=10)))
    assert going_on() is True
    assert waiting.join() == {future}
    assert coming.join() == [future]
    assert future.result() == 16


def test_bridge_made_after_done_landed() -> None:
    """wait() returns on a future whose result is in the log and that has no Condition yet."""
    future = new()
    begin(future)
    going_on = land(future, 17)
    assert cf.wait([future], timeout=0).done == {future}
    assert going_on() is True
    assert list(cf.as_completed([future], timeout=0)) == [future]


def test_two_waits_and_a_result_on_its_way() -> None:
    """If a second wait() finds the result first, the waiter of the first one is notified exactly once."""
    future, pending = new(), new()
    begin(future)
    lined_up = threading.Event()
    bridge = HookedBridge(future, after=lined_up.set)
    first = Thread(lambda: cf.wait([future, pending], timeout=20))
    assert lined_up.wait(20)
    (waiter,) = bridge._due
    going_on = land(future, 18)
    _ = cf.wait([future], timeout=0)
    assert going_on() is True
    assert waiter.finished_futures == [future]
    run(pending)
    assert first.join().done == {future, pending}


def test_result_while_wait_installs_its_waiter() -> None:
    """A worker that sets the result while wait() holds the Condition waits for it, and then wakes wait()."""
    future = new()
    begin(future)
    workers: list[Thread] = []
    HookedBridge(future, before=lambda: workers.append(Thread(lambda: succeed(future, 19))))
    assert Thread(lambda: cf.wait([future], timeout=20)).join().done == {future}
    assert workers[0].join() is True


@pytest.mark.parametrize("moment", ["before", "after"])
def test_done_at_the_making_of_the_bridge(moment: str) -> None:
    """wait() returns whether the outcome is before or behind its Condition in the log."""
    log = HookedList(when=lambda entry: isinstance(entry, Bridge))
    future = new(log=log)
    begin(future)
    setattr(log, moment, lambda: succeed(future, 20))
    assert Thread(lambda: cf.wait([future], timeout=20)).join().done == {future}
    assert future.result() == 20
