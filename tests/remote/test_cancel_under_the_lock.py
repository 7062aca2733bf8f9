"""A finalizer or a signal handler that cancels tasks in the middle of a section that its own thread holds the lock of the
session for."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.toy_session import ToyBackend, ToySession
from support.waiting import Call, eventually, wait_until
from tasker import AsyncTaskManager, Config, TaskManager

TASKS = 400


class InFlight(deque[Any]):
    """The tasks in flight. Calls something each time that tasks were taken into flight."""

    def __init__(self, interrupt: Callable[[], object]) -> None:
        super().__init__()
        self.interrupt = interrupt

    def extend(self, tasks: Any) -> None:
        """Add them, and call it."""
        super().extend(tasks)
        self.interrupt()


@pytest.fixture(params=["as tasks are sent", "as the first begins"])
def cancelled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tasks that the thread that drives a session has cancelled, once there are some in flight, and under its lock."""
    futures: list[Any] = []
    begin, init = ToySession.begin, ToySession.__init__

    def interrupt(session: ToySession) -> None:
        if not futures and len(session.in_flight) > 3:
            futures.extend(future for _, future, _ in list(session.in_flight)[1:])
            for future in futures:
                future.cancel()

    def begins(self: ToySession) -> Any:
        first = begin(self)
        if first is not None:
            interrupt(self)
        return first

    def inits(self: ToySession, *args: Any) -> None:
        init(self, *args)
        self.in_flight = InFlight(lambda: interrupt(self))

    if request.param == "as tasks are sent":
        monkeypatch.setattr(ToySession, "__init__", inits)
    else:
        monkeypatch.setattr(ToySession, "begin", begins)
    return futures


def options(**hooks: Any) -> dict[str, Any]:
    """A pool of one worker that sends ahead."""
    return {"worker_count": 1, "max_worker_count": 1, "resource_pool_size": 0, "backend": ToyBackend(), **hooks}


def audit(m: Any, futures: list[Any], cancelled: list[Any], ran: Counter[int]) -> None:
    """Each task that was not cancelled has run once; the others have not, unless they had begun. The numbers are right."""
    assert cancelled
    ended = [future.cancelled() for future in futures]
    assert [ran[number] for number in range(TASKS)] == [not was for was in ended]
    assert all(future in cancelled for future, was in zip(futures, ended, strict=True) if was)
    stats = m.stats()
    assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks) == (TASKS, TASKS, 0)
    assert stats.queued_tasks + stats.priority_tasks == 0


def test_on_threads(cancelled: list[Any]) -> None:
    """The cancelled tasks end, the others run, and a stop ends."""
    resources, ran = ScriptedResources(), Counter[int]()

    def task(ctx: Any, resource: Any, number: int) -> None:
        ran[number] += 1

    manager: TaskManager[Any] = TaskManager(Config(**options(on_create=resources.create, on_destroy=resources.destroy)))
    try:
        futures = [manager.submit(task, number) for number in range(TASKS)]
        wait_until(lambda: all(future.done() for future in futures), 20)
        assert Call(manager.stop).outcome(20).killed is False
        audit(manager, futures, cancelled, ran)
    finally:
        Call(manager.kill, 1).outcome(20)
    resources.check_all_ended_once()


def test_on_asyncio(cancelled: list[Any]) -> None:
    """The same in an event loop, which would stand still."""
    resources, ran = ScriptedResources(), Counter[int]()

    async def task(ctx: Any, resource: Any, number: int) -> None:
        ran[number] += 1

    async def main() -> None:
        async with AsyncTaskManager(Config(**options(on_create=resources.acreate, on_destroy=resources.adestroy))) as m:
            futures = [m.submit(task, number) for number in range(TASKS)]
            await eventually(lambda: all(future.done() for future in futures))
            await m.stop()
            audit(m, futures, cancelled, ran)

    Call(asyncio.run, main()).outcome(60)
    resources.check_all_ended_once()
