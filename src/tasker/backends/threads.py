"""The host that costs nothing: the resource lives in this process, and its worker's thread runs the tasks.

``serve`` is the hottest loop of the library and is written for that: names are looked up once, a task that succeeds
calls no function of ours but ``Context``, and takes no lock. Whatever else happens (a failure, a retry, a race with
``cancel`` or ``kill``) leaves the loop's straight path for a method of the worker.

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

from contextvars import Context as Variables
from time import monotonic
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from tasker.context import Context
from tasker.control import events as ev
from tasker.metrics.meter import BATCH
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.queues import RETIRE
from tasker.tasks import DONE, FINISHED, RUN, TaskFuture

if TYPE_CHECKING:
    from tasker.resources import Held
    from tasker.workers import Worker


class ThreadHost:
    """See the module's docstring."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._held: Held | None = None

    def create(self) -> None:
        """See ``Host``."""
        self._held = self._worker.engine.maker.make()

    def destroy(self) -> None:
        """See ``Host``."""
        held, self._held = self._held, None
        if held is not None:
            self._worker.engine.maker.end(held)

    def kill(self) -> bool:
        """See ``Host``: nobody can end a thread."""
        return False

    def serve(self) -> None:
        """Runs tasks until told to retire, or until a task leaves the resource unhealthy."""
        assert self._held is not None
        worker, resource = self._worker, self._held.resource
        engine, shard, name, root = worker.engine, worker.shard, worker.name, worker.engine.root
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
                worker.skip(future)
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
                healthy = worker.failed(future, error)
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
        engine.report(ev.WorkerRetiring(worker.seat))


def _async_task(coroutine: CoroutineType[Any, Any, Any]) -> TypeError:
    coroutine.close()
    return TypeError(
        f"{coroutine.__qualname__} is an async task: it needs an AsyncTaskManager, a TaskManager can't run it"
    )
