"""No memory for what brings a task to a worker, or to the supervisor: the task has an outcome, or is not accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import WAIT, Call, wait_until
from tasker import Config, Priority, TaskManager, WorkerLost


def fails_once(put: Callable[[Any], None]) -> Callable[[Any], None]:
    """Does what ``put`` does, except the first time."""
    failing = [MemoryError("no room")]

    def put_or_fail(token: Any) -> None:
        if failing:
            raise failing.pop()
        put(token)

    return put_or_fail


def busy(gate: Gate, **config: Any) -> TaskManager[Any]:
    """A manager whose one worker is at the gate."""
    manager = TaskManager(Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0, **config))
    manager.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    return manager


@pytest.mark.parametrize("options", [{}, {"deadline": 1000.0}], ids=["plain", "with a deadline"])
def test_a_submit_that_gets_no_token(options: dict[str, Any]) -> None:
    """It is not accepted, and has no slot; the next ones are served, and a stop ends."""
    gate, ran = Gate(), []
    manager = busy(gate, max_queue_size=2)
    manager._put_token = fails_once(manager._put_token)
    with pytest.raises(MemoryError):
        manager.submit(lambda ctx, resource: ran.append("not accepted"), **options)
    assert manager._engine.queue.waiting() == []
    for n in range(2):
        manager.submit(lambda ctx, resource, n: ran.append(n), n, block=False)
    gate.open()
    assert Call(manager.stop).outcome(WAIT).completed_tasks == 3
    assert ran == [0, 1]


def test_a_submit_whose_task_has_run() -> None:
    """A worker has taken it for the token of another one: it was accepted, and that other one gets a token."""
    gate = Gate()
    manager = busy(gate)
    ran: list[str] = []
    first = manager.submit(lambda ctx, resource: ran.append("first"))

    def put_too_late(token: Any) -> None:
        gate.open()
        wait_until(lambda: bool(ran))
        raise MemoryError

    manager._put_token = put_too_late
    with pytest.raises(MemoryError):
        manager.submit(lambda ctx, resource: ran.append("urgent"), priority=Priority.HIGH)
    first.result(WAIT)
    assert Call(manager.stop).outcome(WAIT).completed_tasks == 3
    assert ran == ["urgent", "first"]


def test_a_token_that_was_lost() -> None:
    """Its task is run all the same: the supervisor looks now and then."""
    gate = Gate()
    manager = busy(gate)
    futures = [manager.submit(lambda ctx, resource, n: n, n) for n in range(3)]
    for _ in futures:
        manager._engine.queue.tokens.get_nowait()
    gate.open()
    assert [future.result(WAIT) for future in futures] == [0, 1, 2]
    assert Call(manager.stop).outcome(WAIT).killed is False


def test_a_failed_attempt_that_cannot_be_reported() -> None:
    """The task ends with its worker, and another one takes its place."""
    gate = Gate()
    manager = busy(gate, check_health=lambda error: False)

    def fails(ctx: Any, resource: Any) -> None:
        manager._engine.put_event = fails_once(manager._engine.put_event)
        raise OSError("unhealthy")

    future = manager.submit(fails)
    gate.open()
    assert isinstance(future.exception(WAIT), WorkerLost)
    assert manager.submit(lambda ctx, resource: "served").result(WAIT) == "served"
    flow = manager._engine.counters.flow
    assert (flow().accepted, flow().done) == (3, 3)
    assert Call(manager.stop).outcome(WAIT).killed is False
