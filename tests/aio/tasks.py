"""Tasks that several of these tests run, and what they do with a caller."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import eventually
from tasker import Context


async def quick(ctx: Context, resource: Any) -> Any:
    """A task that does not wait; gives its resource."""
    return resource


class Sleeper:
    """A task that sleeps, and records how it ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended: list[str] = []

    async def __call__(self, ctx: Context, resource: Any) -> None:
        self.begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.ended.append(f"cancelled, context {ctx.cancelled}")
            raise
        self.ended.append("slept")


def left_over() -> int:
    """The requests to cancel that are left with the current task."""
    current = asyncio.current_task()
    assert current is not None
    return current.cancelling()


async def at_once(call: Coroutine[Any, Any, Any]) -> Any:
    """The result of a call, which has not let the loop run anything else. It is the first one in its turn of the loop."""
    await asyncio.sleep(0)
    turns: list[int] = []
    handle = asyncio.get_running_loop().call_soon(turns.append, 1)
    try:
        result = await call
        assert not turns, "the loop has had a turn"
        return result
    finally:
        handle.cancel()


async def idle(m: Any, workers: int = 1) -> None:
    """Waits until so many workers are idle."""
    await eventually(lambda: len(m._engine.queue.idle) == workers)


def me() -> asyncio.Task[Any]:
    """The current task of the loop."""
    task = asyncio.current_task()
    assert task is not None
    return task


async def cancelled_at(gate: Gate, caller: asyncio.Task[Any]) -> None:
    """Cancels a call that waits at the gate, opens that, and sees the call cancelled."""
    await gate.arrivals(1)
    caller.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
