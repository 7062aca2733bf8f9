"""A check of an idle resource against the moment in which it is given up, and a worker that cools down against orders."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from tasker import Config
from tasker.control.events import Seat, WorkerChecked, WorkerChecking
from tasker.control.workers import WorkerState
from tasker.threads.cooling import CoolingWorkers
from tasker.threads.engine import Engine
from tasker.threads.queue import CHECK_SESSION, PARK, RETIRE, TaskQueue
from tasker.threads.worker import Worker

SEAT = Seat(1, 1)


class Bench:
    """One worker of an engine that does not run."""

    def __init__(self) -> None:
        self.engine: Any = Engine(Config(worker_count=1, on_create=object, check_resource=bool))
        self.worker = Worker(self.engine, SEAT)
        self.worker.state = WorkerState.READY

    def reports(self) -> list[object]:
        """What it has reported."""
        reported = []
        while not self.engine._inbox.empty():
            reported.append(self.engine._inbox.get())
        return reported


def test_given_up_before_the_check_ends() -> None:
    """The supervisor was first: the worker says that it ends, and has to; the task's token is there for another one."""
    bench = Bench()

    def check() -> bool:
        bench.worker.give_up(creating=False, checking=True)
        return True

    assert bench.worker.probe(check) is False
    assert bench.reports() == [WorkerChecking(SEAT), WorkerChecked(SEAT, fit=False)]
    assert bench.worker.state is WorkerState.STUCK
    assert bench.engine.queue.tokens.get_nowait() is None


def test_given_up_when_the_check_has_ended() -> None:
    """The worker was first, and serves: the order to give it up comes too late, and changes nothing."""
    bench = Bench()
    report = bench.engine.put_event

    def late(event: object) -> None:
        report(event)
        if isinstance(event, WorkerChecked):
            bench.worker.give_up(creating=False, checking=True)

    bench.engine.report = late
    assert bench.worker.probe(lambda: True) is True
    bench.worker.give_up(creating=False, checking=True)
    assert bench.reports() == [WorkerChecking(SEAT), WorkerChecked(SEAT, fit=True)]
    assert bench.worker.state is WorkerState.READY
    assert bench.engine.queue.tokens.empty()


def test_a_check_that_raises() -> None:
    """It is no answer: the worker is checking no more, and whoever ends it says why."""
    bench = Bench()

    def check() -> bool:
        raise EOFError

    try:
        bench.worker.probe(check)
    except EOFError:
        pass
    assert bench.reports() == [WorkerChecking(SEAT)]
    assert not bench.worker.checking


def cooling() -> tuple[TaskQueue, CoolingWorkers]:
    """A queue, and those of its workers that cool down."""
    queue = TaskQueue()
    return queue, queue.cooling


def test_an_order_that_comes_before_the_wait() -> None:
    """It is taken at once; what is no order stays."""
    for order in (RETIRE, PARK):
        queue, workers = cooling()
        queue.tokens.put(order)
        assert workers.wait(monotonic() + 60, bool) is order
        for other in (None, CHECK_SESSION):
            queue.tokens.put(other)
            assert workers.wait(monotonic() + 0.01, bool) is None
            assert queue.tokens.get_nowait() is other


def test_an_order_between_the_look_and_the_wait() -> None:
    """It wakes the worker, which stands among those that are woken before it looks."""
    queue, workers = cooling()
    looks: list[None] = []

    def over() -> bool:
        looks.append(None)
        if len(looks) == 1:
            threading.Timer(0.0, queue.retire, (1,)).start()
        return False

    assert workers.wait(monotonic() + 60, over) is RETIRE


def test_a_door_that_closes_between_the_look_and_the_wait() -> None:
    """The same: it does not sleep for the rest of its time."""
    _, workers = cooling()
    closed: list[None] = []

    def over() -> bool:
        if closed:
            return True
        closed.append(None)  # and whoever closes the door wakes them
        workers.wake()
        return False

    assert workers.wait(monotonic() + 60, over) is None


def test_the_time_is_over() -> None:
    """Nothing is taken."""
    queue, workers = cooling()
    queue.tokens.put(RETIRE)
    assert workers.wait(monotonic() - 1, bool) is None
    assert queue.tokens.get_nowait() is RETIRE
