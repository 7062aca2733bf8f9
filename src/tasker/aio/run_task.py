"""``run_task``: runs a task at once in the caller's own task of the loop, with a pooled or a temporary resource.

A kill cancels it in the way of ``asyncio.timeout``: it cancels the caller's task, and takes the cancellation back when
it turns the error into ``TaskKilled``.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from time import monotonic
from types import CoroutineType
from typing import Any

from tasker.context import Context
from tasker.control.attempts import after_error
from tasker.control.events import PoolResourceLost
from tasker.control.health import Health, HealthKind
from tasker.core.probing import passes
from tasker.core.user_functions import is_async, is_awaitable
from tasker.errors import DeadlockError, PausedError, Snooze, TaskCancelled, TaskKilled, TaskTimeout
from tasker.metrics.meter import BATCH, Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .cancellation import outlast, restore
from .hooks import fits, health_after, reset
from .ports import EngineForInlineTasks
from .reentrancy import current, enclosing_user_code, hook_scope
from .resource_handle import AsyncResourceHandle
from .resource_pool import AsyncResourcePool
from .tasks import start_duty
from .user_functions import FunctionCaller, in_context


class _Run:
    """Records one call of ``run_task``, so that a kill can interrupt it."""

    def __init__(self, number: int) -> None:
        self.number: int = number
        self.caller = asyncio.current_task()
        self.cancelling: int = self.caller.cancelling() if self.caller is not None else 0
        self.on_kill: Callable[[], object] | None = None
        """Called at a kill where the task cannot be interrupted: in a thread, or in another process."""
        self.interrupted: bool = False
        self.blamed: BaseException | None = None
        """The error that ``check_health`` is asked about, if it is not the one that the caller gets."""
        self.returned: bool = False
        """Whether a task has returned elsewhere, although its caller was cancelled."""

    def interrupt(self) -> None:
        if self.on_kill is not None:
            self.on_kill()
        elif self.caller is not None:
            self.interrupted = True
            self.caller.cancel()

    async def take_back(self) -> bool:
        """Takes the cancellation by a kill back. Returns whether the caller was cancelled by other code as well, and
        has to get that cancellation."""
        if not self.interrupted or self.caller is None:
            return False
        # If more requests are left than at the start, they are of other code.
        otherwise = self.caller.uncancel() > self.cancelling
        if not otherwise and self.caller._must_cancel:  # type: ignore[attr-defined]
            # The task has ended before the error was thrown, which would strike the caller's next ``await``.
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                otherwise = self.caller.cancelling() > self.cancelling
                if otherwise:
                    restore(error)
        return otherwise


class AsyncRunTask:
    """Runs tasks for callers of one manager."""

    def __init__(self, engine: EngineForInlineTasks, pool: AsyncResourcePool) -> None:
        self.engine: EngineForInlineTasks = engine
        self._pool = pool
        self._checks = engine.config.check_resource is not None
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
            self._refuse()
        engine.counters.inline_accepted += 1
        engine.hooks.arrival()
        self._number += 1
        run = self._running[self._number] = _Run(self._number)
        if engine.backend is not None:  # a kill does not cut off an ``on_create`` there
            run.on_kill = _nothing
        try:
            handle, temporary = await self._pool.acquire()
            if not handle.usable:
                handle = await self._pool.renew(handle, temporary)
            elif self._checks and engine.now() - handle.used > engine.config.check_after_idle:
                handle = await self._checked(handle, temporary)
        except BaseException as raised:  # the task was counted, and has to be counted as done
            del self._running[run.number]
            self._leave(None, None)
            if (killed := await self._error_of(run, raised)) is not raised:
                raise killed from raised
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
            error = await self._error_of(run, raised)
            if error is raised:
                raise
            raise error from raised
        finally:
            stamps = TaskLifecycleTimestamps(queued, started, monotonic())
            await self._give_back(run, context, handle, temporary, error, stamps)
            del error  # its traceback holds this frame

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
            if not (fit and self._pool.take_back(handle, temporary)) and await self._pool.destroy(handle, temporary):
                engine.report(PoolResourceLost())
            raise struck
        finally:
            del struck  # its traceback holds this frame

    async def _fits(self, handle: AsyncResourceHandle) -> bool:
        with hook_scope(self.engine, "check_resource in run_task"):
            if handle.remote is not None:
                return passes(self.engine, "run_task", await handle.remote.check())
            return await fits(self.engine, handle, "run_task")

    async def _error_of(self, run: _Run, raised: BaseException) -> BaseException:
        """Returns the error that the caller gets: ``TaskKilled`` in place of the ``CancelledError`` of a kill."""
        if not run.interrupted or await run.take_back() or not issubclass(type(raised), asyncio.CancelledError):
            return raised
        killed = TaskKilled(self.engine.refusal)
        killed.__cause__ = raised
        return killed

    async def _call(
        self, run: _Run, context: Context, handle: AsyncResourceHandle, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        # In the caller's own context, so it has to be reset: the caller goes on after this task.
        token = current.set((self, run.number))
        try:
            if handle.remote is not None:
                run.on_kill = lambda: self._cancel(context, self.engine.run_task_root.cause)
                return _outcome(run, *await handle.remote.outcome_of(context, task, args))
            assert handle.caller is not None
            if is_async(task):
                return await task(context, handle.resource, *args)
            return await self._call_plain(run, context, handle.caller, task, (context, handle.resource, *args))
        finally:
            current.reset(token)

    async def _call_plain(
        self, run: _Run, context: Context, caller: FunctionCaller, task: Callable[..., Any], args: tuple[Any, ...]
    ) -> Any:
        """Calls a plain function, and awaits what it returns if it is an awaitable."""
        variables = contextvars.copy_context()
        if caller.in_thread:
            value = await self._call_in_thread(run, context, caller, variables, task, args)
        else:
            value = variables.run(task, *args)
        if not is_awaitable(value):
            return value
        if self.engine.killed:  # while the function ran in its thread
            run.interrupt()
        return await in_context(variables, value)

    async def _call_in_thread(
        self,
        run: _Run,
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
            return _outcome(run, *outcome)
        finally:
            del outcome  # the error's traceback holds this frame

    def _cancel(self, context: Context, cause: BaseException | None) -> None:
        try:
            context.cancel(cause)
        except BaseException as fault:
            self.engine.log.fault("a callback of Context.on_cancel", fault)

    async def _give_back(
        self,
        run: _Run,
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
        engine.run_task_root.release(context)
        cancelled = issubclass(type(error), asyncio.CancelledError) or (
            issubclass(type(error), TaskCancelled) and context.cancelled
        )
        blamed = self._to_ask_about(run, error, cancelled)
        usable = handle.remote is None or handle.remote.usable
        if (
            usable
            and (blamed is None or engine.config.check_health is None)
            and (handle.remote is not None or (handle.wear is None and engine.config.on_return is None))
            and self._pool.take_back(handle, temporary)
        ):
            self._leave(stamps, error, cancelled)
            return
        # In a task of its own, because the caller may be cancelled meanwhile: neither may that strike ``check_health``
        # or ``on_destroy``, nor may it be lost there.
        closing = start_duty(
            engine.loop,
            self._close(handle, temporary, usable, (blamed, stamps), lambda: self._leave(stamps, error, cancelled)),
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

    def _to_ask_about(self, run: _Run, error: BaseException | None, cancelled: bool) -> BaseException | None:
        """Returns the error about which ``check_health`` has to be asked, if any."""
        if error is None or run.returned:
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
        ended: tuple[BaseException | None, TaskLifecycleTimestamps],
        leave: Callable[[], None],
    ) -> None:
        """Takes a resource back, or destroys it, and counts the task. ``ended``: the error that ``check_health`` is asked
        about, if any, and the times of the task."""
        engine = self.engine
        blamed, stamps = ended
        try:
            health = Health.OK if blamed is None or not usable else await self._health(blamed, stamps.started_at)
            healthy = usable and not health.replaces and await self._returns(handle)
            lacks = not (
                healthy and self._pool.take_back(handle, temporary, health.seconds)
            ) and await self._pool.destroy(handle, temporary)
            if lacks:
                engine.report(PoolResourceLost())
        finally:
            # Whatever happens: a stop waits for this task until it is counted.
            leave()

    async def _returns(self, handle: AsyncResourceHandle) -> bool:
        """Returns whether a resource may serve another call."""
        if handle.remote is not None:  # there it was seen to
            return True
        if handle.wear is not None:
            handle.wear.served += 1
        with hook_scope(self.engine, "on_return in run_task"):
            return await reset(self.engine, handle)  # one that is worn is renewed before the next call

    async def _health(self, blamed: BaseException, begun: float) -> Health:
        with hook_scope(self.engine, "check_health in run_task"):
            health = await health_after(self.engine, blamed)
        if health.kind is HealthKind.DEPENDENCY_DOWN:
            self.engine.dependency_down(blamed, begun)
        return health

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


def _outcome(run: _Run, raised: bool, value: Any, struck: asyncio.CancelledError | None) -> Any:
    """Returns what a task has returned in a thread or in another process, or raises its error; ``struck``, if its caller
    was cancelled meanwhile."""
    try:
        if struck is not None:
            # The outcome is dropped, as that of any call that was cancelled; but not what it says of the resource.
            if raised:
                run.blamed = value
            run.returned = not raised
            if issubclass(type(value), CoroutineType):
                value.close()
            raise struck
        if raised:
            raise value
        return value
    finally:
        del value, struck  # the error's traceback holds this frame


def _nothing() -> None:
    pass
