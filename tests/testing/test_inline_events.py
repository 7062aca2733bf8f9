"""events() of a manager without threads: told in the calling thread, when a call is about to return."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tasker import Config, RetryPolicy, events
from tasker.testing import InlineTaskManager, ManualClock

BOOM = ConnectionError("database is away")


def inline(**config: Any) -> InlineTaskManager[object]:
    return InlineTaskManager(
        Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0, **config)
    )


def test_a_callback_has_been_called_when_the_call_returns() -> None:
    """In this thread, on the clock of the manager; what it submits is queued."""
    manager = inline(retry=RetryPolicy(retry_on=ConnectionError, backoff=8.0))
    told: list[Any] = []

    def tell(event: events.ManagerEvent) -> None:
        assert threading.current_thread() is threading.main_thread()
        told.append(event)
        if isinstance(event, events.TaskFailed):
            manager.submit(lambda ctx, resource: "cleaned up")

    subscription = manager.events(tell, kinds=(events.TaskEvent, events.WorkerStarted))
    attempts = iter([BOOM, ValueError("no")])

    def task(ctx: object, resource: object) -> None:
        raise next(attempts)

    future = manager.submit(task)
    assert told == []
    manager.run_next()
    assert [type(event) for event in told] == [events.WorkerStarted, events.TaskRetried]
    clock = manager.clock.now()
    assert told[-1].at == clock
    with pytest.raises(ValueError):
        future.result()
    assert isinstance(told[-1], events.TaskFailed)
    assert told[-1].at == clock + told[1].pause
    assert len(manager.pending) == 1
    assert not subscription.wait()
    manager.stop()
    assert isinstance(told[-1], events.StopEnded)
    assert subscription.wait() and subscription.closed


def test_an_iteration_never_waits() -> None:
    """It yields what there is."""
    manager = inline()
    subscription = manager.events(kinds=events.WorkerStarted)
    assert list(subscription) == []
    manager.submit(lambda ctx, resource: None).result()
    assert [type(event) for event in subscription] == [events.WorkerStarted]
    assert list(subscription) == []
    manager.stop()
    assert [type(event) for event in subscription] == [events.StopEnded]


def test_a_callback_that_raises() -> None:
    """It is counted, and called again."""
    manager, calls = inline(), []

    def broken(event: events.ManagerEvent) -> None:
        calls.append(event)
        raise ZeroDivisionError

    manager.events(broken)
    manager.submit(lambda ctx, resource: None).result()
    manager.stop()
    assert manager.stats().user_errors == len(calls) > 1


def test_a_manager_with_a_clock_of_the_tests() -> None:
    """The moments are the clock's."""
    clock = ManualClock()
    manager = InlineTaskManager(Config(on_create=object, worker_count=1), clock=clock)
    subscription = manager.events(kinds=events.Paused)
    clock.advance(5.0)
    manager.pause(0)
    assert [event.at for event in subscription] == [clock.now()]
    manager.stop()
