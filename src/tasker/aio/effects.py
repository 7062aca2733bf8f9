"""Carries out the supervisor's actions for the asyncio engine."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.errors import MaxRetriesExceeded, ResourceError, TaskKilled
from tasker.logs import describe
from tasker.options import Priority

from .future import RUNNING, AsyncTaskFuture
from .worker import AsyncWorker

if TYPE_CHECKING:
    from .engine import AsyncEngine


class AsyncEffects:
    """One method for each kind of action."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._carry_out: dict[type, Callable[[Any], None]] = {
            act.StartWorker: self._start_worker,
            act.Retire: lambda action: engine.queue.retire(action.count),
            act.Requeue: self._requeue,
            act.FailTask: self._fail_task,
            act.DropTask: lambda action: engine.drop(action.task),
            act.FailQueued: self._fail_queued,
            act.RefuseTasks: lambda action: engine.close(action.reason),
            act.DropQueued: self._drop_queued,
            act.CancelRunning: self._cancel_running,
            act.Abandon: self._abandon,
            act.RefillPool: lambda _: engine.spawn(self._refill(), "refill"),
            act.Finish: lambda _: engine.spawn(self._finish(), "end"),
            act.Log: lambda action: engine.log.log(action.level, action.message, *action.args),
        }

    def carry_out(self, action: act.Action) -> None:
        """Does it. A fault on the way must not keep the next action from being carried out: it is logged."""
        try:
            self._carry_out[type(action)](action)
        except BaseException as error:
            self._engine.log.fault(type(action).__name__, error)

    def _start_worker(self, action: act.StartWorker) -> None:
        engine = self._engine
        new = AsyncWorker if engine.backend is None else engine.backend.worker
        engine.workers[action.seat] = new(engine, action.seat)

    def _requeue(self, action: act.Requeue) -> None:
        engine = self._engine
        future = action.task
        assert isinstance(future, AsyncTaskFuture)
        if future.done():
            return
        engine.counters.note("retried")
        engine.hooks.retry()
        engine.queue.put(future, Priority.HIGH)
        if engine.backend is not None:
            engine.backend.overtake(Priority.HIGH)

    def _fail_task(self, action: act.FailTask) -> None:
        engine = self._engine
        future = action.task
        assert isinstance(future, AsyncTaskFuture)
        cause = future.extra().failure
        assert cause is not None
        if action.own:
            engine.fail_in_queue(future, cause)
            return
        text = f"max retries exceeded: {future.label} failed {future.attempts} times (max_retries={engine.config.max_retries})"
        error = MaxRetriesExceeded(f"{text}, last with {describe(cause)}", future.attempts)
        error.__cause__ = cause
        engine.fail_in_queue(future, error)

    def _fail_queued(self, action: act.FailQueued) -> None:
        engine = self._engine
        for future in engine.queue.waiting():
            if action.before is None or future._queued_at <= action.before:
                error = ResourceError(f"no resource could be made for {future.label}: {action.error}")
                error.__cause__ = engine.creation_error
                engine.fail_in_queue(future, error)
        engine.check_drained()

    def _drop_queued(self, action: act.DropQueued) -> None:
        engine = self._engine
        engine.killed = True
        for future in engine.queue.take_all():
            engine.drop(future)

    def _cancel_running(self, action: act.CancelRunning) -> None:
        engine = self._engine
        try:
            if engine.backend is not None:
                engine.backend.cancel_all(TaskKilled(engine.refusal))
            engine.root.cancel(TaskKilled(engine.refusal))
        finally:
            for worker in list(engine.workers.values()):
                worker.interrupt()
            engine.inline.interrupt_all()

    def _abandon(self, action: act.Abandon) -> None:
        engine = self._engine
        if engine.backend is not None:
            engine.backend.kill_all()
        for seat in action.seats:
            worker = engine.workers.pop(seat, None)
            if worker is None:
                continue
            if worker.cut_off():
                engine.shutdown_counts.cut_off += 1
                engine.cut.append(worker.task)
                continue
            future = worker.shard.future
            doing = "in on_create or on_destroy" if future is None else future.label
            engine.shutdown_counts.abandoned.append(f"{worker.name} ({doing})")
            if future is not None and future._stage == RUNNING:
                engine.shutdown_counts.killed_tasks += 1
                told = TaskKilled(f"{future.label} did not end when it was killed: {engine.refusal}")
                future._end_error(told, cancelled=True)
        engine.shutdown_counts.abandoned += engine.callbacks.abandon()
        if engine.shutdown_counts.abandoned:
            engine.log.log("warning", "left behind: %s", ", ".join(engine.shutdown_counts.abandoned))

    async def _refill(self) -> None:
        engine = self._engine
        try:
            await engine.pool.refill()
        except BaseException as error:
            if engine.torn_down:
                raise
            engine.report(ev.PoolRefillFailed(describe(error)))
        else:
            engine.report(ev.PoolRefilled())

    async def _finish(self) -> None:
        engine = self._engine
        engine.forget_parent()
        await engine.pool.close()
        if engine.backend is not None:
            engine.backend.finish()
        engine.ended_at = monotonic()
        engine.finished.set()
        engine.disarm()
