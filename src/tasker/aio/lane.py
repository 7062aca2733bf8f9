"""The lane of a worker: what runs asynchronous tasks, each in its own context variables, without a task of the loop.

A task has to run in the context that was copied when it was submitted. ``asyncio.Task`` does that, but making one for
each task costs more than all the rest. Awaiting the coroutine in the worker runs it in the worker's context. Driving it
with ``context.run(coroutine.send, None)`` is right, and pays for a ``StopIteration``, as an object, at the end of each.

So a worker has one generator, for all its tasks. A generator has no context: each step of it runs in the context of
whoever resumes it. It takes the task that the worker holds, delegates to its coroutine by ``yield from`` (which hands
the result over in C, without an exception), and yields

- ``DONE``     the task has ended with a result and its future has been told,
- ``FAILED``   the task raised; the error is in ``Lane.error``,
- a future     of the loop: the task waits for it. ``rest`` hands that on to the loop, as ``await`` would have done.

The figures of the ways not taken are in docs/decisions.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator
from sys import getrefcount
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.context import Context
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .futures import ENDED, RUNNING, AsyncTaskFuture
from .places import PlaceWait

if TYPE_CHECKING:
    from .workers import AsyncWorker

DONE, FAILED, PLAIN = object(), object(), object()
_OURS = 3
"""References to a context that nobody has kept: the worker's, the generator's, and the argument of ``getrefcount``."""
_KINDS = (AsyncTaskFuture, PlaceWait)


class Lane:
    """The generator of one worker, and what it shares with it."""

    def __init__(self, worker: AsyncWorker, resource: Any) -> None:
        self._worker = worker
        self._closing = False
        self.error: BaseException | None = None
        self.interruption: BaseException | None = None
        """What is to be raised in the task in place of the next ``CancelledError``."""
        self._rested = False
        self.now: float = 0.0
        """The present moment, as the lane or the worker has last seen it: one look at the clock serves the end of a task
        and the start of the next."""
        self.generator: Generator[Any, None, None] = self._tasks(resource)

    @types.coroutine
    def _tasks(self, resource: Any) -> Generator[Any, None, None]:
        worker, shard, root = self._worker, self._worker.shard, self._worker.engine.root
        hooks, watch = self._worker.engine.hooks, self._worker.engine.watch
        samples, limit, collects = shard.samples, watch.limit, worker.engine.collector is not None
        new, references, set_result = Context.__new__, getrefcount, asyncio.Future.set_result
        context = worker.context = Context(root)
        value: Any
        future: Any
        while True:
            future = shard.future
            future._started_at = started = self.now
            try:
                value = yield from future._task(context, resource, *future._args)
            except BaseException as error:
                if self._closing:
                    raise
                self.error = error
            if self.error is not None:
                # Outside of the handler: a generator that is suspended in one keeps the error alive.
                value = future = None
                yield FAILED
                context = worker.context = Context(root)
                continue
            future._finished_at = self.now = finished = monotonic()
            samples += (finished - started, started - future._queued_at)
            if finished - started > limit and not self._rested:
                watch.held(finished - started, worker.name, future.id, future._task)
            shard.done += 1
            shard.future = None
            if collects:
                hooks.completion(TaskLifecycleTimestamps(future._queued_at, started, finished))
            if future._stage == RUNNING:
                future._stage = ENDED
                set_result(future, value)
                future._task = future._variables = None
                future._args = ()
                if future._callback is not None:
                    future._call_back(value, None)
                    self.now = monotonic()
            value = future = None
            if references(context) > _OURS or context._watchers or context._cause is not None:
                # Context(root), without the call of its __init__. One that nobody has kept serves the next task.
                context = worker.context = new(Context)
                context._parent, context._cause, context._watchers = root, None, []
            yield DONE

    @types.coroutine
    def rest(self, future: AsyncTaskFuture[Any], waited: Any) -> Generator[Any, None, object]:
        """Runs the task on, from its first wait to its end; gives ``DONE`` or ``FAILED``."""
        worker = self._worker
        waits, watch = worker.engine.waits, worker.engine.watch
        variables, send, throw = future._variables, self.generator.send, self.generator.throw
        assert variables is not None
        run = variables.run
        self._rested = True
        task = future._task
        watch.look(future._started_at, worker.name, future.id, task)
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
            watch.look(begun, worker.name, future.id, task)
            if waited is DONE or waited is FAILED:
                self._rested = False
                waits.leave(worker)
                return waited

    def _instead(self, error: BaseException) -> BaseException:
        interruption, self.interruption = self.interruption, None
        return error if interruption is None else interruption

    def close(self) -> None:
        """Ends the generator, and the coroutine that it is in the middle of, if there is one."""
        self._closing = True
        self.generator.close()
