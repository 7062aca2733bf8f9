"""Calls inside of what a task waits for, through many tasks of the loop or through another manager."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tasker import Context, DeadlockError

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
