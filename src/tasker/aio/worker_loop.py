"""TaskRunner: takes tasks from the queue and runs them in its worker, without a task of the loop for each.

A worker has one generator for all its tasks; it is the hottest loop of this package. A generator has no context of its
own: each step runs in the context of the code that resumes it. It takes a task from the queue, asks to be resumed in
the context that was copied when the task was submitted, delegates to the task's coroutine by ``yield from`` (which
hands the result over in C, without an exception), and sets the outcome. It yields

- a ``RunnerRequest``, for its worker: ``SWITCH`` for a task that succeeds without waiting, the others for everything
  else;
- a future that the task waits for. ``run_to_end`` hands it on to the loop, as ``await`` would have done.

Rejected (figures in docs/decisions): an ``asyncio.Task`` for each task, which costs more than all the rest. Awaiting
the coroutine in the worker, which runs it in the worker's context. ``context.run(coroutine.send, None)``, which makes a
``StopIteration`` object at the end of each task.
"""

from __future__ import annotations

import contextvars
import types
from collections.abc import Generator
from enum import Enum
from sys import getrefcount
from time import monotonic
from typing import Any, NamedTuple

from tasker.context import Context
from tasker.core.user_functions import is_async
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .future import ENDED, QUEUED, RUNNING, AsyncTaskFuture
from .ports import RunnerWorker
from .queue_slots import AnnouncedWait
from .user_functions import CO_COROUTINE, awaited

_OWN_REFERENCES = 3
"""The references to a context that no task has kept: the worker's, the generator's, the argument of ``getrefcount``."""
_NO_VARIABLES = contextvars.Context()
_OWN_AWAITABLES = (AsyncTaskFuture, AnnouncedWait)


class RunnerRequest(Enum):
    """A request of a runner to its worker."""

    SWITCH = "resume the generator in TaskRunner.variables, the context of the next task"
    IDLE = "resume the generator when there may be a task in the queue"
    PAUSE = "let the loop run other tasks, and clear what is left of a cancellation"
    PLAIN = "run the current task, which is not a coroutine function"
    TEND = "see to the resource between two tasks"
    FAILED = "handle TaskRunner.error, which the current task raised"
    ORDER = "obey an order of the queue"


SWITCH, IDLE, PAUSE, PLAIN, TEND, FAILED, ORDER = RunnerRequest


def _request_for(task: Any) -> RunnerRequest:
    """Returns the request by which a task is run: ``SWITCH`` for a coroutine function, else ``PLAIN``."""
    # Most tasks are functions, and the flag in their code is quick to check.
    try:
        plain = not task.__code__.co_flags & CO_COROUTINE
    except Exception:  # no function; or a proxy, whose attributes may raise anything
        plain = True
    return PLAIN if plain and not is_async(task) else SWITCH


class TaskRunner:
    """Holds the generator of one worker, and what the two share."""

    def __init__(self, worker: RunnerWorker, resource: Any) -> None:
        self._worker = worker
        self._closing = False
        self._has_waited = False
        self.until: float = 0.0
        """When the present slice ends (the clock of ``TurnBudget``)."""
        self.error: BaseException | None = None
        self.generator: Generator[Any, None, None] = self._tasks(resource)
        self.current: Generator[Any, None, None] = self.generator
        """What runs the task: ``generator``, or, for the coroutine that a plain function has returned, ``awaiting``."""
        self._returned: Any = None
        self.variables: contextvars.Context
        """After a ``SWITCH``, the context that the next step has to run in."""

    @types.coroutine
    def _tasks(self, resource: Any) -> Generator[Any, None, None]:
        worker, shard, engine = self._worker, self._worker.shard, self._worker.engine
        root, name, queue = worker.root, worker.name, engine.queue
        loops_task: Any = worker.task  # ``_must_cancel`` is not in its type
        add_execution, add_wait = shard.meter.execution.append, shard.meter.wait.append
        limit, bounded = engine.slow_callbacks.limit, engine.queue_slots is not None
        hooks, collects, tends = engine.hooks, engine.collector is not None, worker.upkeep is not None
        high, normal, low = queue.levels
        new, references, clock = Context.__new__, getrefcount, engine.turns.clock
        context = worker.context = Context(root)
        now, until = clock(), self.until
        known: Any = None
        """The function of the last task, for which ``request`` was found. Most often the next task has the same one."""
        request: RunnerRequest = PLAIN
        value: Any
        future: Any
        task: Any
        while True:
            # From here to SWITCH this still runs in the context of the last task. That does no harm: it calls no code
            # of the user's.
            if engine.door and not (high or normal or low):
                engine.check_drained()
            # Before a task is taken: surplus workers end although tasks are waiting.
            if queue.orders and worker.ordered:
                known, self.variables = None, _NO_VARIABLES
                yield ORDER
                now, until = clock(), self.until
                continue
            if high:
                future = high.popleft()
            elif normal:
                future = normal.popleft()
            elif low:
                future = low.popleft()
            else:
                known, self.variables = None, _NO_VARIABLES  # an idle worker must keep neither alive
                yield IDLE
                now, until = clock(), self.until
                continue
            if future._stage != QUEUED:  # ended in the queue, and not discarded
                continue
            # No yield since the task was taken, so it is always either in the queue or running.
            future._stage = RUNNING
            future._worker = name
            shard.future = future
            if bounded:
                engine.release_slot(future)
            task = future._task
            if task is not known:
                known, request = task, _request_for(task)
            if request is SWITCH:
                self.variables = future._variables or contextvars.Context()
                yield SWITCH
                # From here on, this runs in the context of the task. ``now`` is when the last task ended or the loop
                # came back: reading the clock once for each task is enough.
                future._started_at = now
                try:
                    args = future._held
                    if args:
                        value = yield from task(context, resource, *args)
                    else:  # faster without the empty ``*args``
                        value = yield from task(context, resource)
                except BaseException as error:  # also a SystemExit: it is the outcome of this task, not of the loop
                    if self._closing:  # the GeneratorExit of ``close``
                        raise
                    self.error = error
            if request is PLAIN or self.error is not None:
                # Outside of the handler, in which a suspended generator would keep the error alive. Nor may the locals
                # keep the task alive: the worker may be about to destroy the resource.
                value = future = task = args = known = None
                yield FAILED if self.error is not None else PLAIN
                self._has_waited = False
                # The worker has handled the task and its outcome. A fresh context: the task may have kept the old one.
                now, until = clock(), self.until
                context = worker.context = Context(root)
                if now > until:
                    yield PAUSE
                    now, until = clock(), self.until
                continue
            # Everything about the task is counted before its outcome is set: a caller that has the result also finds it
            # in ``stats()`` and ``metrics()``.
            future._finished_at = finished = clock()
            took = finished - now
            add_execution(took)
            add_wait(now - future._queued_at)
            now = finished
            if took > limit and not self._has_waited:  # one that has waited was checked step by step in ``run_to_end``
                engine.slow_callbacks.report(took, name, future.id, task)
            shard.done += 1
            shard.future = None
            if collects:
                # This is the context of the task, and what the task has set there is nothing to the collector.
                stamps = TaskLifecycleTimestamps(future._queued_at, future._started_at, finished)
                contextvars.Context().run(hooks.completion, stamps)
            if future._stage == RUNNING:  # not abandoned by a kill
                future._stage = ENDED
                future._held = value
                future._task = future._variables = None
                if future._extra is not None:
                    future._notify(value, None)
                    now = clock()  # the callback's time is not the next task's
            # The generator may now be suspended for long, and must not keep the task or its result alive.
            value = future = task = args = None
            # A context that the task has not kept, watched or cancelled is as good as new, and serves the next task.
            if references(context) > _OWN_REFERENCES or context._watchers or context._cause is not None:
                # As Context(root), without the call of ``__init__``.
                context = worker.context = new(Context)
                context._parent, context._cause, context._watchers = root, None, []
            if tends:
                yield TEND
                now, until = clock(), self.until
            # A cancellation that came too late for the task must not strike the next one. One that came while the task
            # did not wait is still to be thrown, whether it was taken back or not (see ``is_struck``).
            if now > until or loops_task._must_cancel or (self._has_waited and loops_task.cancelling()):
                known, self.variables = None, _NO_VARIABLES  # a lent worker is idle here, too
                yield PAUSE
                now, until = clock(), self.until
            self._has_waited = False

    @types.coroutine
    def awaiting(self, awaitable: Any) -> Generator[Any, None, None]:
        """Awaits what a plain function has returned. Its last step yields a request, as a step of ``generator`` does."""
        self._returned = yield from awaited(awaitable)
        yield PLAIN

    def take_returned(self) -> Any:
        """Returns the result of ``awaiting``."""
        value, self._returned = self._returned, None
        return value

    @types.coroutine
    def run_to_end(
        self, future: AsyncTaskFuture[Any], waited: Any, begun: float
    ) -> Generator[Any, None, RunnerRequest]:
        """Drives a task from its first wait to its end; its first step began at ``begun``. Returns the runner's next
        request."""
        worker = self._worker
        # In the context of the task for each of its steps, as ``asyncio.Task`` runs them.
        waits, slow_callbacks = worker.engine.waits, worker.engine.slow_callbacks
        run, send, throw = self.variables.run, self.current.send, self.current.throw
        self._has_waited = True  # the loop checks only tasks that never wait
        task = future._task
        slow_callbacks.check(begun, worker.name, future.id, task)
        while True:
            worker.waited = waited
            # A ``DeadlockError`` of ``enter`` is thrown into the task like an error that the loop throws.
            try:
                if type(waited) in _OWN_AWAITABLES and waited._engine is worker.engine:
                    waits.enter(worker, waited)
                elif worker.waits:
                    waits.leave(worker)
                yield waited
            except BaseException as error:
                worker.waited = None
                if worker.engine.torn_down:  # a GeneratorExit: nothing can be awaited any more
                    self.close()
                    raise
                begun = monotonic()
                waited = run(throw, error)
            else:
                worker.waited = None
                begun = monotonic()
                waited = run(send, None)
            slow_callbacks.check(begun, worker.name, future.id, task)
            if type(waited) is RunnerRequest:
                waits.leave(worker)
                return waited

    def close(self) -> None:
        """Closes the generator, and the coroutine of the task in it, if there is one."""
        self._closing = True
        self.generator.close()


def names_in(error: BaseException, *functions: Any) -> dict[str, Any] | None:
    """Returns the local variables of one of these functions, if the error has struck it or what it has called."""
    codes, trace = [function.__code__ for function in functions], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return trace.tb_frame.f_locals
        trace = trace.tb_next
    return None


class InHand(NamedTuple):
    """A task that a runner had in its hand when an error struck it between two statements."""

    future: Any
    counted: bool
    """Whether it has ended with ``value``, and is counted as done; otherwise it was taken from the queue, and not begun."""
    value: Any


def in_hand(error: BaseException) -> InHand | None:
    """Returns that task, if there was one. Found by the traceback, so that no task pays for it."""
    names = names_in(error, TaskRunner._tasks)
    return None if names is None else _held_by(names)


def _held_by(names: dict[str, Any]) -> InHand | None:
    future = names.get("future")
    if future is None:
        return None
    if names.get("task") is None:  # it is looked up when the task is in the books
        return None if future.done() else InHand(future, counted=False, value=None)
    # Also where its outcome is set: perhaps nobody was told.
    counted = names["shard"].future is None and future._stage in (RUNNING, ENDED)
    return InHand(future, counted=True, value=names.get("value")) if counted else None
