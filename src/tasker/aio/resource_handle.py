"""The handle of a resource in an event loop, and the protocols of what makes one and where it may live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tasker.context import Context
from tasker.core.handles import Elsewhere, Handle
from tasker.worker_info import WorkerInfo

from .user_functions import FunctionCaller


class AsyncResourceElsewhere(Elsewhere, Protocol):
    """As a loop uses it."""

    def context(self) -> Context:
        """Returns the context of the next task."""
        ...

    async def outcome_of(
        self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> tuple[bool, Any, asyncio.CancelledError | None]:
        """Runs a task there. Returns whether it has raised, its error or its result, and the error by which the caller
        was cancelled meanwhile. A cancellation of the caller cancels the task, and waits for its end."""
        ...

    async def check(self) -> str | None:
        """Has the resource checked there. Returns why it is not to be used any more, or None."""
        ...


class AsyncResourceHandle(Handle):
    """Holds a resource, the caller for functions that use it, and the function that destroys it."""

    __slots__ = ("caller", "end", "ended")

    remote: AsyncResourceElsewhere | None

    def __init__(
        self, resource: Any, caller: FunctionCaller | None, end: Callable[[], Awaitable[object]] | None
    ) -> None:
        super().__init__(resource)
        self.caller: FunctionCaller | None = caller
        self.end: Callable[[], Awaitable[object]] | None = end
        self.ended: bool = False
        """Whether it was ended, or is about to be."""


class AsyncResourceMaker(Protocol):
    """Makes and destroys resources. The ledger is up to date when a call returns."""

    async def make(self, name: str, worker: WorkerInfo | None = None) -> AsyncResourceHandle:
        """Makes a resource, for a worker or for ``run_task``; ``name`` is for its thread, if it needs one. Raises what
        the user's function raises."""
        ...

    async def end(self, handle: AsyncResourceHandle) -> None:
        """Destroys a resource. An error of the user's function is logged and counted, not raised."""
