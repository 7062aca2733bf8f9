"""How the attempts of an asynchronous worker end: what becomes of the task, and of the books, where more has to be done than
setting a result."""

from __future__ import annotations

from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_error, own_error
from tasker.control.wording import LEFT_UNHEALTHY, SNOOZES, attempt_failed
from tasker.core.outcomes import snoozes, starts_once
from tasker.errors import DeadlockError, TaskKilled, TaskTimeout, WorkerLost
from tasker.logs import describe
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .cancellation import cancellation_of, unusable
from .counters import AsyncShard
from .future import QUEUED, RUNNING, AsyncTaskFuture
from .hooks import healthy
from .ports import EngineForWorkers


class AttemptEnds:
    """The part of an ``AsyncWorker`` that ends attempts."""

    engine: EngineForWorkers
    seat: ev.Seat
    shard: AsyncShard
    name: str
    context: Context | None
    """The context of the task that it runs, or ran last."""

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

    async def failed(self, future: Any, error: BaseException, *, blameless: bool = False) -> bool:
        """Handles a task that raised. Returns False if the resource is unhealthy; then this worker must end.
        ``blameless``: the resource is not to blame, and ``check_health`` is not asked."""
        engine, shard = self.engine, self.shard
        future._finished_at = finished = monotonic()
        if error.__traceback__ is not None:
            # Without the frame of the runner, which would keep the resource and the next tasks alive.
            BaseException.with_traceback(error, error.__traceback__.tb_next)
        cancellation = cancellation_of(future, self.context, error, engine.refusal)
        if cancellation is None and snoozes(error):
            self._snooze(future, error)
            return True
        cancelled, killed = cancellation is not None, isinstance(cancellation, TaskKilled)
        blameless = blameless or issubclass(type(error), DeadlockError)
        verdict = after_error(cancelled=cancelled, killed=killed, blameless=blameless)
        keeps = verdict is not None or await healthy(engine, cancellation or error)
        own = keeps and engine.hooks.retryable(
            error, verdict, once=future.extra().once, cancelled=cancelled, policy=future._retry
        )
        if own or not (keeps or cancelled):
            self._send_back(future, error, own=own)
            return own
        verdict = verdict or own_error(cancelled=cancelled)
        stamps = TaskLifecycleTimestamps(future._queued_at, future._started_at, finished)
        shard.failed(stamps, cancelled=verdict is Verdict.CANCELLED, timed_out=issubclass(type(error), TaskTimeout))
        shard.future = None
        if verdict is not Verdict.CANCELLED:
            engine.hooks.failure(stamps)
        if future.done():  # abandoned by a kill
            pass
        elif cancellation is None:
            future._end_error(error)
        elif future.extra().cancel_requested:
            future._end_cancelled(cancellation)
        else:
            future._end_error(cancellation, cancelled=True)
        if not keeps:
            engine.log.log("warning", LEFT_UNHEALTHY, self.name, future.label)
            engine.report(ev.WorkerUnhealthy(self.seat))
        return keeps

    def _send_back(self, future: AsyncTaskFuture[Any], error: BaseException, *, own: bool = False) -> None:
        """Leaves the decision about the task to the supervisor. The task counts as queued from here on. ``own``: the error is
        the task's own, and the resource stays in use."""
        if not self._take_back(future, error):
            return
        engine, attempts, age = self.engine, future.attempts, monotonic() - future._queued_at
        engine.log.log("warning", attempt_failed(own=own), self.name, future.label, attempts, describe(error))
        once, cancelled = starts_once(error, once=future.extra().once), self._was_cancelled(future)
        engine.report(ev.AttemptFailed(self.seat, future, attempts, once, cancelled, own, age, future._retry))

    def _snooze(self, future: AsyncTaskFuture[Any], error: Any) -> None:
        """The same, for a task that has raised ``Snooze``."""
        if not self._take_back(future, error):
            return
        self.engine.log.log("debug", SNOOZES, self.name, future.label, error.seconds)
        cancelled, age = self._was_cancelled(future), monotonic() - future._queued_at
        self.engine.report(ev.TaskSnoozed(self.seat, future, error.seconds, error, cancelled, age, future._retry))

    def _take_back(self, future: AsyncTaskFuture[Any], error: BaseException) -> bool:
        """Counts a task as queued again. Returns False if it has its outcome."""
        shard = self.shard
        # No call between the count and the field, here and in the other branches: another thread may read both.
        if future.done():  # abandoned by a kill
            shard.done += 1
            shard.future = None
            return False
        shard.sent_back += 1
        shard.future = None
        future._stage = QUEUED
        extra = future.extra()
        extra.sent_back += 1
        extra.failure = error
        return True

    def _was_cancelled(self, future: AsyncTaskFuture[Any]) -> bool:
        return future.extra().cancel_requested or (self.context is not None and self.context.cancelled)

    def _lose_task(self, error: BaseException) -> None:
        """Ends the current task, if any, because the worker is lost."""
        shard, future = self.shard, self.shard.future
        if future is None or future._stage != RUNNING:
            shard.future = None
        else:
            shard.meter.failed += 1
            shard.done += 1
            shard.future = None
            lost = WorkerLost(f"worker {self.name} was lost while it ran {future.label}: {describe(error)}")
            lost.__cause__ = error
            future._end_error(lost)

    def _send_back_struck(self, future: AsyncTaskFuture[Any], error: BaseException) -> bool:
        """Handles a task that was struck by a cancellation from its own resource, which is to blame. Returns False: this
        worker must end."""
        lost = unusable(self.name)
        lost.__cause__ = error
        future._finished_at = monotonic()
        self._send_back(future, lost)
        return False
