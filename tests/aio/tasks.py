"""Tasks that several of these tests run, and what they do with a caller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.gates import Gate
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


async def cancelled_at(gate: Gate, caller: asyncio.Task[Any]) -> None:
    """Cancels a call that waits at the gate, opens that, and sees the call cancelled."""
    await gate.arrivals(1)
    caller.cancel()
    await asyncio.sleep(0)
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await caller
