"""Tests that Ctrl-C, or another asynchronous exception, leaves nothing locked where threads wait for each other."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from support.waiting import Call
from tasker import Config, TaskManager
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core.parking import ParkingLot
from tasker.remote.mailbox import Mailbox
from tasker.remote.targeted_wakeup import Called, TargetedWakeup
from tasker.threads.hold import TaskHold
from tasker.threads.parking import stay
from tasker.threads.queue import CHECK_SESSION, TaskQueue
from tasker.threads.renewals import Renewals
from unit.interrupts import each_moment


class Someone:
    """A worker, or its host."""

    def __init__(self, *, called: bool = False) -> None:
        self.state = WorkerState.READY
        self.outdated = self.tends = False
        self.seat = 1
        self.shard: Any = SimpleNamespace(future=None)
        self.lot = ParkingLot()
        self.engine: Any = SimpleNamespace(queue=SimpleNamespace(lot=self.lot), report=lambda event: None)
        self._called = called

    def called(self) -> bool:
        return self._called


Piece = tuple[Callable[[], Any], Callable[[], Any]]
"""What is struck, and what another thread does then."""


def mailbox() -> Piece:
    """The main thread drives a session in `run_task`."""
    box = Mailbox()

    def use() -> None:
        box.put(("ready",))
        box.wait(None)
        box.take()
        box.wait(1e-9)
        box.nudge()
        box.wait(None)
        box.close()

    def others() -> None:
        box.put(("ready",))
        box.nudge()
        box.wait(None)
        with contextlib.suppress(EOFError):
            box.take()
        box.close()

    return use, others


def wakeup() -> Piece:
    """A worker that waits for a token, and one that has a session end."""
    tokens: queue.SimpleQueue[object] = queue.SimpleQueue()
    targeted = TargetedWakeup(tokens, CHECK_SESSION)
    someone, other = Someone(), Someone(called=True)

    def use() -> None:
        tokens.put("task")
        targeted.next_token(someone)
        targeted.wake(someone)

    def others() -> None:
        targeted.wake(other)
        with pytest.raises(Called):
            targeted.next_token(other)

    return use, others


def hold() -> Piece:
    """Workers that serve, and a session that ends during a pause."""
    holds = TaskHold(lambda: None)
    first, second = Someone(), Someone()

    def use() -> None:
        holds.enter(first)
        holds.look()
        holds.stay(first)
        holds.begin()
        holds.stay(first, lambda: True)
        holds.complete()
        holds.leave(first)
        holds.end()

    def others() -> None:
        holds.begin()
        holds.look()
        holds.end()
        holds.enter(second)
        holds.leave(second)

    return use, others


def renewals() -> Piece:
    """Workers with outdated resources."""
    tasks = TaskQueue()
    left = Renewals(tasks, TaskHold(lambda: None))
    first, second = Someone(), Someone()

    def use() -> None:
        left.call(first)
        left.remind()
        left.left(first)
        left.answer(Someone())

    def others() -> None:
        left.call(second)
        left.answer(Someone())
        left.left(second)

    return use, others


def parking() -> Piece:
    """A worker that is parked, and released at once."""
    worker = Someone()
    released: list[Callable[[], Any]] = []

    def report(event: object) -> None:
        if isinstance(event, ev.WorkerParked):
            released.append(worker.lot._parked[worker])
            worker.lot.want(0)

    worker.engine.report = report

    def use() -> None:
        worker.lot.want(1)
        stay(worker)  # type: ignore[arg-type]

    return use, lambda: [release() for release in released].clear()


@pytest.mark.parametrize("make", [mailbox, wakeup, hold, renewals, parking], ids=lambda make: make.__name__)
def test_each_moment(make: Callable[[], Piece]) -> None:
    """Whatever moment is struck, other threads go on."""
    pieces = [make()]
    struck = 0
    for where, _, _ in each_moment(lambda: pieces[-1][0]()):
        struck += where is not None
        assert Call(pieces[-1][1]).outcome(20) is None, where
        pieces.append(make())
    assert struck > 5


def test_each_moment_of_the_wait_for_a_subscription() -> None:
    """Whatever moment is struck, the thread of the callback can end."""
    subscriptions: list[Any] = []
    with TaskManager(Config(on_create=object, worker_count=1)) as manager:

        def use() -> None:
            subscriptions[-1].wait(1e-9)

        subscriptions.append(manager.events(lambda event: None))
        for where, _, _ in each_moment(use):
            assert Call(subscriptions[-1].wait, 1e-9).outcome(20) is False, where
            subscriptions.append(manager.events(lambda event: None))
    for subscription in subscriptions:
        assert Call(subscription.wait, 20).outcome(30)
