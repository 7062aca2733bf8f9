"""Calls inside of what a task waits for, through many tasks of the loop or through another manager."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Context, DeadlockError
from tasker.aio.reentrancy import current

from .tasks import quick

LEVELS = 40
"""With three tasks on each, there are more ways through them than can be counted."""


async def by_wait(tasks: list[Any]) -> None:
    await asyncio.wait(tasks)


async def by_gather(tasks: list[Any]) -> None:
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("way", [by_wait, by_gather])
async def test_a_graph_of_tasks_that_share_what_they_wait_for(make: Any, way: Callable[..., Awaitable[None]]) -> None:
    """A stop at its bottom is refused, and the search for it takes no longer than there are tasks."""
    refused: list[DeadlockError] = []

    async def bottom() -> None:
        await asyncio.sleep(0)  # until all wait
        with pytest.raises(DeadlockError) as caught:
            await m.stop()
        refused.append(caught.value)

    async def graph(ctx: Context, resource: Any) -> None:
        level = [asyncio.create_task(bottom()) for _ in range(3)]
        for _ in range(LEVELS):
            level = [asyncio.create_task(way(level)) for _ in range(3)]  # type: ignore[arg-type]
        await way(level)

    async with make(worker_count=2) as m:
        await asyncio.gather(m.submit(graph), m.submit(graph))
    assert len(refused) == 6


@pytest.mark.parametrize("call", ["stop", "kill", "pause"])
@pytest.mark.parametrize("outermost", ["run_task", "callback", "on_create"])
async def test_inside_of_a_call_of_another_manager(make: Any, call: str, outermost: str) -> None:
    """What waits for the end of a manager, or for its pause, is refused in a call of ``run_task`` of another one that is made in
    a call, a callback or a hook of the first."""
    refused: list[DeadlockError] = []

    async def inner(ctx: Context, resource: Any) -> None:
        with pytest.raises(DeadlockError) as caught:
            await getattr(first, call)()
        refused.append(caught.value)

    async def outer(*args: object) -> object:
        await second.run_task(inner)
        return object()

    async with make() as second:
        first = make(on_create=outer if outermost == "on_create" else object, worker_count=0, max_worker_count=1)
        async with first:
            if outermost == "callback":
                await first.submit(quick, callback=outer)
            else:
                await first.run_task(outer if outermost == "run_task" else quick)
    assert len(refused) == 1


async def test_a_task_of_run_task_goes_on_during_a_pause(make: Any) -> None:
    """It may call ``run_task``, also from inside of a call of another manager."""
    paused = asyncio.Event()

    async def inner(ctx: Context, resource: Any) -> Any:
        await paused.wait()
        return await first.run_task(quick)

    async def outer(ctx: Context, resource: Any) -> Any:
        return await second.run_task(inner)

    async with make(on_create=lambda: "mine") as first, make() as second:
        call = asyncio.create_task(first.run_task(outer))
        await asyncio.sleep(0)
        pausing = asyncio.create_task(first.pause())
        await asyncio.sleep(0)
        paused.set()
        assert await call == "mine"
        await pausing


async def test_tasks_that_each_start_the_next_one(make: Any) -> None:
    """What is noted of those in which a call is made does not grow with their number."""
    marks: list[int] = []

    async def one(ctx: Context, resource: Any, number: int) -> None:
        marks.append(len(current.get()))
        if number:
            following.append(asyncio.create_task(m.run_task(one, number - 1)))
            await asyncio.sleep(0)  # so that the next one begins while this one runs

    following: list[asyncio.Task[Any]] = []
    async with make(resource_pool_size=2) as m:
        await m.run_task(one, 20)
        while following:
            await following.pop()
    assert len(marks) == 21
    assert max(marks) <= 3


async def test_a_stop_in_one_of_several_callbacks_of_refused_tasks(make: Any) -> None:
    """It is refused, also when another one has ended: they have the same number, as none was accepted."""
    refused: list[DeadlockError] = []
    other = asyncio.Event()

    async def ends(value: object, error: object) -> None:
        other.set()

    async def stops(value: object, error: object) -> None:
        await other.wait()
        await asyncio.sleep(0)
        with pytest.raises(DeadlockError, match="callback of task #0") as caught:
            await m.stop()
        refused.append(caught.value)

    async with make() as m:
        gate = asyncio.Event()
        running = m.submit(waits_for, gate)
        await eventually(running.running)
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        for callback in (ends, stops):
            m.submit(quick, callback=callback).exception()
        await eventually(lambda: len(refused) == 1)
        gate.set()
        await stop


async def waits_for(ctx: Context, resource: Any, gate: asyncio.Event) -> None:
    """Runs until the gate is open."""
    await gate.wait()
