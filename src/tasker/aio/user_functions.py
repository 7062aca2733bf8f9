"""Calls of user functions that may be synchronous or asynchronous.

What counts is what a function is: a coroutine function runs in the loop. Anything else may block, so it runs in the
resource's own thread (``Config.sync_in_thread``) or inline; should it return an awaitable (a lambda that calls a
coroutine function), that is awaited in the loop.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable
from typing import Any

from .own_thread import OwnThread

CO_COROUTINE: int = inspect.CO_COROUTINE


def is_async(fn: Any) -> bool:
    """Whether calling it gives a coroutine; sees through ``partial`` and into ``__call__``."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(type(fn), "__call__", None))  # noqa: B004


class FunctionCaller:
    """Calls functions that belong to one resource, where they may run."""

    def __init__(self, thread: OwnThread, in_thread: bool) -> None:
        self.thread: OwnThread = thread
        self._in_thread = in_thread

    async def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """What ``fn(*args)`` gives in the end."""
        if is_async(fn):
            return await fn(*args)
        return await self.call_sync(contextvars.copy_context(), fn, *args)

    async def call_sync(self, variables: contextvars.Context, fn: Callable[..., Any], *args: Any) -> Any:
        """``call`` of a function known not to be a coroutine function."""
        value = await self.thread.call(variables, fn, *args) if self._in_thread else variables.run(fn, *args)
        if inspect.isawaitable(value):
            return await value
        return value
