"""The handle of a resource in an event loop, and the protocols of what makes one and where it may live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Protocol

from tasker.context import Context
from tasker.control.wear import Wear
from tasker.core.ages import UNKNOWN, Age
from tasker.worker_info import WorkerInfo

from .user_functions import FunctionCaller


class AsyncResourceElsewhere(Protocol):
    """A resource of ``run_task`` that lives in another process. Used by one caller at a time."""

    @property
    def usable(self) -> bool:
        """Whether it may run another task: its process is alive and not due for recycling."""
        ...

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


class AsyncResourceHandle:
    """Holds a resource, the caller for functions that use it, and the function that destroys it."""

    __slots__ = ("age", "caller", "cools_until", "end", "remote", "resource", "used", "wear")

    def __init__(
        self, resource: Any, caller: FunctionCaller | None, end: Callable[[], Awaitable[object]] | None
    ) -> None:
        self.resource: Any = resource
        self.caller: FunctionCaller | None = caller
        self.end: Callable[[], Awaitable[object]] | None = end
        self.remote: AsyncResourceElsewhere | None = None
        """The resource in its process; None if it lives in this one."""
        self.used: float = monotonic()
        """When ``run_task`` has used it last (the clock of the events)."""
        self.cools_until: float = 0.0
        """Until when ``run_task``'s pool does not lend it (the clock of the events), after ``Health.COOL_DOWN``."""
        self.age: Age = UNKNOWN
        """When it was made, if it is ``run_task``'s."""
        self.wear: Wear | None = None
        """How much it has served; None if there is no limit, or it is kept by the session."""

    @property
    def usable(self) -> bool:
        """Whether it may run another task."""
        if self.remote is not None:
            return self.remote.usable
        return self.wear is None or not self.wear.worn(monotonic())


class AsyncResourceMaker(Protocol):
    """Makes and destroys resources. The ledger is up to date when a call returns."""

    async def make(self, name: str, worker: WorkerInfo | None = None) -> AsyncResourceHandle:
        """Makes a resource, for a worker or for ``run_task``; ``name`` is for its thread, if it needs one. Raises what
        the user's function raises."""
        ...

    async def end(self, handle: AsyncResourceHandle) -> None:
        """Destroys a resource. An error of the user's function is logged and counted, not raised."""
