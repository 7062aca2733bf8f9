"""The worker: a long-lived task of the loop, one resource, one task at a time.

A task that succeeds without waiting is one step of the ``TaskRunner``, which takes it from the queue and sets its outcome;
``serve`` makes the steps, each in the context variables that it belongs to. For whatever else happens the lane asks here.

Cancellation. A task runs *in* the worker's task of the loop, so to cancel it, the worker's is cancelled: the loop throws
``CancelledError`` where the task waits, and no further than that, because the lane catches what comes out. What the task
does with it is its own business. Afterwards ``_absorb`` clears what is left of the request (a task may have swallowed
it, or asked for it and ended without waiting), so it never hits the next task. The worker itself is never ended by a
cancellation: that is what ``Retire`` is for. When a loop that closes cancels everything, ``EngineForWorkers`` notices by its
keeper, and kills.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_error
from tasker.control.workers import WorkerState
from tasker.errors import DeadlockError, TaskCancelled, TaskKilled, TaskTimeout, WorkerLost
from tasker.logs import describe
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .counters import AsyncShard
from .future import QUEUED, RUNNING, AsyncTaskFuture
from .ports import EngineForWorkers
from .user_functions import FunctionCaller
from .wait_detection import awaited_by
from .worker_loop import FAILED, PARK, PAUSE, PLAIN, SWITCH, RunnerRequest, TaskRunner


class AsyncWorker:
    """Makes a resource, serves the queue with it, and ends it; reports each step to the supervisor."""

    def __init__(self, engine: EngineForWorkers, seat: ev.Seat) -> None:
        self.engine: EngineForWorkers = engine
        self.seat: ev.Seat = seat
        self.shard: AsyncShard = engine.shard(seat.slot)
        self.state: WorkerState = WorkerState.STARTING
        self.name: str = f"{engine.config.name}-{seat.slot}"
        self.context: Context | None = None
        """Of the task that it runs now, or ran last."""
        self.waited: Any = None
        """What its task waits for now."""
        self.waits: bool = False
        """Whether it is entered as waiting for a task of its own manager."""
        self.runner: TaskRunner | None = None
        self.interruptible: bool = False
        """Whether a cancellation now would reach user code that is to be cancelled."""
        self._begun = False
        # In an empty context: what was current when a worker happened to be started has nothing to do with it.
        self.task: asyncio.Task[None] = engine.loop.create_task(
            self._run(), name=self.name, context=contextvars.Context()
        )
        self.task.add_done_callback(self._gone)

    def waits_for(self) -> list[Any]:
        """What the task that runs here waits for, as far as it can be seen."""
        if self.waited is None or self.runner is None:
            return []
        return [self.waited, *awaited_by(getattr(self.runner.generator, "gi_yieldfrom", None))]

    def _gone(self, task: asyncio.Task[None]) -> None:
        if not self._begun:  # cancelled before its first step, which then never came
            self.engine.creation_failed(self.seat, asyncio.CancelledError())

    async def _run(self) -> None:
        engine = self.engine
        self._begun = self.interruptible = True
        try:
            if engine.killed:
                raise TaskKilled(engine.refusal)
            handle = await engine.maker.make(self.name)
        except BaseException as error:
            if engine.torn_down:
                raise
            engine.creation_failed(self.seat, error)
            return
        self.interruptible = False
        self.state = WorkerState.READY
        engine.report(ev.WorkerReady(self.seat))
        assert handle.caller is not None
        last = await self._serve_guarded(handle.resource, handle.caller)
        self.state = WorkerState.ENDING
        await self._absorb()
        await engine.maker.end(handle)
        engine.report(last)

    async def _serve_guarded(self, resource: Any, caller: FunctionCaller) -> ev.Event:
        """Serves until it is time to end; returns the last thing to report, after the resource is destroyed."""
        self.runner = runner = TaskRunner(self, resource)
        try:
            await self.serve(runner, resource, caller)
        except BaseException as error:  # not the task's: no memory, or a fault of ours
            if self.engine.torn_down:
                raise
            self.engine.log.fault(f"worker {self.name}", error)
            self._lose_task(error)
            return ev.WorkerDied(self.seat, describe(error))
        finally:
            runner.close()
        return ev.WorkerEnded(self.seat)

    async def serve(self, runner: TaskRunner, resource: Any, caller: FunctionCaller) -> None:
        """Runs tasks until told to retire, or until a task leaves the resource unhealthy."""
        step, run = runner.generator.__next__, contextvars.Context.run
        outcome = step()
        while True:
            while outcome is SWITCH:
                outcome = run(runner.variables, step)
            if type(outcome) is not RunnerRequest:
                outcome = await self._rest(runner, outcome)
            elif await self._grant(runner, outcome, resource, caller):
                outcome = step()
            else:
                return

    async def _rest(self, runner: TaskRunner, waited: Any) -> RunnerRequest:
        """Runs a task that waits, to its end."""
        self.interruptible = True
        try:
            return await runner.rest(self.shard.future, waited)
        finally:
            self.interruptible = False
            runner.interruption = None

    async def _grant(self, runner: TaskRunner, request: RunnerRequest, resource: Any, caller: FunctionCaller) -> bool:
        """Does what the lane asks for. False if this worker has to end."""
        goes_on = True
        if request is PARK:
            await self._park()
        elif request is PAUSE:
            await self._pause()
        elif request is PLAIN:
            goes_on = await self._call(self.shard.future, resource, caller)
        elif request is FAILED:
            error, runner.error = runner.error, None
            assert error is not None
            if self.task.cancelling():
                await self._absorb()
            try:
                goes_on = await self.failed(self.shard.future, error)
            finally:
                del error
        else:
            self.engine.report(ev.WorkerRetiring(self.seat))
            goes_on = False
        if self.task.cancelling():
            await self._absorb()
        return goes_on

    async def _call(self, future: Any, resource: Any, caller: FunctionCaller) -> bool:
        """Runs a task that is not a coroutine function."""
        engine, task, variables = self.engine, future._task, future._variables or contextvars.Context()
        self.context = context = Context(engine.root)
        future._started_at = begun = monotonic()
        self.interruptible = not engine.config.sync_in_thread
        try:
            value = await caller.call_sync(variables, task, context, resource, *future._held)
        except BaseException as error:
            if engine.torn_down:
                raise
            return await self.failed(future, error)
        finally:
            self.interruptible = False
            if not engine.config.sync_in_thread:
                engine.slow_callbacks.check(begun, self.name, future.id, task)
        self._succeeded(future, value)
        return True

    def _succeeded(self, future: AsyncTaskFuture[Any], value: Any) -> None:
        """As at the end of the lane's straight path."""
        engine, shard = self.engine, self.shard
        future._finished_at = finished = monotonic()
        shard.meter.execution.append(finished - future._started_at)
        shard.meter.wait.append(future._started_at - future._queued_at)
        shard.done += 1
        shard.future = None
        if engine.collector is not None:
            engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, future._started_at, finished))
        if future._stage == RUNNING:
            future._end_result(value)

    async def failed(self, future: Any, error: BaseException, *, blameless: bool = False) -> bool:
        """Sees to a task that raised. False if the resource is to blame; then this worker must end. ``blameless``: it is not,
        without asking."""
        engine, shard = self.engine, self.shard
        future._finished_at = finished = monotonic()
        if error.__traceback__ is not None:
            error.__traceback__ = error.__traceback__.tb_next  # less our own frame, which would keep things alive
        cancellation = cancellation_of(future, self.context, error, engine.refusal)
        verdict = after_error(
            cancelled=cancellation is not None, blameless=blameless or isinstance(error, DeadlockError)
        )
        if verdict is None and not await engine.healthy(error):
            self._send_back(future, error)
            return False
        stamps = TaskLifecycleTimestamps(future._queued_at, future._started_at, finished)
        shard.failed(stamps, cancelled=verdict is Verdict.CANCELLED, timed_out=isinstance(error, TaskTimeout))
        shard.future = None
        if verdict is not Verdict.CANCELLED:
            engine.hooks.failure(stamps)
        if future.done():  # abandoned
            return True
        if cancellation is None:
            future._end_error(error)
        elif future.extra().cancel_requested:
            future._end_cancelled(cancellation)
        else:
            future._end_error(cancellation, cancelled=True)
        return True

    def _send_back(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        engine = self.engine
        self.shard.future = None
        if future.done():  # abandoned
            self.shard.done += 1
            return
        future._stage = QUEUED
        extra = future.extra()
        extra.sent_back += 1
        engine.counters.sent_back += 1
        self.shard.sent_back += 1
        text = "worker %s replaces its resource: %s failed (attempt %d) with %s"
        engine.log.log("warning", text, self.name, future.label, future.attempts, describe(error))
        extra.failure = error
        cancelled = extra.cancel_requested or (self.context is not None and self.context.cancelled)
        engine.report(ev.AttemptFailed(self.seat, future, future.attempts, extra.once, cancelled))

    def _lose_task(self, error: BaseException) -> None:
        future, self.shard.future = self.shard.future, None
        if future is not None and future._stage == RUNNING:
            self.shard.done += 1
            self.shard.meter.failed += 1
            lost = WorkerLost(f"worker {self.name} was lost while it ran {future.label}: {describe(error)}")
            lost.__cause__ = error
            future._end_error(lost)

    # -- the loop and its cancellations ---------------------------------------------------------------------------

    async def _park(self) -> None:
        """Waits for something to do."""
        self.shard.flush()
        waiter = self.engine.loop.create_future()
        self.engine.queue.parked.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            await self._absorb()
        finally:
            if not waiter.done() or waiter.cancelled():
                self.engine.queue.forget(waiter)

    async def _pause(self) -> None:
        """Lets the loop have a turn."""
        self.shard.flush()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            await self._absorb()

    async def _absorb(self) -> None:
        """Clears what is left of a request to cancel."""
        while self.task.cancelling():
            self.task.uncancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass

    def cut_off(self) -> bool:
        """Ends whatever runs here by force, and the resource with it. False where that can't be done."""
        return False

    def interrupt(self) -> None:
        """Throws ``CancelledError`` into what runs here, where it can be done."""
        if self.interruptible:
            self.task.cancel()


def cancellation_of(
    future: AsyncTaskFuture[Any], context: Context | None, error: BaseException, refusal: str
) -> TaskCancelled | None:
    """The cancellation that an error of a task means, if it means one."""
    cause = context.cause if context is not None else None
    if isinstance(error, TaskCancelled) and cause is not None:
        return error
    if isinstance(error, asyncio.CancelledError):
        if isinstance(cause, TaskKilled):
            told: TaskCancelled = TaskKilled(f"{future.label} was killed: {refusal}")
        elif cause is not None:
            told = TaskCancelled(f"{future.label} was cancelled: {cause}")
        else:
            told = TaskCancelled(f"{future.label} ended with CancelledError")
        told.__cause__ = error
        return told
    if isinstance(error, concurrent.futures.CancelledError) and cause is not None:
        told = TaskCancelled(f"{future.label} was cancelled: {cause}")
        told.__cause__ = error
        return told
    return None
