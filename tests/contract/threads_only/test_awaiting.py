"""Awaiting the future of a threaded task in an event loop, in every way that asyncio has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "await": lambda m, task: m.submit(task),
    "wrap_future": lambda m, task: asyncio.wrap_future(m.submit(task)),
    "run_in_executor": lambda m, task: asyncio.get_running_loop().run_in_executor(m.as_executor(), task, None, None),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_task_that_raises_stop_iteration(threads: Any, way: str) -> None:
    """Whoever awaits it gets a RuntimeError, on every version of Python."""

    async def awaits(m: Any) -> None:
        await WAYS[way](m, threads.kit.raises(StopIteration("over")))

    with threads.build() as m, pytest.raises(RuntimeError, match="StopIteration"):
        await asyncio.wait_for(awaits(m), 20)
