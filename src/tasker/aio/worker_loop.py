"""The lane of a worker: what takes tasks from the queue and runs them, without a task of the loop for each.

A task has to run in the context that was copied when it was submitted. ``asyncio.Task`` does that, but making one for
each task costs more than all the rest. Awaiting the coroutine in the worker runs it in the worker's context. Driving it
with ``context.run(coroutine.send, None)`` is right, and pays for a ``StopIteration``, as an object, at the end of each.

So a worker has one generator, for all its tasks. A generator has no context: each step of it runs in the context of
whoever resumes it. It takes a task from the queue, asks to be resumed in that task's context, delegates to its coroutine
by ``yield from`` (which hands the result over in C, without an exception), and tells the future. It is the hottest loop of
this package. What it yields is

- one of the ``RunnerRequest``es, for its worker: ``SWITCH`` is the way of a task that succeeds without waiting, and all others
  leave the straight path;
- anything else, from the task: it waits for that. ``rest`` hands it on to the loop, as ``await`` would have done.

Taking the next task at the end of the one before, in its context, does no harm: nothing of that is the user's code.

The figures of the ways not taken are in docs/decisions.
"""

from __future__ import annotations

import contextvars
import types
from collections.abc import Generator
from enum import Enum
from sys import getrefcount
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .future import ENDED, QUEUED, RUNNING, AsyncTaskFuture
from .ports import RunnerWorker
from .queue_slots import AsyncSlotWait
from .user_functions import CO_COROUTINE, is_async

_SLICE = 0.001
"""For how many seconds a lane runs tasks that never wait, before it lets the rest of the loop have its turn."""
_OURS = 3
"""References to a context that nobody has kept: the worker's, the generator's, and the argument of ``getrefcount``."""
_KINDS = (AsyncTaskFuture, AsyncSlotWait)


class RunnerRequest(Enum):
    """What a lane asks its worker for."""

    SWITCH = "resume me in TaskRunner.variables, the context of the task that is next"
    PARK = "resume me when there may be something in the queue"
    PAUSE = "let the loop have a turn, and clear what is left of a request to cancel"
    PLAIN = "run the task in hand, which is not a coroutine function"
    FAILED = "the task in hand raised TaskRunner.error: see to it"
    RETIRE = "end"


SWITCH, PARK, PAUSE, PLAIN, FAILED, RETIRE = RunnerRequest


def _how(task: Any) -> RunnerRequest:
    """How to run it. Most often it is a function, and the flag of its code is quick to look at."""
    try:
        plain = not task.__code__.co_flags & CO_COROUTINE
    except AttributeError:
        plain = True
    return PLAIN if plain and not is_async(task) else SWITCH


class TaskRunner:
    """The generator of one worker, and what it shares with it."""

    def __init__(self, worker: RunnerWorker, resource: Any) -> None:
        self._worker = worker
        self._closing = False
        self._rested = False
        self.error: BaseException | None = None
        self.interruption: BaseException | None = None
        """What is to be raised in the task in place of the next ``CancelledError``."""
        self.generator: Generator[Any, None, None] = self._tasks(resource)
        self.variables: contextvars.Context
        """After a ``SWITCH``: the context that the next step belongs to."""

    @types.coroutine
    def _tasks(self, resource: Any) -> Generator[Any, None, None]:
        worker, shard, engine = self._worker, self._worker.shard, self._worker.engine
        root, name, queue, cancelling = engine.root, worker.name, engine.queue, worker.task.cancelling
        add_execution, add_wait = shard.meter.execution.append, shard.meter.wait.append
        limit, bounded = engine.slow_callbacks.limit, engine.queue_slots is not None
        hooks, collects = engine.hooks, engine.collector is not None
        high, normal, low = queue.levels
        new, references = Context.__new__, getrefcount
        context = worker.context = Context(root)
        now = monotonic()
        until = now + _SLICE
        known: Any = None
        """The function of the last task, ``wish`` being how to run it: most often the next one has the same."""
        request: RunnerRequest = PLAIN
        value: Any
        future: Any
        task: Any
        while True:
            # To the next task.
            if engine.door and not (high or normal or low):
                engine.check_drained()
            if queue.retiring:
                queue.take_retirement()
                yield RETIRE
            if high:
                future = high.popleft()
            elif normal:
                future = normal.popleft()
            elif low:
                future = low.popleft()
            else:
                known = None
                yield PARK
                now = monotonic()
                until = now + _SLICE
                continue
            if future._stage != QUEUED:
                continue
            future._stage = RUNNING
            future._worker = name
            shard.future = future
            if bounded:
                engine.release_slot(future)
            task = future._task
            if task is not known:
                known, request = task, _how(task)
            if request is SWITCH:
                self.variables = future._variables or contextvars.Context()
                yield SWITCH
                # In the context of the task.
                future._started_at = now
                try:
                    args = future._held
                    if args:
                        value = yield from task(context, resource, *args)
                    else:  # a plain call is faster
                        value = yield from task(context, resource)
                except BaseException as error:
                    if self._closing:
                        raise
                    self.error = error
            if request is PLAIN or self.error is not None:
                # Outside of the handler: a generator that is suspended in one keeps the error alive.
                value = future = task = args = known = None
                yield FAILED if self.error is not None else PLAIN
                now = monotonic()
                until = now + _SLICE
                context = worker.context = Context(root)
                continue
            future._finished_at = finished = monotonic()
            took = finished - now
            add_execution(took)
            add_wait(now - future._queued_at)
            now = finished
            if took > limit and not self._rested:
                engine.slow_callbacks.report(took, name, future.id, task)
            self._rested = False
            shard.done += 1
            shard.future = None
            if collects:
                hooks.completion(TaskLifecycleTimestamps(future._queued_at, future._started_at, finished))
            if future._stage == RUNNING:
                future._stage = ENDED
                future._held = value
                future._task = future._variables = None
                if future._extra is not None:
                    future._tell(value, None)
                    now = monotonic()
            value = future = task = args = None
            if references(context) > _OURS or context._watchers or context._cause is not None:
                # Context(root), without the call of its __init__. One that nobody has kept serves the next task.
                context = worker.context = new(Context)
                context._parent, context._cause, context._watchers = root, None, []
            if now > until or cancelling():
                yield PAUSE
                now = monotonic()
                until = now + _SLICE

    @types.coroutine
    def rest(self, future: AsyncTaskFuture[Any], waited: Any) -> Generator[Any, None, RunnerRequest]:
        """Runs the task on, from its first wait to its end; gives what the lane wishes then."""
        worker = self._worker
        waits, slow_callbacks = worker.engine.waits, worker.engine.slow_callbacks
        run, send, throw = self.variables.run, self.generator.send, self.generator.throw
        self._rested = True
        task = future._task
        slow_callbacks.check(future._started_at, worker.name, future.id, task)
        while True:
            worker.waited = waited
            try:
                if type(waited) in _KINDS and waited._engine is worker.engine:
                    waits.enter(worker, waited)
                elif worker.waits:
                    waits.leave(worker)
                yield waited
            except BaseException as error:
                worker.waited = None
                if worker.engine.torn_down:
                    self.close()
                    raise
                begun = monotonic()
                waited = run(throw, self._instead(error))
            else:
                worker.waited = None
                begun = monotonic()
                waited = run(send, None)
            slow_callbacks.check(begun, worker.name, future.id, task)
            if type(waited) is RunnerRequest:
                waits.leave(worker)
                return waited

    def _instead(self, error: BaseException) -> BaseException:
        interruption, self.interruption = self.interruption, None
        return error if interruption is None else interruption

    def close(self) -> None:
        """Ends the generator, and the coroutine that it is in the middle of, if there is one."""
        self._closing = True
        self.generator.close()
