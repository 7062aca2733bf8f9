"""How the attempts of an asynchronous worker end: what becomes of the task, and of the books, where more has to be done than
setting a result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_error, goes_back, own_error
from tasker.control.health import Health
from tasker.control.wording import SNOOZES, attempt_failed
from tasker.core.judged import JudgedWorker
from tasker.core.limited_task import LateReturn, TimedOut, may_retry
from tasker.core.outcomes import snooze_of, starts_once, without_first_frame
from tasker.errors import DeadlockError, TaskCancelled, TaskKilled, TaskTimeout, WorkerLost
from tasker.logs import describe
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .cancellation import cancellation_of, unusable
from .counters import AsyncShard
from .future import QUEUED, RUNNING, AsyncTaskFuture
from .hooks import health_after
from .interrupts import HeldInterrupts, raise_in
from .ports import EngineForWorkers
from .worker_loop import in_hand, names_in


class AttemptEnds(JudgedWorker):
    """The part of an ``AsyncWorker`` that ends attempts."""

    engine: EngineForWorkers
    shard: AsyncShard
    context: Context | None
    """The context of the task that it runs, or ran last."""
    judging: bool = False
    """Whether ``check_health`` is asked, which may hang."""
    now: Callable[[], float] = staticmethod(monotonic)

    def _succeeded(self, future: AsyncTaskFuture[Any], value: Any) -> None:
        """Ends a task with its result, as ``TaskRunner`` does."""
        engine, shard = self.engine, self.shard
        # Counted before the outcome is visible: a caller that has the result also finds it in ``stats()``.
        future._finished_at = finished = monotonic()
        shard.meter.execution.append(finished - future._started_at)
        shard.meter.wait.append(future._started_at - future._queued_at)
        shard.done += 1
        shard.future = None
        if engine.collector is not None:
            engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, future._started_at, finished))
        if future._stage == RUNNING:  # not abandoned by a kill
            future._end_result(value)

    async def failed(self, future: Any, error: BaseException, *, blameless: bool = False) -> Health:
        """Handles a task that raised. Returns what that says of the resource: whether this worker must end, or cool down.
        ``blameless``: the resource is not to blame, and ``check_health`` is not asked."""
        engine = self.engine
        if type(error) is LateReturn:
            return await self._returned(error)
        future._finished_at = monotonic()
        without_first_frame(error)  # of the runner, which would keep the resource and the next tasks alive
        cancellation = cancellation_of(future, self.context, error, engine.refusal)
        seconds = None if cancellation is not None else snooze_of(error)
        if seconds is not None:
            self._snooze(future, error, seconds)
            return Health.OK
        blameless = blameless or issubclass(type(error), DeadlockError)
        timed_out = self._timed_out(future, error)
        if timed_out is not None:
            error, cancellation, blameless = timed_out.error, None, blameless or timed_out.blameless
        cancelled, killed = cancellation is not None, isinstance(cancellation, TaskKilled)
        verdict = after_error(cancelled=cancelled, killed=killed, blameless=blameless)
        health = await self._health(future._started_at, cancellation or error, verdict)
        sound, once = not health.blames, future.extra().once
        retryable = may_retry(timed_out, sound=sound) and engine.hooks.retryable(
            error, verdict, once=once, cancelled=cancelled, policy=future._retry
        )
        if goes_back(healthy=sound, retryable=retryable, cancelled=cancelled, timed_out=timed_out is not None):
            self._send_back(future, error, health)
            return health
        self._end_failed(future, error, cancellation if own_error(cancelled=cancelled) is Verdict.CANCELLED else None)
        if health.blames:
            self._left_unhealthy(future.label, health)
        return health

    def _end_failed(self, future: Any, error: BaseException, cancellation: TaskCancelled | None) -> None:
        """Ends a task with the error of its last attempt, or with the cancellation that this stands for."""
        shard = self.shard
        stamps = TaskLifecycleTimestamps(future._queued_at, future._started_at, future._finished_at)
        limited, cancelled, timed_out = future._limited, cancellation is not None, issubclass(type(error), TaskTimeout)
        unused = limited is not None and limited.unused
        shard.failed(stamps, cancelled=cancelled, timed_out=timed_out, unused=unused)
        shard.future = None
        self.engine.hooks.failure(stamps, future, error, cancelled=cancelled)
        self._set_error(future, error, cancellation)

    @staticmethod
    def _set_error(future: Any, error: BaseException, cancellation: TaskCancelled | None) -> None:
        """The last step of ``_end_failed``."""
        if future.done():  # abandoned by a kill
            pass
        elif cancellation is None:
            future._end_error(error)
        elif future.extra().cancel_requested:
            future._end_cancelled(cancellation)
        else:
            future._end_error(cancellation, cancelled=True)

    def _timed_out(self, future: Any, error: BaseException) -> TimedOut | None:
        """Returns what has become of an attempt that its time limit has ended; None if it was something else."""
        limited = future._limited
        if limited is None:
            return None
        limited.ended()  # as it has noted itself, unless it ran in another process
        if future._extra.cancel_requested:
            return None
        timed_out: TimedOut | None = limited.outcome(error, self.context)
        if timed_out is not None:
            self.context = None  # cancelled by the limit, which does not keep the task from being tried again
        return timed_out

    async def _returned(self, late: LateReturn) -> Health:
        """Handles the end of an attempt whose task has its outcome. Returns what it says of the resource."""
        engine, raised = self.engine, late.__cause__
        verdict = after_error(cancelled=True, killed=engine.killed)
        health = Health.OK if raised is None else await self._health(monotonic(), raised, verdict)
        self.shard.future = None
        return self._come_back(health)

    def _is_asked_for(self, error: BaseException) -> bool:
        """Returns whether an error of the current task is its own, or comes from a cancellation by the manager."""
        cause = None if self.context is None else self.context.cause
        return cause is not None or not issubclass(type(error), asyncio.CancelledError)

    async def _health(self, begun: float, error: BaseException, verdict: Verdict | None) -> Health:
        """Returns what an error says of the resource, and notes what follows for others than its task. ``begun``: when the
        attempt began; ``verdict``: that of ``after_error``."""
        if verdict is not None:
            return Health.OK
        self.judging = True
        try:
            health = await health_after(self.engine, error)
        finally:
            self.judging = False
        return self._follow(health, error, begun)

    def _send_back(self, future: AsyncTaskFuture[Any], error: BaseException, health: Health = Health.REPLACE) -> None:
        """Leaves the decision about the task to the supervisor. The task counts as queued from here on. ``health``: what its
        error says of the resource; if that is not to blame, the error is the task's own."""
        with HeldInterrupts(self.engine.loop):  # from here to the event, the task is in no book
            if not self._take_back(future, error):
                return
            engine, attempts, age = self.engine, future.attempts, monotonic() - future._queued_at
            engine.log.log("warning", attempt_failed(health), self.name, future.label, attempts, describe(error))
            extra = future.extra()
            extra.harmed += health.harms  # each time another resource: this worker ends
            once, cancelled = starts_once(error, once=extra.once), self._was_cancelled(future)
            own, kept, late = not health.blames, not health.replaces, issubclass(type(error), TimeoutError)
            why = (once, cancelled, own, age, future._retry, kept, late, extra.harmed, error)
            engine.report(ev.AttemptFailed(self.seat, future, attempts, *why))

    def _snooze(self, future: AsyncTaskFuture[Any], error: BaseException, seconds: float) -> None:
        """The same, for a task that has raised ``Snooze``."""
        with HeldInterrupts(self.engine.loop):  # from here to the event, the task is in no book
            if not self._take_back(future, error):
                return
            self.engine.log.log("debug", SNOOZES, self.name, future.label, seconds)
            cancelled, age = self._was_cancelled(future), monotonic() - future._queued_at
            self.engine.report(ev.TaskSnoozed(self.seat, future, seconds, error, cancelled, age, future._retry))

    def _take_back(self, future: AsyncTaskFuture[Any], error: BaseException) -> bool:
        """Counts a task as queued again. Returns False if it has its outcome."""
        shard = self.shard
        # No call between the count and the field, here and in the other branches: another thread may read both.
        if future.done():  # abandoned by a kill
            shard.done += 1
            shard.future = None
            return False
        extra = future.extra()
        if extra.limited is not None:
            extra.limited.ended()
        shard.sent_back += 1
        shard.future = None
        future._stage = QUEUED
        extra.sent_back += 1
        extra.failure = error
        return True

    def _was_cancelled(self, future: AsyncTaskFuture[Any]) -> bool:
        return future.extra().cancel_requested or (self.context is not None and self.context.cancelled)

    def _lost(self, error: BaseException) -> ev.Event:
        """Ends the current task of this worker, if any, after an error that is not the task's own: Ctrl-C, no memory, or a
        fault of the library. Returns the event to report after the resource was destroyed."""
        engine = self.engine
        engine.log.fault(f"worker {self.name}", error)
        self._lose_task(error)
        if not engine.loop_ends:  # else what ends it would end half-way
            raise_in(engine.loop, error)
        return ev.WorkerDied(self.seat, describe(error))

    def _lose_task(self, error: BaseException) -> None:
        """Ends the current task, if any, because the worker is lost."""
        shard, held = self.shard, in_hand(error)
        if held is not None and held.counted:
            held.future._end_result(held.value)
        elif held is not None:
            held.future._stage, shard.future = RUNNING, held.future
            self.engine.release_slot(held.future)  # perhaps again, which is better than never
        future = shard.future
        if future is None:
            self._end_again(error)
            return
        shard.meter.failed += 1
        shard.done += 1
        shard.future = None
        if future._stage == RUNNING:  # not abandoned by a kill
            lost = WorkerLost(f"worker {self.name} was lost while it ran {future.label}: {describe(error)}")
            lost.__cause__ = error
            future._end_error(lost)

    def _end_again(self, error: BaseException) -> None:
        """Sets the outcome of a task that is counted as done, if the error has struck where that is set."""
        names = names_in(error, AttemptEnds._succeeded, AttemptEnds._end_failed)
        if names is None:
            return
        future = names["future"]
        if "value" not in names:
            self._set_error(future, names["error"], names["cancellation"])
        elif future._stage == RUNNING:
            future._end_result(names["value"])
        if future._extra is not None:
            future._notify(names.get("value"), future._extra.error)  # perhaps again, which tells nobody twice

    def _send_back_struck(self, future: AsyncTaskFuture[Any], error: BaseException) -> bool:
        """Handles a task that was struck by a cancellation from its own resource, which is to blame. Returns False: this
        worker must end."""
        lost = unusable(self.name)
        lost.__cause__ = error
        future._finished_at = monotonic()
        self._send_back(future, lost)
        return False
