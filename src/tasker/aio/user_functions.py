"""Calls user functions, which may be synchronous or asynchronous.

A coroutine function runs in the loop. Any other function may block, so it runs in the resource's own thread or, with
``Config(sync_in_thread=False)``, in the loop. If it returns an awaitable (as a lambda that calls a coroutine function
does), that is awaited in the loop.
"""

from __future__ import annotations

import contextvars
import inspect
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from tasker.core.user_functions import is_async, is_awaitable

from .own_thread import OwnThread

T = TypeVar("T")

CO_COROUTINE: int = inspect.CO_COROUTINE


class FunctionCaller:
    """Calls functions that use one resource, each where it may run."""

    def __init__(self, thread: OwnThread, in_thread: bool) -> None:
        self.thread: OwnThread = thread
        self.in_thread: bool = in_thread
        """Whether plain functions run in the thread."""

    async def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Calls ``fn(*args)`` and returns its result, awaited if it is asynchronous. Raises its error."""
        if is_async(fn):
            return await fn(*args)
        value = await self.call_plain(contextvars.copy_context(), fn, *args)
        return await value if is_awaitable(value) else value

    async def call_plain(self, variables: contextvars.Context, fn: Callable[..., Any], *args: Any) -> Any:
        """Calls a function that is known not to be a coroutine function, in the given context. Returns what it returns,
        which may be an awaitable."""
        return await self.thread.call(variables, fn, *args) if self.in_thread else variables.run(fn, *args)


@types.coroutine
def in_context(variables: contextvars.Context, awaitable: Awaitable[T]) -> Generator[Any, Any, T]:
    """Awaits in the given context: each step runs in there, as the steps of a task of the loop do."""
    coroutine = awaited(awaitable)
    step: Callable[[Any], Any] = coroutine.send
    value: Any = None
    while True:
        try:
            waited = variables.run(step, value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            step, value = coroutine.send, (yield waited)
        except BaseException as error:
            step, value = coroutine.throw, error


async def awaited(awaitable: Awaitable[T]) -> T:
    """Makes a coroutine of any awaitable."""
    return await awaitable
