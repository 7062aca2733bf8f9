"""A fault of the library in a worker, between two steps of a task: the task ends, the worker is replaced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import eventually
from tasker import Context, WorkerLost


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
