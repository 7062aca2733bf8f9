"""Callbacks of tasks: called once the outcome is there, at once and in the loop's thread.

An asynchronous callback becomes a task of the loop that the manager owns: a stop waits for it, so that nothing outlives
the manager.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from .future import AsyncTaskFuture
from .ports import EngineInLoop
from .reentrancy import current


class Callbacks:
    """Those of one manager."""

    def __init__(self, engine: EngineInLoop) -> None:
        self.engine: EngineInLoop = engine
        self._tasks: dict[asyncio.Task[None], AsyncTaskFuture[Any]] = {}
        self._now: set[int] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def holds(self, number: int) -> str | None:
        """See ``reentrancy.UserCodeScope``."""
        return f"the callback of task #{number}" if number in self._now else None

    def call(
        self,
        future: AsyncTaskFuture[Any],
        callback: Callable[[Any, BaseException | None], object],
        value: Any,
        error: BaseException | None,
    ) -> None:
        """Calls one; what it raises is logged and counted."""
        variables = contextvars.copy_context()
        variables.run(current.set, (self, future.id))
        self._now.add(future.id)
        try:
            returned = variables.run(callback, value, error)
        except BaseException as fault:
            self._now.discard(future.id)
            self.engine.callback_fault(future, fault)
            return
        if not inspect.isawaitable(returned):
            self._now.discard(future.id)
            return
        task = self.engine.loop.create_task(self._finish(future, returned), context=variables)
        self._tasks[task] = future
        task.add_done_callback(self._ended)

    async def _finish(self, future: AsyncTaskFuture[Any], returned: Awaitable[object]) -> None:
        try:
            await returned
        except BaseException as fault:
            if self.engine.torn_down:
                raise
            self.engine.callback_fault(future, fault)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._now.discard(self._tasks.pop(task).id)
        if self.engine.door:
            self.engine.check_drained()

    def abandon(self) -> list[str]:
        """Cancels those that still run; returns which they are."""
        left = [f"the callback of {future.label}" for future in self._tasks.values()]
        for task in self._tasks:
            task.cancel()
        return left
