"""`submit` where the interpreter's stack is nearly full: it raises before it accepts the task, or the task runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import eventually

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
