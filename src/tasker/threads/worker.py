"""Worker: drives one resource, in its host, with a thread of its own.

The life of a worker is the same wherever the resource lives: ``create``, ``serve``, ``destroy``, each reported to the
supervisor. The host runs the tasks; the worker handles those that do not simply succeed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from time import monotonic
from typing import Any

from tasker.control import events as ev
from tasker.control.attempts import Verdict, after_error, goes_back, own_error
from tasker.control.health import Health
from tasker.control.wording import SNOOZES, attempt_failed
from tasker.control.workers import WorkerState
from tasker.core.counters import Shard
from tasker.core.identity import WorkerContext, WorkerName, info_of
from tasker.core.judged import JudgedWorker
from tasker.core.limited_task import LateReturn, TimedOut, may_retry
from tasker.core.outcomes import obeyed, snooze_of, starts_once, without_first_frame
from tasker.errors import DeadlockError, TaskKilled, TaskTimeout, WorkerLost
from tasker.logs import describe
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .completion import finish
from .future import TaskFuture
from .future_log import BACK, DONE, Ending, opened, opening, outcome_in
from .host import Host, HostDied
from .parking import stay
from .ports import ThreadEngineForWorkers
from .queue import HOLD, PARK
from .this_thread import this_thread


class Worker(JudgedWorker):
    """Makes a resource, serves the queue with it, and ends it; reports each step to the supervisor."""

    def __init__(self, engine: ThreadEngineForWorkers, seat: ev.Seat) -> None:
        self.engine: ThreadEngineForWorkers = engine
        self.seat: ev.Seat = seat
        self.shard: Shard = engine.counters.shard(seat.slot)
        self.state: WorkerState = WorkerState.STARTING
        """The present state. The supervisor learns of a change a little later."""
        self.overdue: str = ""
        """The task that it runs although that has its outcome, in words."""
        self.surplus: bool = False
        """Whether it is to end as soon as it has its resource. Written by the supervisor's thread."""
        self.outdated: bool = False
        """Whether it is to renew its resource as soon as it has no task. Written by the supervisor's thread."""
        self.tends: bool = False  # see ``HostedWorker``
        self.cools_until: float = 0.0
        """Until when its resource must not be used, after ``Health.COOL_DOWN`` (the clock of ``now``); 0: it may be."""
        self.root: WorkerContext = WorkerContext(
            engine.root, lambda: info_of(engine.config, seat), self.shard.note_progress
        )
        self.now: Callable[[], float] = monotonic
        """The clock of what its tasks have taken."""
        self._first = threading.Lock()
        """Acquired once, and not released: by what comes first, the worker with its resource or ``give_up``."""
        self._deciding: threading.Lock | None = None
        """As ``_first``, while the resource is checked or reset."""
        self._checking = ""
        self.name: str = WorkerName.of(engine.config.name, seat)
        self.host: Host = engine.new_host(self)
        self._destroys = False
        # A daemon: a thread that is stuck in user code must not keep the interpreter from exiting. The others are ended
        # in an orderly way before that, by ``interpreter_exit``.
        self.thread: threading.Thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def run(self) -> None:
        """Runs the worker from its first step to its last, in its own thread or, while the interpreter exits, in the
        exiting one."""
        this_thread.worker = self
        try:
            self._live()
        except BaseException as error:
            if self.engine.is_forked:
                raise  # raised by the task in the child; shown as in any thread
            # An asynchronous exception between two steps. Without a last report, a stop would wait for this worker for ever.
            died = self._lost(error)
            self._destroy()
            self.engine.report(died)
        finally:
            this_thread.worker = None  # the exiting thread has other things to do afterwards

    def _live(self) -> None:
        engine = self.engine
        try:
            self.host.create()
        except BaseException as error:
            self.shard = Shard()  # as below
            engine.creation_failed(self.seat, error)
            return
        if engine.is_forked:
            return  # see below
        last: ev.Event = ev.WorkerEnded(self.seat)
        if not self._first.acquire(blocking=False) or self.surplus:
            engine.report(ev.WorkerDropped(self.seat))
        else:
            self._begin_serving()
            last = self._serve_guarded()
            if self.engine.is_forked:
                # The child of a task that has called ``os.fork``. The queue, the resource and the supervisor are the
                # parent's. The thread ends, and with it the process, which has no other.
                return
        self.state = WorkerState.ENDING
        # Reported only after the resource is destroyed: the supervisor counts the worker against the maximum until
        # then, and a stop waits for it.
        self._destroy()
        # From the report on, the numbers of its slot, and the task there, are those of the next worker: what strikes this thread
        # so late must not take them for its own.
        self.shard = Shard()
        engine.report(last)

    def _destroy(self) -> None:
        """Destroys the resource, unless that was begun."""
        try:
            if not self._destroys:
                self._destroys = True
                self.host.destroy()
        except BaseException as error:  # not of on_destroy, which is guarded: of the backend, or no memory
            self.engine.log.fault(f"the end of worker {self.name}", error)

    def _serve_guarded(self) -> ev.Event:
        """Serves until the worker has to end. Returns the event to report after the resource was destroyed."""
        try:
            self.host.serve()
        except HostDied as error:
            return ev.WorkerDied(self.seat, str(error))
        except BaseException as error:
            if self.engine.is_forked:
                raise  # see ``run``
            return self._lost(error)
        finally:
            self.engine.hold.leave(self)
        return ev.WorkerEnded(self.seat)

    def _lost(self, error: BaseException) -> ev.Event:
        """Ends the task of this worker after what is not an error of it: an asynchronous exception, no memory, or a fault of
        the library. Returns the event to report after the resource was destroyed."""
        # It may have struck anywhere, also between taking a token and taking the task, or reporting that this worker retires.
        self.engine.log.fault(f"worker {self.name}", error)
        self._lose_task(error)
        self.engine.queue.replace_token()
        return ev.WorkerDied(self.seat, describe(error), may_have_retired=True)

    def renew(self) -> None:
        """See ``WorkerPort``. Called by the supervisor's thread."""
        if self.state in (WorkerState.READY, WorkerState.PARKED):
            self.engine.attend()
            self.host.call()

    def skip(self, future: TaskFuture[Any]) -> None:
        """Drops a task that was cancelled before a worker took it, or must not start because of a kill."""
        engine = self.engine
        if engine.is_forked:
            return
        if engine.killed and outcome_in((*future._log,)) is None:
            # ``drop`` appends an ending that counts only while no attempt runs, so the RUN of this one is taken back.
            future._append(BACK)
            engine.drop(future)
        outcome = outcome_in((*future._log,))
        if type(outcome) is Ending and outcome.forced:
            # The deadline of a kill has passed since the task was taken from the queue. Whatever sets a forced ending leaves
            # the counting to the attempt, and there is none.
            engine.ended_in_queue(future, outcome)
        future._context = None
        finish(future)
        engine.check_drained()

    def succeeded(self, future: TaskFuture[Any], value: Any) -> None:
        """Ends a task with its result, as the loop of the host does where nothing has intervened."""
        engine, shard = self.engine, self.shard
        future._finished_at = finished = self.now()
        future._value = value
        shard.meter.execution.append(finished - future._started_at)
        shard.meter.wait.append(future._started_at - future._queued_at)
        shard.done += 1
        engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, future._started_at, finished))
        future._append(DONE)
        if not future._after(DONE):
            future._value = None  # a kill has set another outcome

    def failed(self, future: TaskFuture[Any], error: BaseException, *, blameless: bool = False) -> Health:
        """Handles a task that raised. Returns what that says of the resource: whether this worker must end, or cool down.
        ``blameless``: the resource is not to blame, and ``check_health`` is not asked."""
        engine = self.engine
        if engine.is_forked:
            raise error
        if type(error) is LateReturn:
            return self._returned(error)
        future._finished_at = self.now()
        without_first_frame(error)  # of the worker's loop, which would keep the resource and the next tasks alive
        # The task obeyed its cancellation only if its context was cancelled. Any other ``CancelledError`` comes from
        # something else that it has waited for, and is an ordinary error.
        context = future._context
        seconds = snooze_of(error)
        if seconds is not None:
            cause = None if context is None else context.cause
            if cause is None:
                self._snooze(future, error, seconds)
                return Health.OK
            error = obeyed(error, cause, future.label)
        cancelled = issubclass(type(error), CancelledError) and context is not None and context.cancelled
        killed = issubclass(type(error), TaskKilled)
        blameless = blameless or issubclass(type(error), DeadlockError)
        timed_out = self._timed_out(future, error)
        if timed_out is not None:
            error, cancelled, blameless = timed_out.error, False, blameless or timed_out.blameless
        verdict = after_error(cancelled=cancelled, killed=cancelled and killed, blameless=blameless)
        health = self._health(future._started_at, error, verdict)
        retryable = may_retry(timed_out, sound=not health.blames) and engine.hooks.retryable(
            error, verdict, once=future._once, cancelled=cancelled, policy=future._retry
        )
        if goes_back(
            healthy=not health.blames, retryable=retryable, cancelled=cancelled, timed_out=timed_out is not None
        ):
            self.send_back(future, error, health)
            return health
        self._end_failed(future, error, cancelled=own_error(cancelled=cancelled) is Verdict.CANCELLED)
        if health.blames:
            # After the callbacks of the task: while they run, and may wait, the worker has to count as one that serves.
            self._left_unhealthy(future.label, health)
        return health

    def _end_failed(self, future: TaskFuture[Any], error: BaseException, *, cancelled: bool) -> None:
        """Ends a task with the error of its last attempt."""
        stamps = TaskLifecycleTimestamps(future._queued_at, future._started_at, future._finished_at)
        # Counted before the outcome is visible: a caller that has the error also finds it in ``stats()``.
        limited, timed_out = future._limited, issubclass(type(error), TaskTimeout)
        unused = limited is not None and limited.unused
        self.shard.failed(stamps, cancelled=cancelled, timed_out=timed_out, unused=unused)
        self.engine.hooks.failure(stamps, future, error, cancelled=cancelled)
        future._end(Ending(error, cancelled=cancelled, forced=True))

    def _timed_out(self, future: TaskFuture[Any], error: BaseException) -> TimedOut | None:
        """Returns what has become of an attempt that its time limit has ended; None if it was something else."""
        limited = future._limited
        if limited is None:
            return None
        limited.ended()  # as it has noted itself, unless it ran in another process
        timed_out = limited.outcome(error, future._context)
        if timed_out is not None:
            future._context = None  # cancelled by the limit, which does not keep it from being tried again
        return timed_out

    def _returned(self, late: LateReturn) -> Health:
        """Handles the end of an attempt whose task has its outcome. Returns what it says of the resource."""
        engine, raised = self.engine, late.__cause__
        verdict = after_error(cancelled=True, killed=engine.killed)
        health = Health.OK if raised is None else self._health(self.now(), raised, verdict)
        return self._come_back(health)

    def _health(self, begun: float, error: BaseException, verdict: Verdict | None) -> Health:
        """Returns what an error says of the resource, and notes what follows for others than its task. ``begun``: when the
        attempt began; ``verdict``: that of ``after_error``."""
        if verdict is not None:
            return Health.OK
        return self._follow(self.engine.hooks.health(error), error, begun)

    def probe(self, check: Callable[[], bool], callback: str = "check_resource") -> bool:
        """See ``HostedWorker``."""
        self._checking = callback
        self._deciding = deciding = threading.Lock()
        try:
            self.engine.report(ev.WorkerChecking(self.seat, callback))
            fit = check()
            if not deciding.acquire(blocking=False):  # it has taken too long, so another worker has taken its place
                fit = False  # told, too: it may have been given up in place of the last one, which had just ended
            self.engine.report(ev.WorkerChecked(self.seat, fit))
            return fit
        finally:
            self._deciding = None

    @property
    def checking(self) -> str:
        """See ``WorkerPort``."""
        return "" if self._deciding is None else self._checking

    def cool_down(self, interrupted: Callable[[], bool] = bool) -> bool:
        """See ``HostedWorker``."""
        engine, self.shard.future = self.engine, None

        def over() -> bool:  # a stop waits for no pause
            return engine.closed or self.outdated or interrupted()

        while (order := engine.queue.cooling.wait(self.cools_until, over)) in (PARK, HOLD):
            if order is PARK:
                stay(self, gone=interrupted)
            else:
                engine.hold.stay(self, lambda: self.outdated or interrupted())
        self.cools_until = 0.0
        if order is not None:
            engine.report(ev.WorkerRetiring(self.seat))
        elif engine.door:
            engine.check_drained()
        return order is None

    def send_back(self, future: TaskFuture[Any], error: BaseException, health: Health = Health.REPLACE) -> None:
        """Leaves the decision about the task to the supervisor. The task counts as running until it has decided. ``health``:
        what its error says of the resource; if that is not to blame, the error is the task's own."""
        attempts, age = future.attempts, self.now() - future._queued_at
        self.engine.log.log("warning", attempt_failed(health), self.name, future.label, attempts, describe(error))
        once, cancelled = starts_once(error, once=future._once), future._was_cancelled()
        future._harmed += health.harms  # each time another resource: this worker ends
        own, kept, late = not health.blames, not health.replaces, issubclass(type(error), TimeoutError)
        why = (once, cancelled, own, age, future._retry, kept, late, future._harmed, error)
        event = ev.AttemptFailed(self.seat, future, attempts, *why)
        self._hand_over(future, error, event)

    def _snooze(self, future: TaskFuture[Any], error: BaseException, seconds: float) -> None:
        """The same, for a task that has raised ``Snooze``."""
        self.engine.log.log("debug", SNOOZES, self.name, future.label, seconds)
        cancelled, age = future._was_cancelled(), self.now() - future._queued_at
        self._hand_over(future, error, ev.TaskSnoozed(self.seat, future, seconds, error, cancelled, age, future._retry))

    def _hand_over(self, future: TaskFuture[Any], error: BaseException, event: ev.Event) -> None:
        engine, shard = self.engine, self.shard
        if future._limited is not None:
            future._limited.ended()
        future._failure = error
        put = engine.put_event
        # From here to ``put``, which is C, nothing is called, so no signal and no asynchronous exception can strike in
        # between: a task that is counted as sent back was also reported.
        shard.sent_back += 1
        shard.future = None
        try:
            put(event)
        except MemoryError:  # then it is still the task of this worker, which loses it
            shard.sent_back -= 1
            shard.future = future
            raise
        if engine.finished.is_set():
            # The supervisor handles no more events. It sets ``finished`` before it empties the inbox for the last time,
            # so either it has found this event there, or this thread finds ``finished`` set, or both (``claim``).
            engine.drop_returned(future)

    def where(self, patience: float = 0.0) -> str:
        """See ``WorkerPort``."""
        return self.host.where(self.thread.ident, patience)

    def show(self, tell: Callable[[str], object]) -> None:
        """See ``WorkerPort``."""
        self.host.show(self.thread.ident, tell)

    def give_up(self, *, creating: bool, checking: bool = False) -> None:
        """See ``WorkerPort``. Called by the supervisor's thread."""
        if checking:
            deciding = self._deciding
            if deciding is None or not deciding.acquire(blocking=False):
                return
            self.engine.queue.replace_token()  # the task that it was to run is for another worker
        elif creating:
            if not self._first.acquire(blocking=False):
                return
            self.surplus = True
        self.state = WorkerState.STUCK
        self.host.kill()

    def cut_off(self) -> bool:
        """Ends whatever runs here by force, and the resource with it. Returns False if that is not possible. May be
        called from any thread."""
        return self.host.kill()

    def ahead(self) -> Sequence[TaskFuture[Any]]:
        """See ``WorkerPort``."""
        return self.host.ahead()

    def _lose_task(self, error: BaseException) -> None:
        """Ends the current task, if any, and completes the counters, wherever in the loop the fault has struck."""
        shard = self.shard
        future, shard.future = shard.future, None
        if future is not None:
            opened(future)
            opening.pop(future, None)  # if the fault has struck between storing the log and this step of ``opened``
            outcome = outcome_in((*future._log,))
            if type(outcome) is Ending and not (outcome.forced and hasattr(outcome, "uncounted")):
                # It ended in the queue, and was counted there; see ``skip``.
                finish(future)
                return
            if future._attempts <= future._gone_back:  # this attempt was not counted yet
                shard.taken += 1
            # Not ``+= 1``: the fault may have struck behind that line.
            shard.done = shard.taken - shard.sent_back
            lost = WorkerLost(f"worker {self.name} was lost while it ran {future.label}: {describe(error)}")
            lost.__cause__ = error
            self.lose(future, lost)

    def lose(self, future: TaskFuture[Any], lost: WorkerLost) -> None:
        """Ends the current task, which is counted as done, after a fault."""
        self.shard.future = None
        self.shard.meter.failed += 1
        self.engine.release_slot(future)  # before it was called, perhaps
        if not future._end(Ending(lost, forced=True)) and DONE in future._log:
            future._after(DONE)  # the result is in the log, but perhaps not all its watchers were notified
