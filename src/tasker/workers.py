"""The worker: one thread, one resource, one task at a time.

``serve`` is the hottest loop of the library and is written for that: names are looked up once, a task that succeeds
calls no function of ours but ``Context``, and takes no lock. Whatever else happens (a failure, a retry, a race with
``cancel`` or ``kill``) leaves the loop's straight path for a method.

The order inside the loop carries promises:

- ``RUN`` is appended before ``taken`` grows, ``done`` grows before ``DONE`` is appended: so whoever has a result in
  his hands also finds it in ``stats()`` and ``metrics()``.
- ``_task`` and its companions are read before ``RUN``: once ``RUN`` has won, only a ``kill`` may empty them, after its
  deadline.
- References to the task are dropped before the worker waits for the next one, so an idle worker keeps nothing alive.

Atomic without the GIL, each on its own object: ``SimpleQueue.get``, ``deque.popleft``, ``list.append``; attributes of
the shard and of the future are written by this thread alone until ``DONE``.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from contextvars import Context as Variables
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .books import Shard
from .context import Context
from .control import events as ev
from .control.workers import WorkerState
from .errors import DeadlockError, TaskTimeout, WorkerLost
from .logs import describe
from .metrics.meter import BATCH
from .metrics.protocol import TaskLifecycleTimestamps
from .queues import RETIRE
from .resources import Held
from .tasks import BACK, DONE, FINISHED, RUN, Ending, TaskFuture, outcome_in

if TYPE_CHECKING:
    from .engine import Engine


class Here(threading.local):
    """What this thread is for us."""

    worker: Worker | None = None
    inline: tuple[Engine, ...] = ()
    """The managers whose ``run_task`` this thread is in."""


here: Here = Here()


class Worker:
    """Makes a resource, serves the queue with it, and ends it; reports each step to the supervisor."""

    def __init__(self, engine: Engine, seat: ev.Seat) -> None:
        self.engine = engine
        self.seat = seat
        self.shard: Shard = engine.books.shard(seat.slot)
        self.state: WorkerState = WorkerState.STARTING
        """As the worker itself knows it: the supervisor hears of it a little later."""
        self.name: str = f"{engine.config.name}-{seat.slot}"
        self.thread: threading.Thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def run(self) -> None:
        """The whole life of the worker, in its own thread; at the exit of the interpreter in the exiting one."""
        here.worker = self
        try:
            self._live()
        finally:
            here.worker = None

    def _live(self) -> None:
        engine = self.engine
        try:
            held = engine.maker.make()
        except BaseException as error:
            engine.creation_failed(self.seat, error)
            return
        self.state = WorkerState.READY
        engine.report(ev.WorkerReady(self.seat))
        last = self._serve_guarded(held)
        self.state = WorkerState.ENDING
        engine.maker.end(held)
        engine.report(last)

    def _serve_guarded(self, held: Held) -> ev.Event:
        """Serves until it is time to end; returns the last thing to report, after the resource is destroyed."""
        try:
            self.serve(held.resource)
        except BaseException as error:  # not the task's: an asynchronous exception, no memory, or a fault of ours
            self.engine.log.fault(f"worker {self.name}", error)
            self._lose_task(error)
            self.engine.queue.mend()
            return ev.WorkerLost(self.seat, describe(error))
        return ev.WorkerEnded(self.seat)

    def serve(self, resource: Any) -> None:
        """Runs tasks until told to retire, or until a task leaves the resource unhealthy."""
        engine, shard, name, root = self.engine, self.shard, self.name, self.engine.root
        meter = shard.meter
        high, normal, _ = engine.queue.levels
        tokens = engine.queue.tokens
        next_token = tokens.get
        add_execution, add_wait = meter.execution.append, meter.wait.append
        new = object.__new__
        collector, bounded = engine.collector, engine.places is not None
        future: TaskFuture[Any] | None
        for _ in iter(next_token, RETIRE):
            try:
                shard.future = future = high.popleft() if high else normal.popleft()
            except IndexError:
                shard.future = future = engine.queue.take()
                if future is None:
                    continue
            task, args, variables = future._task, future._args, future._variables
            # As Context(root) does, less the two calls.
            future._context = context = new(Context)
            context._parent = root
            context._cause = None
            context._watchers = []
            future._worker = name
            log = future._log
            future._started_at = started = monotonic()
            log.append(RUN)
            if (len(log) != 1 and not future._may_run()) or engine.killed:
                self._skip(future)
                shard.future = future = context = log = task = args = variables = None  # type: ignore[assignment]
                continue
            shard.taken += 1
            future._attempts += 1
            if bounded:
                engine.release_place(future)
            try:
                if variables is None:
                    variables = Variables()
                if args:
                    value = variables.run(task, context, resource, *args)  # type: ignore[arg-type]
                else:
                    value = variables.run(task, context, resource)  # type: ignore[arg-type]
                if value.__class__ is CoroutineType:
                    raise _async_task(value)
            except BaseException as error:
                healthy = self._failed(future, error)
                if not healthy:
                    return
            else:
                future._finished_at = finished = monotonic()
                future._value = value
                add_execution(finished - started)
                add_wait(started - future._queued_at)
                shard.done += 1
                if collector is not None:
                    engine.hooks.completion(TaskLifecycleTimestamps(future._queued_at, started, finished))
                log.append(DONE)
                if len(log) == 2:
                    future._kind = FINISHED
                    future._task = future._args = future._variables = future._context = None
                elif not future._after(DONE):
                    future._value = None
            shard.future = future = context = log = task = args = variables = value = None  # type: ignore[assignment]
            if len(meter.execution) >= BATCH:
                meter.flush()
            if engine.draining and tokens.empty():
                engine.look_idle()
        engine.report(ev.WorkerRetiring(self.seat))

    def _skip(self, future: TaskFuture[Any]) -> None:
        """The task was cancelled before it came to its turn, or must not start any more because of a kill."""
        engine = self.engine
        if engine.killed and outcome_in(tuple(future._log)) is None:
            future._log.append(BACK)
            engine.drop(future)
        future._context = None
        engine.look_idle()

    def _failed(self, future: TaskFuture[Any], error: BaseException) -> bool:
        """Sees to a task that raised. False if the resource is to blame; then this worker must end."""
        engine, shard = self.engine, self.shard
        future._finished_at = finished = monotonic()
        if error.__traceback__ is not None:
            # Less our own frame, which would keep the resource and the next tasks alive for as long as the error lives.
            # Not by assignment, which the error's class may forbid.
            BaseException.with_traceback(error, error.__traceback__.tb_next)
        context = future._context
        cancelled = isinstance(error, CancelledError) and context is not None and context.cancelled
        if not cancelled and not isinstance(error, DeadlockError) and not engine.hooks.healthy(error):
            self._send_back(future, error)
            return False
        meter = shard.meter
        if cancelled:
            meter.cancelled += 1
        else:
            meter.failed += 1
            meter.timed_out += isinstance(error, TaskTimeout)
            meter.execution.append(finished - future._started_at)
            meter.wait.append(future._started_at - future._queued_at)
        shard.done += 1
        if not cancelled:
            engine.hooks.failure(TaskLifecycleTimestamps(future._queued_at, future._started_at, finished))
        future._end(Ending(error, cancelled=cancelled, forced=True))
        return True

    def _send_back(self, future: TaskFuture[Any], error: BaseException) -> None:
        """Leaves the task to the supervisor. Until that has decided, it counts as running."""
        engine, shard = self.engine, self.shard
        text = "worker %s replaces its resource: %s failed (attempt %d) with %s"
        engine.log.log("warning", text, self.name, future.label, future._attempts, describe(error))
        future._failure = error
        put, event = engine.put_event, ev.AttemptFailed(self.seat, future, future._attempts, future._once)
        shard.sent_back += 1
        shard.future = None
        put(event)
        if engine.finished.is_set():  # nobody reads that any more
            engine.drop_returned(future)

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


def _async_task(coroutine: CoroutineType[Any, Any, Any]) -> TypeError:
    coroutine.close()
    return TypeError(
        f"{coroutine.__qualname__} is an async task: it needs an AsyncTaskManager, a TaskManager can't run it"
    )
