"""A loop whose tasks begin at once (``asyncio.eager_task_factory``)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Context, TaskKilled

if sys.version_info < (3, 12):
    pytest.skip("eager tasks came with CPython 3.12", allow_module_level=True)


async def create() -> object:
    """Makes a resource without a wait."""
    return object()


async def quick(ctx: Context, resource: Any) -> str:
    """Does not wait."""
    return "quick"


async def waits(ctx: Context, resource: Any) -> str:
    """Waits once."""
    await asyncio.sleep(0)
    return "waited"


async def sleeps(ctx: Context, resource: Any) -> None:
    """Sleeps for long."""
    await asyncio.sleep(30)


@pytest.mark.parametrize("plain", [False, True], ids=["asynchronous hooks", "plain hooks in the loop"])
async def test_everything_works(make: Any, plain: bool) -> None:
    """Workers live though on_create does not suspend; tasks, callbacks, retries, run_task, cancel and kill work."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    ended: list[Any] = []

    async def note(result: Any, error: Any) -> None:
        ended.append(result)

    steps = iter([OSError("sick"), None])

    async def fails_once(ctx: Context, resource: Any) -> str:
        if (error := next(steps)) is not None:
            raise error
        return "retried"

    async with make(
        on_create=object if plain else create,
        sync_in_thread=not plain,
        worker_count=3,
        resource_pool_size=1,
        check_health=lambda error: False,
    ) as m:
        assert await asyncio.gather(*[m.queue_task(task) for task in (quick, waits, quick)]) == [
            "quick",
            "waited",
            "quick",
        ]
        assert await m.run_task(quick) == "quick"
        assert [await m.submit(quick, callback=note) for _ in range(3)] == ["quick"] * 3
        await eventually(lambda: len(ended) == 3)
        assert await m.queue_task(fails_once) == "retried"
        future = m.submit(sleeps)
        await eventually(future.running)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        async with asyncio.TaskGroup() as group:
            results = [group.create_task(m.queue_task(quick)) for _ in range(20)]
        assert [result.result() for result in results] == ["quick"] * 20
        future = m.submit(sleeps)
        await eventually(future.running)
        assert (await m.kill()).abandoned == ()
        with pytest.raises(TaskKilled):
            await future
        stats = m.stats()
        assert (stats.lost_workers, stats.resources.alive, stats.user_errors) == (0, 0, 0)
    assert {task for task in asyncio.all_tasks() if task.get_name().startswith(m.name)} == set()


async def test_tasks_that_their_caller_begins(make: Any) -> None:
    """An eager task of the loop begins one in its own first step, and one that a task starts is the current one in its own."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    seen: list[Any] = []

    async def child() -> None:
        seen.append(asyncio.current_task())

    async def starts(ctx: Context, resource: Any) -> Any:
        before = asyncio.current_task()
        task = asyncio.create_task(child())
        seen.append(task)
        assert asyncio.current_task() is before
        await task
        return before

    async with make() as m:
        await eventually(lambda: m._engine.queue.idle)
        me = asyncio.current_task()
        done = asyncio.create_task(m.queue_task(quick))
        assert done.done() and done.result() == "quick" and asyncio.current_task() is me
        worker = next(iter(m._engine.workers.values())).task
        assert await asyncio.create_task(m.queue_task(starts)) is worker
        assert len(set(map(type, seen))) == 1 and asyncio.current_task() is me
