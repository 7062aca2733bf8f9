"""Point 16 for a task that runs an event loop in its worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support import internals
from support.waiting import wait_until
from tasker import Context, DeadlockError, TaskManager

Way = Callable[[TaskManager[Any]], Awaitable[Any]]


def inner(ctx: Context, resource: Any) -> str:
    """A task that is waited for."""
    return "inner"


async def by_await(m: TaskManager[Any]) -> Any:
    return await m.submit(inner)


async def by_wrap_future(m: TaskManager[Any]) -> Any:
    return await asyncio.wrap_future(m.submit(inner))


async def by_gather(m: TaskManager[Any]) -> Any:
    return await asyncio.gather(asyncio.wrap_future(m.submit(inner)), by_await(m))


async def by_child(m: TaskManager[Any]) -> Any:
    return await asyncio.create_task(by_await(m))


WAYS = [by_await, by_wrap_future, by_gather, by_child]


def outer(ctx: Context, resource: Any, m: TaskManager[Any], way: Way) -> Any:
    """A task that waits for tasks of its own manager in a loop of its own."""
    return asyncio.run(way(m))  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
def test_an_await_in_the_only_worker(threads: Any, way: Way) -> None:
    """It raises DeadlockError in the task within a tick, and the manager works on."""
    m = threads.build(burst_interval=0.02)
    error = m.submit(outer, m, way).exception(20)
    assert isinstance(error, DeadlockError)
    assert "outer" in str(error)
    assert m.submit(inner).result(20) == "inner"
    assert m.submit(outer, m, way).exception(20) is not None  # again, in another loop


@pytest.mark.parametrize("way", WAYS)
def test_an_await_beside_a_free_worker(threads: Any, way: Way) -> None:
    """With a second worker, there or still to come, it is fine, and leaves no wait behind."""
    for config in ({"worker_count": 2}, {"max_worker_count": 2}):
        m = threads.build(burst_interval=0.02, **config)
        m.submit(outer, m, way).result(20)
        wait_until(lambda m=m: internals.workers_that_wait(m) == 0)


def test_the_awaiting_task_may_catch_it(threads: Any) -> None:
    """What was awaited runs later; its outcome finds no loop any more, and disturbs nothing."""
    inside: list[Any] = []

    async def way(m: TaskManager[Any]) -> str:
        inside.append(m.submit(inner))
        try:
            return str(await inside[0])
        except DeadlockError:
            return "did it itself"

    m = threads.build(burst_interval=0.02)
    assert m.submit(outer, m, way).result(20) == "did it itself"
    assert inside[0].result(20) == "inner"
    assert m.stats().user_errors == 0


def test_two_waits_that_may_end_one_another(threads: Any) -> None:
    """A loop of which one task still gets on is not blocked: a timer, another thread, a wait with a limit."""
    ended = threading.Event()

    async def way(m: TaskManager[Any]) -> str:
        loop = asyncio.get_running_loop()
        mine = m.submit(inner)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(mine), 0.1)
        other = loop.create_future()
        thread = threading.Timer(0.1, lambda: loop.call_soon_threadsafe(other.set_result, "other"))
        thread.start()
        waiting = {asyncio.ensure_future(by_await(m)), other}
        done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()
        ended.set()
        return ",".join(one.result() for one in done)

    m = threads.build(burst_interval=0.01)
    assert m.submit(outer, m, way).result(20) == "other"
    assert ended.is_set()
