"""A fault of the library in a worker, between two steps of a task: the task ends, the worker is replaced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import eventually
from tasker import Context, TaskKilled, WorkerLost


async def waits(ctx: Context, resource: Any) -> None:
    """A task that waits once."""
    await asyncio.sleep(0)


async def quick(ctx: Context, resource: Any) -> str:
    """A task that does not wait."""
    return "quick"


def fail_after_the_first_step(m: Any, error: BaseException) -> None:
    """Have the worker itself raise when it measures how long the next step of a task took, once."""
    watch = m._engine.slow_callbacks
    real = watch.check

    def look(*args: Any) -> None:
        watch.check = real
        raise error

    watch.check = look


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("a fault of ours")], ids=repr)
async def test_its_task_gets_the_error(make: Any, error: BaseException) -> None:
    """The task in hand ends with WorkerLost, caused by what struck the worker; what is queued runs in the next worker."""
    logger = RecordingLogger()
    destroyed: list[Any] = []

    async def destroy(resource: Any) -> None:
        destroyed.append(resource)

    async with make(name="crew", logger=logger, on_destroy=destroy) as m:
        assert await m.queue_task(quick) == "quick"
        fail_after_the_first_step(m, error)
        lost, queued = m.submit(waits), m.submit(quick)
        with pytest.raises(WorkerLost, match="worker crew-1 was lost while it ran task #2") as caught:
            await lost
        assert caught.value.__cause__ is error
        assert await queued == "quick"
        await eventually(lambda: m.stats().lost_workers == 1)
        await eventually(lambda: m.stats().active_workers == 1)
        assert (await m.stop()).killed is False
        stats = m.stats()
        assert (stats.accepted_tasks, stats.done_tasks) == (3, 3)
        assert (stats.resources.created, stats.resources.destroyed, len(destroyed)) == (2, 2, 2)
    assert type(error).__name__ in logger.text("error")


async def test_a_task_that_was_left_behind(make: Any) -> None:
    """It has its outcome by then, and counts as done, not as queued again."""
    released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()

    async def goes_on(ctx: Context, resource: Any) -> None:
        begun.set()
        while not released.done():
            try:
                await asyncio.shield(released)
            except asyncio.CancelledError:
                continue
        await asyncio.sleep(0)  # before this step the worker is lost

    m = await make()
    future = m.submit(goes_on)
    await begun.wait()
    assert len((await m.kill(0.02)).abandoned) == 1
    with pytest.raises(TaskKilled):
        await future
    fail_after_the_first_step(m, MemoryError())
    released.set_result(None)
    await eventually(lambda: m.stats().resources.alive == 0)
    stats = m.stats()
    assert (stats.queued_tasks, stats.running_tasks, stats.done_tasks) == (0, 0, 1)
