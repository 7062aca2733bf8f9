"""Carries out the supervisor's actions for the threaded engine, in its supervisor thread, with no lock held."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.errors import MaxRetriesExceeded, ResourceError, TaskKilled
from tasker.logs import describe
from tasker.options import Priority

from .future import TaskFuture
from .future_log import Ending
from .worker import Worker

if TYPE_CHECKING:
    from .engine import Engine


class Effects:
    """One method for each kind of action."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._carry_out: dict[type, Callable[[Any], None]] = {
            act.StartWorker: self._start_worker,
            act.Retire: lambda action: engine.queue.retire(action.count),
            act.Requeue: self._requeue,
            act.FailTask: self._fail_task,
            act.DropTask: lambda action: engine.drop_returned(action.task),
            act.FailQueued: self._fail_queued,
            act.RefuseTasks: lambda action: engine.close(action.reason),
            act.DropQueued: self._drop_queued,
            act.CancelRunning: self._cancel_running,
            act.Abandon: self._abandon,
            act.RefillPool: self._refill_pool,
            act.Finish: self._finish,
            act.Log: lambda action: engine.log.log(action.level, action.message, *action.args),
        }

    def carry_out(self, action: act.Action) -> None:
        """Does it. A fault on the way must not end the supervisor's thread: it is logged, and the next action
        follows."""
        try:
            self._carry_out[type(action)](action)
        except BaseException as error:
            self._engine.log.fault(type(action).__name__, error)

    def _start_worker(self, action: act.StartWorker) -> None:
        engine = self._engine
        worker = Worker(engine, action.seat)
        engine.workers[action.seat] = worker
        try:
            worker.thread.start()
        except Exception as error:
            if engine.exiting and isinstance(error, RuntimeError):
                engine.threadless_workers.put(worker)
            else:  # the system has no more threads, or no memory for one
                engine.creation_failed(action.seat, error)

    def _requeue(self, action: act.Requeue) -> None:
        engine = self._engine
        future = action.task
        assert isinstance(future, TaskFuture)
        error = future._take_failure()
        if error is None:
            return
        with engine.counters.lock:
            unwanted = future._goes_back()
            engine.counters.sent_back += 1
        if unwanted:
            future._end(Ending(error))
            return
        engine.counters.note("retried")
        engine.hooks.retry()
        engine.queue.put(future, Priority.HIGH)
        if engine.backend is not None:
            engine.backend.overtake(Priority.HIGH)

    def _fail_task(self, action: act.FailTask) -> None:
        engine = self._engine
        future = action.task
        assert isinstance(future, TaskFuture)
        cause = future._take_failure()
        if cause is None:
            return
        if action.own:
            engine.conclude(future, Ending(cause, forced=True))
            return
        retries = engine.config.max_retries
        text = f"max retries exceeded: {future.label} failed {future.attempts} times (max_retries={retries})"
        error = MaxRetriesExceeded(f"{text}, last with {describe(cause)}", future.attempts)
        error.__cause__ = cause
        engine.conclude(future, Ending(error, forced=True))

    def _fail_queued(self, action: act.FailQueued) -> None:
        engine = self._engine
        for future in engine.queue.waiting():
            if action.before is None or future._queued_at <= action.before:
                error = ResourceError(f"no resource could be made for {future.label}: {action.error}")
                error.__cause__ = engine.creation_error
                future._end(Ending(error))
        engine.check_drained()

    def _drop_queued(self, action: act.DropQueued) -> None:
        engine = self._engine
        engine.killed = True
        for future in (*engine.queue.take_all(), *engine.queue.waiting()):
            try:
                engine.drop(future)
            except (
                BaseException
            ) as error:  # the user's, somewhere in the telling; the others are to be told all the same
                engine.log.fault(f"the end of task #{future.id}", error)

    def _cancel_running(self, action: act.CancelRunning) -> None:
        """In a thread of its own, since callbacks of ``Context.on_cancel`` run there and may take their time."""
        engine = self._engine
        thread = threading.Thread(target=self._cancel, name=f"{engine.config.name}-cancel", daemon=True)
        try:
            thread.start()
        except Exception:  # no more threads
            self._cancel()
        else:
            engine.remember(thread)

    def _cancel(self) -> None:
        engine = self._engine
        try:
            if engine.backend is not None:
                engine.backend.cancel_all(TaskKilled(engine.refusal))
            engine.root.cancel(TaskKilled(engine.refusal))
        except BaseException as error:
            self._engine.log.fault("a callback of Context.on_cancel", error)

    def _abandon(self, action: act.Abandon) -> None:
        engine = self._engine
        if engine.backend is not None:
            engine.backend.kill_all()
        for seat in action.seats:
            worker = engine.workers.pop(seat, None)
            if worker is None:
                continue
            future = worker.shard.future
            if worker.host.kill():
                engine.shutdown_counts.cut_off += 1
                engine.remember(worker.thread)
                continue
            doing = "in on_create or on_destroy" if future is None else future.label
            engine.shutdown_counts.abandoned.append(f"{worker.name} ({doing})")
            if future is not None:
                error = TaskKilled(f"{future.label} did not end when it was killed: {engine.refusal}")
                if future._end(Ending(error, cancelled=True, forced=True)):
                    engine.shutdown_counts.killed_tasks += 1
        if engine.shutdown_counts.abandoned:
            engine.log.log("warning", "left behind: %s", ", ".join(engine.shutdown_counts.abandoned))

    def _refill_pool(self, action: act.RefillPool) -> None:
        engine = self._engine
        thread = threading.Thread(target=self._refill, name=f"{engine.config.name}-refill", daemon=True)
        try:
            thread.start()
        except Exception as error:  # no more threads
            engine.report(ev.PoolRefillFailed(describe(error)))
        else:
            engine.remember(thread)

    def _refill(self) -> None:
        engine = self._engine
        try:
            engine.pool.refill()
        except BaseException as error:
            engine.report(ev.PoolRefillFailed(describe(error)))
        else:
            engine.report(ev.PoolRefilled())

    def _finish(self, action: act.Finish) -> None:
        engine = self._engine
        engine.forget_parent()
        if not engine.pool_closed_by_waiter:
            engine.pool.close()
        if engine.backend is not None:
            engine.backend.finish()
        engine.ended_at = monotonic()
        engine.finished.set()
        engine.threadless_workers.put(None)
