"""TaskHold: where the threads of workers stay during a pause."""

from __future__ import annotations

from support.waiting import Call, wait_until
from tasker.control.workers import WorkerState
from tasker.threads.hold import TaskHold


class Someone:
    """A worker."""

    def __init__(self, state: WorkerState = WorkerState.READY) -> None:
        self.state = state


def test_who_has_to_be_reached() -> None:
    """One order for each worker that serves and does not stay; it is complete when all stay or are parked."""
    arrivals: list[int] = []
    hold = TaskHold(lambda: arrivals.append(1))
    first, second, third = workers = [Someone(), Someone(), Someone(WorkerState.PARKED)]
    for worker in workers:
        hold.enter(worker)
    assert not hold.complete()
    assert hold.begin() == 3
    calls = [Call(hold.stay, first)]
    wait_until(lambda: len(arrivals) == 1)
    assert not hold.complete()
    assert hold.begin() == 2
    calls.append(Call(hold.stay, second))
    wait_until(lambda: len(arrivals) == 2)
    assert hold.complete()
    third.state = WorkerState.READY
    assert not hold.complete()
    hold.leave(third)
    assert hold.complete()
    assert not any(call.returned for call in calls)
    hold.end()
    for call in calls:
        call.outcome()
    assert not hold.complete()


def test_an_order_that_is_left() -> None:
    """One that is taken after the pause means nothing."""
    hold, worker = TaskHold(lambda: None), Someone()
    hold.enter(worker)
    hold.begin()
    hold.end()
    hold.stay(worker)


def test_a_worker_that_begins_to_serve_in_a_pause() -> None:
    """It stays before its first task."""
    hold = TaskHold(lambda: None)
    assert hold.begin() == 0
    assert hold.complete()
    call = Call(hold.enter, Someone())
    wait_until(lambda: bool(hold._staying))
    assert hold.complete()
    hold.end()
    call.outcome()


def test_a_worker_whose_resource_goes() -> None:
    """It does not stay: its replacement is needed."""
    hold, worker, gone = TaskHold(lambda: None), Someone(), list[int]()
    hold.begin()
    call = Call(hold.enter, worker, lambda: bool(gone))
    wait_until(lambda: bool(hold._staying))
    hold.look()
    assert not call.returned
    gone.append(1)
    hold.look()
    call.outcome()
    assert not hold.complete()
    hold.stay(worker, lambda: True)
