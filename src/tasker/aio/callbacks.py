"""Callbacks: calls the callback of a task in the loop's thread, as soon as the outcome is set.

An asynchronous callback becomes a task of the loop that the manager owns. A stop waits for it, so nothing outlives the
manager.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from tasker.core.user_functions import is_awaitable

from .future import AsyncTaskFuture
from .ports import EngineInLoop
from .reentrancy import mark
from .tasks import start_duty

_DEEPEST = 20


class Callbacks:
    """Calls the callbacks of one manager's tasks, and keeps the asynchronous ones that still run."""

    def __init__(self, engine: EngineInLoop) -> None:
        self.engine: EngineInLoop = engine
        # The loop itself has only weak references to its tasks.
        self._tasks: dict[asyncio.Task[None], tuple[AsyncTaskFuture[Any], int]] = {}
        self._running: dict[int, int] = {}
        """The numbers of tasks whose callbacks run, by numbers of the calls: of one task several may run, and refused ones have no
        number of their own."""
        self._number = 0
        self._depth = 0
        self._later: deque[tuple[AsyncTaskFuture[Any], Callable[[Any, BaseException | None], object], Any, Any]] = (
            deque()
        )

    def __len__(self) -> int:
        return len(self._tasks)

    def holds(self, number: int) -> str | None:
        """See ``reentrancy.UserCodeScope``."""
        of_task = self._running.get(number)
        return None if of_task is None else f"the callback of task #{of_task}"

    def call(
        self,
        future: AsyncTaskFuture[Any],
        callback: Callable[[Any, BaseException | None], object],
        value: Any,
        error: BaseException | None,
    ) -> None:
        """Calls one callback. An error that it raises is logged and counted."""
        # A callback may end another task, whose callback ends the next one. A long chain of them would reach the
        # recursion limit in the middle of an outcome; so from a depth on they are called one after the other.
        if self._depth >= _DEEPEST:
            self._later.append((future, callback, value, error))
            return
        self._depth += 1
        try:
            self._call(future, callback, value, error)
            while True:  # docs/decisions/0043
                if self._depth > 1 or not self._later:
                    break
                self._call(*self._later.popleft())
        finally:
            self._depth -= 1

    def _call(
        self,
        future: AsyncTaskFuture[Any],
        callback: Callable[[Any, BaseException | None], object],
        value: Any,
        error: BaseException | None,
    ) -> None:
        # In a context of its own: this may be called in that of the task, and what the task has set is nothing to the
        # callback; nor may the code that set the outcome see what marks the callback.
        variables = contextvars.Context()
        self._number = number = self._number + 1
        variables.run(mark, self, number)
        self._running[number] = future.id
        try:
            returned = variables.run(callback, value, error)
        except BaseException as fault:
            del self._running[number]
            self.engine.callback_fault(future, fault)
            return
        if not is_awaitable(returned):
            del self._running[number]
            return
        name = f"{self.engine.config.name}-callback"
        task = start_duty(self.engine.loop, self._finish(future, returned), name, variables)
        self._tasks[task] = future, number
        task.add_done_callback(self._ended)

    async def _finish(self, future: AsyncTaskFuture[Any], returned: Awaitable[object]) -> None:
        try:
            await returned
        except BaseException as fault:
            if self.engine.torn_down:  # a GeneratorExit, which no coroutine may swallow
                raise
            self.engine.callback_fault(future, fault)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[self._tasks.pop(task)[1]]
        if self.engine.door:
            self.engine.check_drained()

    def abandon(self) -> list[str]:
        """Cancels the callbacks that still run. Returns their names for the report."""
        left = [f"the callback of {future.label}" for future, _ in self._tasks.values()]
        for task in self._tasks:
            task.cancel()
        return left
