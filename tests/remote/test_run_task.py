"""Resources of `run_task` in sessions, after calls that end in unusual ways."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.toy_session import ToyBackend, ToySession, ToySessions
from support.waiting import Call, wait_until
from tasker import AsyncTaskManager, Config, TaskKilled, TaskManager


def manager(**options: Any) -> AsyncTaskManager[Any]:
    """One with a single resource for `run_task`."""
    config = {"worker_count": 1, "max_worker_count": 1, "resource_pool_size": 1, "max_temporary_resources": 0}
    return AsyncTaskManager(Config(backend=ToyBackend(), **{"on_create": object, **config, **options}))


async def echo(ctx: Any, resource: Any, value: Any) -> Any:
    """Return the value."""
    return value


def test_a_cancelled_call_leaves_its_resource_usable() -> None:
    """Its task has obeyed, and its session pauses until that error is judged: the next call runs in there."""

    async def main() -> None:
        begun = threading.Event()

        async def obeys(ctx: Any, resource: Any) -> None:
            begun.set()
            await asyncio.sleep(60)

        async with manager(check_health=lambda error: True) as m:
            call = asyncio.create_task(m.run_task(obeys))
            await asyncio.to_thread(begun.wait, 30)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            async with asyncio.timeout(30):
                assert await m.run_task(echo, 2) == 2
        ledger = m.stats().resources
        assert (ledger.created, ledger.destroyed, ledger.lost) == (2, 2, 0)

    asyncio.run(main())


def test_a_call_whose_sending_fails_half_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task may run all the same: the next call does not get that outcome."""
    send, failures = ToySession.send, [MemoryError()]

    def failing(self: ToySession, tasks: Any, alone: bool = False) -> Any:
        sent = send(self, tasks, alone)
        if failures:
            raise failures.pop()
        return sent

    async def main() -> None:
        async with manager(max_temporary_resources=1) as m:
            with pytest.raises(MemoryError):
                await m.run_task(echo, 1)
            async with asyncio.timeout(30):
                assert await m.run_task(echo, 2) == 2

    monkeypatch.setattr(ToySession, "send", failing)
    asyncio.run(main())


def test_a_session_that_is_opened_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes no resource, which nothing would interrupt any more; the call that needs it ends with TaskKilled."""
    new, opening, killed = ToySessions._new, threading.Event(), threading.Event()
    made: list[int] = []

    def late(self: ToySessions, *args: Any) -> ToySession:
        opening.set()
        assert killed.wait(30)
        return new(self, *args)

    async def main() -> None:
        def create() -> None:
            made.append(1)

        async with manager(max_temporary_resources=1, resource_pool_size=0, on_create=create) as m:
            await m.queue_task(echo, 1)
            monkeypatch.setattr(ToySessions, "_new", late)
            call = asyncio.create_task(m.run_task(echo, 2))
            await asyncio.to_thread(opening.wait, 30)
            await m.kill(0)
            killed.set()
            with pytest.raises(TaskKilled):
                async with asyncio.timeout(30):
                    await call
            assert made == [1]

    asyncio.run(main())


def test_a_kill_between_the_sending_of_a_task_and_its_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task hears of it, though it did not run when all that ran was cancelled."""
    send = ToySession.send
    config: Any = Config(on_create=object, backend=ToyBackend(), worker_count=1, resource_pool_size=1)
    m: TaskManager[Any] = TaskManager(config)
    kills: list[Call] = []

    def late(self: ToySession, tasks: Any, alone: bool = False) -> Any:
        kills.append(Call(lambda: m.kill(60)))
        wait_until(lambda: m._engine.run_task_root.cancelled)
        return send(self, tasks, alone)

    def waits(ctx: Any, resource: Any) -> None:
        assert ctx.wait(30)
        ctx.raise_if_cancelled()

    monkeypatch.setattr(ToySession, "send", late)
    with pytest.raises(TaskKilled):
        Call(lambda: m.run_task(waits)).outcome(20)
    kills[0].outcome(20)
