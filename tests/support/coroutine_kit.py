"""CoroutineKit: makes the task bodies of the contract as coroutine functions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from support.function_kit import Body, FunctionKit
from support.gates import Gate
from support.waiting import POLL, WAIT
from tasker import Context


async def pass_despite_cancellation(gate: Gate) -> None:
    """Count an arrival and wait at `gate`, swallowing every CancelledError."""
    gate.arrive()
    end = time.monotonic() + 3 * WAIT
    while not gate.is_open:
        if time.monotonic() > end:
            raise AssertionError("the gate was never opened")
        try:
            await asyncio.sleep(POLL)
        except asyncio.CancelledError:
            pass


class CoroutineKit(FunctionKit):
    """Makes tasks that are coroutine functions."""

    def hook(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """A user hook (`on_create`, ...) that calls `fn`, which must not block."""

        async def hook(*args: Any) -> Any:
            await asyncio.sleep(0)
            return fn(*args)

        return hook

    def calls(self, fn: Callable[..., Any]) -> Body:
        async def called(ctx: Context, resource: Any, *args: Any) -> Any:
            return fn(ctx, resource, *args)

        return called

    def raises(self, error: BaseException) -> Body:
        async def raising(ctx: Context, resource: Any, *args: Any) -> Any:
            raise error

        return raising

    def holds(self, gate: Gate, value: Any = None) -> Body:
        async def holding(ctx: Context, resource: Any, *args: Any) -> Any:
            await pass_despite_cancellation(gate)
            return value

        return holding

    def holds_if(self, gate: Gate, item: Any) -> Body:
        async def holding(ctx: Context, resource: Any, argument: Any) -> Any:
            if argument == item:
                await pass_despite_cancellation(gate)
            return argument

        return holding

    def watches(self, gate: Gate) -> Body:
        async def watching(ctx: Context, resource: Any, *args: Any) -> Any:
            await pass_despite_cancellation(gate)
            return ctx.cancelled

        return watching

    def fails_at(self, gate: Gate, error: BaseException) -> Body:
        async def failing(ctx: Context, resource: Any, *args: Any) -> Any:
            await pass_despite_cancellation(gate)
            raise error

        return failing

    def pauses(self, seconds: float | None = None) -> Body:
        async def pausing(ctx: Context, resource: Any, *args: Any) -> Any:
            length = args[0] if seconds is None else seconds
            await ctx.wait_async(length)
            return length

        return pausing

    def in_turn(self, seconds: float) -> Body:
        turn = asyncio.Lock()

        async def working(ctx: Context, resource: Any, *args: Any) -> Any:
            async with turn:
                await ctx.wait_async(seconds)

        return working

    def until_cancelled(self, gate: Gate) -> Body:
        async def obeying(ctx: Context, resource: Any, *args: Any) -> Any:
            gate.arrive()
            if not await ctx.wait_async(60):
                raise AssertionError("the context was never cancelled")
            ctx.raise_if_cancelled()

        return obeying

    def both(self, fn: Callable[..., Any], task: Body) -> Body:
        async def chained(ctx: Context, resource: Any, *args: Any) -> Any:
            fn(ctx, resource)
            return await task(ctx, resource, *args)

        return chained

    def script(self, *steps: Any) -> Body:
        todo = list(steps)

        async def scripted(ctx: Context, resource: Any, *args: Any) -> Any:
            step = todo.pop(0)
            if isinstance(step, BaseException):
                raise step
            return await pass_despite_cancellation(step) if isinstance(step, Gate) else step

        return scripted
