"""The worker: a resource of its own, in its host, and one thread that drives it.

Its life is the same wherever the resource lives: ``create``, ``serve``, ``destroy``, each reported to the supervisor. What
becomes of a task that does not simply succeed is decided here too; the straight path is the host's.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from time import monotonic
from typing import Any

from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_error
from tasker.control.workers import WorkerState
from tasker.core.counters import Shard
from tasker.errors import DeadlockError, TaskTimeout, WorkerLost
from tasker.logs import describe
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .future import TaskFuture
from .future_log import BACK, DONE, Ending, outcome_in
from .host import Host, HostDied
from .ports import EngineForWorkers
from .this_thread import this_thread


class Worker:
    """Makes a resource, serves the queue with it, and ends it; reports each step to the supervisor."""

    def __init__(self, engine: EngineForWorkers, seat: ev.Seat) -> None:
        self.engine: EngineForWorkers = engine
        self.seat: ev.Seat = seat
        self.shard: Shard = engine.counters.shard(seat.slot)
        self.state: WorkerState = WorkerState.STARTING
        """As the worker itself knows it: the supervisor hears of it a little later."""
        self.name: str = f"{engine.config.name}-{seat.slot}"
        self.host: Host = engine.new_host(self)
        self.thread: threading.Thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def run(self) -> None:
        """The whole life of the worker, in its own thread; at the exit of the interpreter in the exiting one."""
        this_thread.worker = self
        try:
            self._live()
        finally:
            this_thread.worker = None

    def _live(self) -> None:
        engine = self.engine
        try:
            self.host.create()
        except BaseException as error:
            engine.creation_failed(self.seat, error)
            return
        self.state = WorkerState.READY
        engine.report(ev.WorkerReady(self.seat))
        last = self._serve_guarded()
        self.state = WorkerState.ENDING
        self.host.destroy()
        engine.report(last)

    def _serve_guarded(self) -> ev.Event:
        """Serves until it is time to end; returns the last thing to report, after the resource is destroyed."""
        try:
            self.host.serve()
        except HostDied as error:
            return ev.WorkerDied(self.seat, str(error))
        except BaseException as error:  # not the task's: an asynchronous exception, no memory, or a fault of ours
            self.engine.log.fault(f"worker {self.name}", error)
            self._lose_task(error)
            self.engine.queue.replace_token()
            return ev.WorkerDied(self.seat, describe(error))
        return ev.WorkerEnded(self.seat)

    def skip(self, future: TaskFuture[Any]) -> None:
        """The task was cancelled before it came to its turn, or must not start any more because of a kill."""
        engine = self.engine
        if engine.killed and outcome_in((*future._log,)) is None:
            future._entered(BACK)
            engine.drop(future)
        future._context = None
        engine.check_drained()

    def failed(self, future: TaskFuture[Any], error: BaseException, *, blameless: bool = False) -> bool:
        """Sees to a task that raised. False if the resource is to blame; then this worker must end. ``blameless``: it is not,
        without asking."""
        engine, shard = self.engine, self.shard
        future._finished_at = finished = monotonic()
        if error.__traceback__ is not None:
            # Less our own frame, which would keep the resource and the next tasks alive for as long as the error lives.
            # Not by assignment, which the error's class may forbid.
            BaseException.with_traceback(error, error.__traceback__.tb_next)
        context = future._context
        cancelled = isinstance(error, CancelledError) and context is not None and context.cancelled
        verdict = after_error(cancelled=cancelled, blameless=blameless or isinstance(error, DeadlockError))
        if verdict is None and not engine.hooks.healthy(error):
            self.send_back(future, error)
            return False
        stamps = TaskLifecycleTimestamps(future._queued_at, future._started_at, finished)
        shard.failed(stamps, cancelled=verdict is Verdict.CANCELLED, timed_out=isinstance(error, TaskTimeout))
        if verdict is not Verdict.CANCELLED:
            engine.hooks.failure(stamps)
        future._end(Ending(error, cancelled=cancelled, forced=True))
        return True

    def send_back(self, future: TaskFuture[Any], error: BaseException) -> None:
        """Leaves the task to the supervisor. Until that has decided, it counts as running."""
        engine, shard = self.engine, self.shard
        text = "worker %s replaces its resource: %s failed (attempt %d) with %s"
        engine.log.log("warning", text, self.name, future.label, future._attempts, describe(error))
        future._failure = error
        event = ev.AttemptFailed(self.seat, future, future._attempts, future._once, future._was_cancelled())
        put = engine.put_event
        # From here to ``put`` nothing is called, so no signal and no asynchronous exception comes between: a task that
        # is counted as sent back has been reported.
        shard.sent_back += 1
        shard.future = None
        put(event)
        if engine.finished.is_set():
            # The supervisor reads no more events. It sets ``finished`` before its last look into the inbox, so either
            # it has found this one there, or this thread finds ``finished`` set.
            engine.drop_returned(future)

    def cut_off(self) -> bool:
        """Ends whatever runs here by force, and the resource with it. From any thread. False where that cannot be
        done."""
        return self.host.kill()

    def _lose_task(self, error: BaseException) -> None:
        """Gives the task in hand its outcome, and the books what is missing in them, wherever the fault struck."""
        shard = self.shard
        future, shard.future = shard.future, None
        if future is not None:
            if future._attempts == future._log.count(BACK):  # this attempt was not yet counted
                shard.taken += 1
            shard.done = shard.taken - shard.sent_back
            shard.meter.failed += 1
            lost = WorkerLost(f"worker {self.name} was lost while it ran {future.label}: {describe(error)}")
            lost.__cause__ = error
            if not future._end(Ending(lost, forced=True)) and not future.done() and DONE in future._log:
                future._after(DONE)  # its result was there, and nobody told of it
