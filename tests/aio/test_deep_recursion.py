"""`submit` where the interpreter's stack is nearly full: it raises before it accepts the task, or the task runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Context

from .tasks import quick


def at(depth: int, call: Callable[[], Any]) -> Any:
    """The result of a call so many levels below."""
    return call() if depth <= 0 else at(depth - 1, call)


@pytest.mark.parametrize("debug", [False, True])
async def test_submit_near_the_recursion_limit(make: Callable[..., Any], debug: bool) -> None:
    """The only worker, which is idle, is never lost."""
    asyncio.get_running_loop().set_debug(debug)
    limit, ran, refused = sys.getrecursionlimit(), 0, 0
    async with make() as m:
        await m.queue_task(quick)
        for depth in range(200, 300):
            await eventually(lambda: m._engine.queue.idle)
            sys.setrecursionlimit(300)
            try:
                future = at(depth, lambda: m.submit(quick))
            except RecursionError:
                refused += 1
                continue
            finally:
                sys.setrecursionlimit(limit)
            async with asyncio.timeout(20):
                await future
            ran += 1
        assert ran and refused
        stats = m.stats()
        assert (stats.accepted_tasks, stats.done_tasks, stats.queued_tasks) == (ran + 1, ran + 1, 0)


def frames() -> int:
    """How deep the stack is here."""
    depth, frame = 0, sys._getframe()
    while (up := frame.f_back) is not None:
        depth, frame = depth + 1, up
    return depth


def nearly_full(room: int, call: Callable[[], Any]) -> bool:
    """Makes a call that has about so many frames left. Returns whether it was refused."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(frames() + 200)
    try:
        at(200 - room, call)
    except RecursionError:
        return True
    finally:
        sys.setrecursionlimit(limit)
    return False


ROOMS = [*range(5, 110, 3)]


async def test_cancel_near_the_recursion_limit(make: Callable[..., Any]) -> None:
    """The task is cancelled, and all that wait for it are told, or nothing has happened."""
    refused: list[bool] = []
    gate = asyncio.Event()

    async def waits(ctx: Any, resource: Any) -> None:
        await gate.wait()

    async with make() as m:
        running = m.submit(waits)
        for room in ROOMS:
            called: list[Any] = []
            future = m.submit(quick, callback=lambda value, error, called=called: called.append(error))
            waiter = asyncio.create_task(asyncio.wait([future]))
            await asyncio.sleep(0)
            refused.append(nearly_full(room, future.cancel))
            if refused[-1]:
                assert not future.done()
                assert future.cancel()
            async with asyncio.timeout(20):
                await waiter
            assert len(called) == 1
        gate.set()
        await running
    assert True in refused and False in refused
    assert m.stats().done_tasks == m.stats().accepted_tasks


@pytest.mark.parametrize("name", ["resize", "refresh", "submit", "parent"])
async def test_what_has_consequences_near_the_recursion_limit(make: Callable[..., Any], name: str) -> None:
    """It has all of them, or none."""
    refused: list[bool] = []
    for room in ROOMS:
        parent = Context()
        workers = 0 if name == "submit" else 1
        m = await make(worker_count=workers, max_worker_count=1, ctx=parent, idle_timeout=20.0)
        await eventually(lambda m=m, workers=workers: m.stats().active_workers == workers)
        results: list[Any] = []
        calls: dict[str, Callable[[], Any]] = {
            "resize": lambda m=m: m.resize(worker_count=2, max_worker_count=2),
            "refresh": lambda m=m, results=results: results.append(m.refresh()),
            "submit": lambda m=m, results=results: results.append(m.submit(quick)),
            "parent": parent.cancel,
        }
        refused.append(nearly_full(room, calls[name]))
        async with asyncio.timeout(20):
            for result in results:
                await result
            if name == "resize" and not refused[-1]:
                await eventually(lambda m=m: m.stats().active_workers == 2)
            if name == "parent" and not refused[-1]:
                await eventually(lambda m=m: m.closed)
            elif name != "parent":
                assert await m.queue_task(quick)
            assert not (await m.stop()).killed
    assert True in refused and False in refused
