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
from tasker.control.attempts import after_error
from tasker.control.health import Health, HealthKind
from tasker.core.inline_tries import InlineTries
from tasker.core.probing import passes
from tasker.core.user_functions import is_async, is_awaitable
from tasker.errors import DeadlockError, PausedError, Snooze, TaskCancelled, TaskKilled, TaskTimeout
from tasker.metrics.meter import BATCH, Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .cancellation import outlast
from .hooks import fits, health_after, reset
from .inline_runs import Run, RunEnding, outcome_of
from .ports import EngineForInlineTasks
from .reentrancy import current, enclosing_user_code, hook_scope, mark
from .resource_handle import AsyncResourceHandle
from .resource_pool import AsyncResourcePool
from .tasks import start_duty
from .user_functions import FunctionCaller, in_context


class AsyncRunTask:
    """Runs tasks for callers of one manager."""

    def __init__(self, engine: EngineForInlineTasks, pool: AsyncResourcePool) -> None:
        self.engine: EngineForInlineTasks = engine
        self._pool = pool
        self._checks = engine.config.check_resource is not None
        self.meter: Meter = Meter()
        self._running: dict[int, Run] = {}
        self._number = 0

    def holds(self, number: int) -> str | None:
        """See ``reentrancy.UserCodeScope``."""
        return "a task in run_task" if number in self._running else None

    @property
    def busy(self) -> bool:
        """Whether any call runs."""
        return bool(self._running)

    def interrupt_all(self) -> None:
        """Cancels all calls that are running."""
        for run in list(self._running.values()):
            run.interrupt()

    async def run(self, task: Callable[..., Any], args: tuple[Any, ...], tries: InlineTries | None = None) -> Any:
        """Runs the task. Returns its result or raises its error. ``tries``: the call that this is an attempt of."""
        engine = self.engine
        run = self._admitted(tries)
        try:
            handle, temporary = await self._pool.acquire()
            if not handle.usable:
                handle = await self._pool.renew(handle, temporary)
            elif self._checks and engine.now() - handle.used > engine.config.check_after_idle:
                handle = await self._checked(handle, temporary)
        except BaseException as raised:  # the task was counted, and has to be counted as done
            self.exit(run)
            ending = await self.error_of(run, raised)
            cancelled = issubclass(type(ending), asyncio.CancelledError | TaskKilled)
            self.leave(None, None if tries is None else ending, cancelled)
            if ending is not raised:
                raise ending from raised
            raise
        context = Context(engine.run_task_root) if handle.remote is None else handle.remote.context()
        error: BaseException | None = None
        started = monotonic()
        try:
            if engine.killed:
                raise TaskKilled(engine.refusal)
            value = await self._call(run, context, handle, task, args)
            await run.take_back()
            return value
        except BaseException as raised:
            error = await self.error_of(run, raised)
            if error is raised:
                raise
            raise error from raised
        finally:
            stamps = TaskLifecycleTimestamps(run.queued, started, monotonic())
            await self._give_back(run, context, handle, temporary, error, stamps)
            del error  # its traceback holds this frame

    def _admitted(self, tries: InlineTries | None) -> Run:
        """Counts a call, or another attempt of one that was counted. Raises the error of one that is refused."""
        engine = self.engine
        queued = monotonic()
        if tries is not None and tries.carried:
            queued, tries.carried = tries.queued, False
        else:
            # No await in between: a stop either refuses this task here, or waits for it.
            if engine.door:
                self._refuse()
            engine.counters.inline_accepted += 1
            engine.hooks.arrival()
        self._number = number = self._number + 1
        run = self._running[number] = Run(number, tries)
        run.queued = queued
        if tries is not None:
            tries.queued, tries.wake = queued, run.strike
        if engine.backend is not None:  # a kill does not cut off an ``on_create`` there
            run.on_kill = _nothing
        return run

    def enter(self, tries: InlineTries | None) -> Run:
        """Notes what may be interrupted from now on."""
        self._number += 1
        run = self._running[self._number] = Run(self._number, tries)
        return run

    def exit(self, run: Run) -> None:
        """It has ended."""
        del self._running[run.number]
        if run.tries is not None:
            run.tries.wake = _nothing

    def _refuse(self) -> None:
        """Raises the error of a call that is refused. During a pause, those of tasks that still run are not."""
        engine = self.engine
        if engine.closed:
            raise engine.shutdown_error()
        if not engine.view.awaits_quiet or enclosing_user_code(engine) is None:
            raise PausedError(f"task manager {engine.config.name!r} is paused, and run_task does not wait")

    async def _checked(self, handle: AsyncResourceHandle, temporary: bool) -> AsyncResourceHandle:
        """Returns a resource that has been idle for too long, or another one if it is not fit."""
        engine = self.engine
        # In a task of its own, because the caller may be cancelled meanwhile.
        name = f"{engine.config.name}-run-task-check"
        checking = start_duty(engine.loop, self._fits(handle), name, contextvars.copy_context())
        struck = await outlast(checking)
        fit: bool = checking.result()
        if struck is None:
            return handle if fit else await self._pool.renew(handle, temporary)
        try:
            if not (fit and self._pool.take_back(handle, temporary)):
                await self._pool.destroy(handle, temporary)
            raise struck
        finally:
            del struck  # its traceback holds this frame

    async def _fits(self, handle: AsyncResourceHandle) -> bool:
        with hook_scope(self.engine, "check_resource in run_task"):
            if handle.remote is not None:
                return passes(self.engine, "run_task", await handle.remote.check())
            return await fits(self.engine, handle, "run_task")

    async def error_of(self, run: Run, raised: BaseException) -> BaseException:
        """Returns the error that the caller gets: ``TaskKilled`` or ``TaskTimeout`` in place of the ``CancelledError`` of a kill or a
        limit."""
        if not run.interrupted or await run.take_back() or not issubclass(type(raised), asyncio.CancelledError):
            return raised
        if run.tries is not None and not self.engine.killed:
            return run.tries.interrupted(raised)
        killed = TaskKilled(self.engine.refusal)
        killed.__cause__ = raised
        return killed

    async def _call(
        self, run: Run, context: Context, handle: AsyncResourceHandle, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        if run.tries is not None:
            run.tries.context = context
        # In the caller's own context, so it has to be reset: the caller goes on after this task.
        token = mark(self, run.number)
        try:
            if handle.remote is not None:
                run.on_kill = lambda: self._cancel(context, self.engine.run_task_root.cause)
                if run.tries is None:
                    return outcome_of(run, *await handle.remote.outcome_of(context, task, args))
                with run.tries.attempt_elsewhere(context):
                    return outcome_of(run, *await handle.remote.outcome_of(context, task, args))
            assert handle.caller is not None
            if is_async(task):
                return await task(context, handle.resource, *args)
            return await self._call_plain(run, context, handle.caller, task, (context, handle.resource, *args))
        finally:
            current.reset(token)

    async def _call_plain(
        self, run: Run, context: Context, caller: FunctionCaller, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        """Calls a plain function, and awaits what it returns if it is an awaitable."""
        variables = contextvars.copy_context()
        if caller.in_thread:
            value = await self._call_in_thread(run, context, caller, variables, task, args)
        else:
            value = variables.run(task, *args)
        if not is_awaitable(value):
            return value
        if self.engine.killed or (run.tries is not None and context.cancelled):  # while the function ran in its thread
            run.interrupt()
        return await in_context(variables, value)

    async def _call_in_thread(
        self,
        run: Run,
        context: Context,
        caller: FunctionCaller,
        variables: contextvars.Context,
        task: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> Any:
        """Calls a function in its thread. If the caller is cancelled meanwhile, cancels the context, waits for the end of
        the function, and raises the ``CancelledError``."""
        run.on_kill = _nothing  # its context is cancelled by then
        outcome = await caller.thread.outcome_of(
            variables,
            task,
            *args,
            on_struck=lambda error: self._cancel(context, TaskCancelled("the caller of run_task was cancelled")),
        )
        run.on_kill = None
        try:
            return outcome_of(run, *outcome)
        finally:
            del outcome  # the error's traceback holds this frame

    def _cancel(self, context: Context, cause: BaseException | None) -> None:
        try:
            context.cancel(cause)
        except BaseException as fault:
            self.engine.log.fault("a callback of Context.on_cancel", fault)

    async def _give_back(
        self,
        run: Run,
        context: Context,
        handle: AsyncResourceHandle,
        temporary: bool,
        error: BaseException | None,
        stamps: TaskLifecycleTimestamps,
    ) -> None:
        engine = self.engine
        if self._checks:
            handle.used = engine.now()
        del self._running[run.number]
        if context._watchers:
            engine.run_task_root.release(context)
        usable = handle.remote is None or handle.remote.usable
        unchanged = handle.remote is not None or (handle.wear is None and engine.config.on_return is None)
        # First what most calls do, and without an object for it.
        if error is None and run.tries is None and usable and unchanged and self._pool.take_back(handle, temporary):
            self.leave(stamps, None)
            return
        cancelled = issubclass(type(error), asyncio.CancelledError) or (
            issubclass(type(error), TaskCancelled) and context.cancelled
        )
        end = RunEnding(stamps, error, cancelled, run.tries)
        await self._end(run, handle, temporary, end, usable, unchanged)

    async def _end(
        self, run: Run, handle: AsyncResourceHandle, temporary: bool, end: RunEnding, usable: bool, unchanged: bool
    ) -> None:
        """Sees to a call after an error, or where there is more to do with its resource than to return it."""
        engine = self.engine
        if run.tries is not None:
            run.tries.wake = _nothing
            end.settle(lost=not usable)
        blamed = self._to_ask_about(run, end)
        if (
            usable
            and (blamed is None or engine.config.check_health is None)
            and unchanged
            and self._pool.take_back(handle, temporary)
        ):
            self._leave_with(end)
            return
        # In a task of its own, because the caller may be cancelled meanwhile: neither may that strike ``check_health``
        # or ``on_destroy``, nor may it be lost there.
        closing = start_duty(
            engine.loop,
            self._close(handle, temporary, usable, blamed, end),
            f"{engine.config.name}-run-task-end",
            contextvars.copy_context(),
        )
        struck = await outlast(closing)
        try:
            if struck is not None:
                raise struck
        finally:
            del struck  # its traceback holds this frame
        closing.result()

    def _to_ask_about(self, run: Run, end: RunEnding) -> BaseException | None:
        """Returns the error about which ``check_health`` has to be asked, if any."""
        error, cancelled = end.error, end.cancelled
        if error is None or run.returned or end.unused:
            return None
        if run.blamed is not None:
            error = run.blamed
        killed, blameless = issubclass(type(error), TaskKilled), issubclass(type(error), DeadlockError | Snooze)
        if after_error(cancelled=cancelled, killed=killed, blameless=blameless) is not None:
            return None
        if issubclass(type(error), asyncio.CancelledError):
            cancellation = TaskCancelled("the caller of run_task was cancelled")
            cancellation.__cause__ = error
            return cancellation
        return error

    async def _close(
        self,
        handle: AsyncResourceHandle,
        temporary: bool,
        usable: bool,
        blamed: BaseException | None,
        end: RunEnding,
    ) -> None:
        """Takes a resource back, or destroys it, and counts the task. ``blamed``: the error that ``check_health`` is asked
        about, if any."""
        try:
            health = Health.OK if blamed is None or not end.asks(usable) else await self._health(blamed, end)
            end.health = health if health.blames else end.health
            healthy = usable and not health.replaces and await self._returns(handle)
            if not (healthy and self._pool.take_back(handle, temporary, health.seconds)):
                await self._pool.destroy(handle, temporary)
        finally:
            # Whatever happens: a stop waits for this task until it is counted.
            self._leave_with(end)

    async def _returns(self, handle: AsyncResourceHandle) -> bool:
        """Returns whether a resource may serve another call."""
        if handle.remote is not None:  # there it was seen to
            return True
        if handle.wear is not None:
            handle.wear.served += 1
        with hook_scope(self.engine, "on_return in run_task"):
            return await reset(self.engine, handle)  # one that is worn is renewed before the next call

    async def _health(self, blamed: BaseException, end: RunEnding) -> Health:
        with hook_scope(self.engine, "check_health in run_task"):
            health = await health_after(self.engine, blamed)
        if health.kind is HealthKind.DEPENDENCY_DOWN:
            self.engine.dependency_down(blamed, end.stamps.started_at)
        return health

    def _leave_with(self, end: RunEnding) -> None:
        """The task has ended, or another attempt of it follows."""
        error = end.judged()
        if end.tries is not None and end.tries.again:
            end.tries.carried = True
        else:
            self.leave(None if end.unused else end.stamps, error, end.cancelled)

    def leave(
        self, stamps: TaskLifecycleTimestamps | None, error: BaseException | None, cancelled: bool = False
    ) -> None:
        engine, meter = self.engine, self.meter
        engine.counters.inline_done += 1
        if cancelled:
            meter.cancelled += 1
        elif stamps is None:  # no resource could be acquired, or not in time
            meter.failed += 1
            meter.timed_out += issubclass(type(error), TaskTimeout)
        else:
            meter.failed += error is not None
            meter.timed_out += issubclass(type(error), TaskTimeout)
            meter.execution.append(stamps.finished_at - stamps.started_at)
            meter.wait.append(stamps.started_at - stamps.queued_at)
            if len(meter.execution) >= BATCH:
                meter.flush()
            if error is None:
                engine.hooks.completion(stamps)
            else:
                engine.hooks.failure(stamps, None, error)
        if engine.door:
            engine.check_drained()


def _nothing() -> None:
    pass
