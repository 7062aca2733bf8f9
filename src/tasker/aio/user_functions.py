"""Calls user functions, which may be synchronous or asynchronous.

A coroutine function runs in the loop. Any other function may block, so it runs in the resource's own thread or, with
``Config(sync_in_thread=False)``, in the loop. If it returns an awaitable (as a lambda that calls a coroutine function
does), that is awaited in the loop.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable
from typing import Any

from tasker.core.user_functions import is_async

from .own_thread import OwnThread

CO_COROUTINE: int = inspect.CO_COROUTINE


class FunctionCaller:
    """Calls functions that use one resource, each where it may run."""

    def __init__(self, thread: OwnThread, in_thread: bool) -> None:
        self.thread: OwnThread = thread
        self._in_thread = in_thread

    async def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Calls ``fn(*args)`` and returns its result, awaited if it is asynchronous. Raises its error."""
        if is_async(fn):
            return await fn(*args)
        return await self.call_sync(contextvars.copy_context(), fn, *args)

    async def call_sync(self, variables: contextvars.Context, fn: Callable[..., Any], *args: Any) -> Any:
        """As ``call``, in the given context, for a function that is known not to be a coroutine function."""
        value = await self.thread.call(variables, fn, *args) if self._in_thread else variables.run(fn, *args)
        if inspect.isawaitable(value):
            return await value
        return value
