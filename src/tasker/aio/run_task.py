"""``run_task``: runs a task at once in the caller's own task of the loop, with a pooled or a temporary resource.

A kill cancels it in the way of ``asyncio.timeout``: it cancels the caller's task, and takes the cancellation back when
it turns the error into ``TaskKilled``.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control.events import PoolResourceLost
from tasker.core.user_functions import is_async
from tasker.errors import TaskCancelled, TaskKilled, TaskTimeout
from tasker.metrics.meter import BATCH, Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .ports import EngineForTasks
from .reentrancy import current
from .resource_handle import AsyncResourceHandle
from .resource_pool import AsyncResourcePool


class _Run:
    """Records one call of ``run_task``, so that a kill can interrupt it."""

    def __init__(self, number: int, context: Context, sync: bool) -> None:
        self.number: int = number
        self.context: Context = context
        self.caller = asyncio.current_task()
        self.cancelling: int = self.caller.cancelling() if self.caller is not None else 0
        self.sync: bool = sync
        self.interrupted: bool = False

    def interrupt(self) -> None:
        # A function cannot be interrupted: it runs in a thread, or holds the loop.
        if self.caller is not None and not self.sync:
            self.interrupted = True
            self.caller.cancel()

    def take_back(self, error: BaseException) -> BaseException:
        """Returns the error that the caller gets: ``TaskKilled`` in place of the ``CancelledError`` of a kill."""
        if not self.interrupted or self.caller is None:
            return error
        # If more requests are left than at the start, the caller was cancelled by other code as well. It must get that
        # cancellation.
        cancelled_otherwise = self.caller.uncancel() > self.cancelling
        if not isinstance(error, asyncio.CancelledError) or cancelled_otherwise:
            return error
        killed = TaskKilled(str(self.context.cause))
        killed.__cause__ = error
        return killed


class AsyncRunTask:
    """Runs tasks for callers of one manager."""

    def __init__(self, engine: EngineForTasks, pool: AsyncResourcePool) -> None:
        self.engine: EngineForTasks = engine
        self._pool = pool
        self.meter: Meter = Meter()
        self._running: dict[int, _Run] = {}
        self._number = 0

    def holds(self, number: int) -> str | None:
        """See ``reentrancy.UserCodeScope``."""
        return "a task in run_task" if number in self._running else None

    def interrupt_all(self) -> None:
        """Cancels all calls that are running."""
        for run in list(self._running.values()):
            run.interrupt()

    async def run(self, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs the task. Returns its result or raises its error."""
        engine = self.engine
        queued = monotonic()
        # No await in between: a stop either refuses this task here, or waits for it.
        if engine.door:
            raise engine.shutdown_error()
        engine.counters.inline_accepted += 1
        engine.hooks.arrival()
        try:
            handle, temporary = await self._pool.acquire()
            if handle.remote is not None and not handle.remote.usable:
                handle = await self._pool.renew(handle, temporary)
        except BaseException:  # also a cancellation of the caller: the task was counted, and has to be counted as done
            self._leave(None, None)
            raise
        self._number += 1
        context = Context(engine.run_task_root) if handle.remote is None else handle.remote.context()
        run = self._running[self._number] = _Run(self._number, context, not is_async(task) and handle.remote is None)
        if engine.killed:  # while the resource was acquired, when ``interrupt_all`` did not see this call
            run.interrupt()
        error: BaseException | None = None
        started = monotonic()
        try:
            return await self._call(run, handle, task, args)
        except BaseException as raised:
            error = run.take_back(raised)
            if error is raised:
                raise
            raise error from raised
        finally:
            await self._give_back(run, handle, temporary, error, TaskLifecycleTimestamps(queued, started, monotonic()))
            del error  # its traceback holds this frame

    async def _call(
        self, run: _Run, handle: AsyncResourceHandle, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        # In the caller's own context, so it has to be reset: the caller goes on after this task.
        token = current.set((self, run.number))
        try:
            if handle.remote is not None:
                return await handle.remote.run(run.context, task, args)
            assert handle.caller is not None
            if not run.sync:
                return await task(run.context, handle.resource, *args)
            return await handle.caller.call_sync(contextvars.copy_context(), task, run.context, handle.resource, *args)
        finally:
            current.reset(token)

    async def _give_back(
        self,
        run: _Run,
        handle: AsyncResourceHandle,
        temporary: bool,
        error: BaseException | None,
        stamps: TaskLifecycleTimestamps,
    ) -> None:
        engine = self.engine
        del self._running[run.number]
        engine.run_task_root.release(run.context)
        cancelled = isinstance(error, asyncio.CancelledError) or (
            isinstance(error, TaskCancelled) and run.context.cancelled
        )
        try:
            broken = handle.remote is not None and not handle.remote.usable
            healthy = not broken and (error is None or cancelled or await engine.healthy(error))
            if await self._pool.release(handle, temporary, healthy):
                engine.report(PoolResourceLost())
        finally:
            # Also if the caller is cancelled in the awaits above: a stop waits for this task until it is counted.
            self._leave(stamps, error, cancelled)

    def _leave(
        self, stamps: TaskLifecycleTimestamps | None, error: BaseException | None, cancelled: bool = False
    ) -> None:
        engine, meter = self.engine, self.meter
        engine.counters.inline_done += 1
        if stamps is None:  # no resource could be acquired
            meter.failed += 1
        elif cancelled:
            meter.cancelled += 1
        else:
            meter.failed += error is not None
            meter.timed_out += isinstance(error, TaskTimeout)
            meter.execution.append(stamps.finished_at - stamps.started_at)
            meter.wait.append(stamps.started_at - stamps.queued_at)
            if len(meter.execution) >= BATCH:
                meter.flush()
            record = engine.hooks.completion if error is None else engine.hooks.failure
            record(stamps)
        if engine.door:
            engine.check_drained()
