"""What a resource of an event loop looks like to those that use it, and to those that make it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tasker.context import Context

from .user_functions import FunctionCaller


class AsyncResourceElsewhere(Protocol):
    """A resource of ``run_task`` that lives outside of this process, for one caller at a time."""

    @property
    def usable(self) -> bool:
        """Whether it may get another task: its process lives, and it has not served its time."""
        ...

    def context(self) -> Context:
        """Returns the context of the next task."""
        ...

    async def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error."""


class AsyncResourceHandle:
    """A resource, how to call what belongs to it, and how to end it."""

    __slots__ = ("caller", "end", "remote", "resource")

    def __init__(
        self, resource: Any, caller: FunctionCaller | None, end: Callable[[], Awaitable[object]] | None
    ) -> None:
        self.resource: Any = resource
        self.caller: FunctionCaller | None = caller
        self.end: Callable[[], Awaitable[object]] | None = end
        self.remote: AsyncResourceElsewhere | None = None
        """Where it lives, if not in this process."""


class AsyncResourceMaker(Protocol):
    """Makes and ends resources; each call is in the ledger when it returns."""

    async def make(self, name: str) -> AsyncResourceHandle:
        """Makes a resource; raises what the user's function raises. ``name``: of the thread, if it needs one."""
        ...

    async def end(self, handle: AsyncResourceHandle) -> None:
        """Ends a resource; raises nothing of the user's."""
