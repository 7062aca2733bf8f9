"""Tasks that wait for an object of which nothing can be asked, as a proxy whose target is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Context, TaskKilled


class Detached:
    """An awaitable of which any attribute that it does not have raises; it swallows cancellations."""

    def __init__(self, awaited: asyncio.Future[None]) -> None:
        self._awaited = awaited

    def __await__(self) -> Iterator[Any]:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._awaited.done():
            raise StopIteration("detached")
        self._awaited._asyncio_future_blocking = True
        return self._awaited

    def throw(self, *error: Any) -> Any:
        """Goes on waiting."""
        self._awaited = asyncio.get_running_loop().create_future()
        return next(self)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"it is detached and has no {name}")

    def release(self) -> None:
        """Ends the wait."""
        self._awaited.set_result(None)


async def started(m: Any) -> tuple[Detached, Any]:
    """Has a worker wait for such an object. Returns that and the future of the task."""
    detached = Detached(asyncio.get_running_loop().create_future())

    async def waits(ctx: Context, resource: Any) -> Any:
        return await detached

    future = m.submit(waits)
    await eventually(lambda: any(worker.waited is not None for worker in m._engine.workers.values()))
    return detached, future


async def test_a_stop_meanwhile(make: Any) -> None:
    """It waits for the task as for any other."""
    m = await make()
    detached, future = await started(m)
    stopping = asyncio.create_task(m.stop(20))
    await asyncio.sleep(0)
    detached.release()
    assert (await stopping).killed is False
    assert await future == "detached"


async def test_a_kill_that_it_swallows(make: Any) -> None:
    """The task ends as killed at the deadline, like any other that goes on."""
    m = await make()
    detached, future = await started(m)
    report = await m.kill(0.05)
    assert len(report.abandoned) == 1
    with pytest.raises(TaskKilled):
        await asyncio.wait_for(future, 20)
    detached.release()


async def test_another_task_that_waits(make: Any) -> None:
    """One that waits for a task of its manager gets that one's result, and the search for deadlocks raises nothing."""

    async def inner(ctx: Context, resource: Any) -> str:
        return "inner"

    async with make(worker_count=3) as m:

        async def outer(ctx: Context, resource: Any) -> Any:
            return await m.submit(inner)

        detached, future = await started(m)
        assert await m.queue_task(outer) == "inner"
        m._engine.judge_waits(0.0, tick=True)
        assert m.stats().user_errors == 0
        detached.release()
        await future


async def test_its_stack(make: Any) -> None:
    """What can be said of it."""
    async with make(name="crew") as m:
        detached, future = await started(m)
        assert "return await detached" in m.worker_stack("crew-1")
        detached.release()
        await future
