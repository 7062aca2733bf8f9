"""The host that costs nothing: the resource lives in this process, and its worker's thread runs the tasks.

``serve`` is the hottest loop of the library and is written for that: names are looked up once, a task that succeeds
calls no function of ours, and takes no lock. Whatever else happens (a failure, a retry, a race with
``cancel`` or ``kill``) leaves the loop's straight path for a method of the worker.

The order inside the loop carries promises:

- ``RUN`` is appended before ``taken`` grows, ``done`` grows before ``DONE`` is appended: so whoever has a result in
  his hands also finds it in ``stats()`` and ``metrics()``.
- ``_task`` and its companions are read before ``RUN``: once ``RUN`` has won, only a ``kill`` may empty them, after its
  deadline.
- A task whose submitter had set no contextvars runs in ``own``, in which the whole loop runs: so the task is called like
  any function, without ``Context.run``. Once something was set there, the loop goes on inside of another; and what is
  called meanwhile for others than the task is called outside (``_outside``).
- References to the task are dropped before the worker waits for the next one, so an idle worker keeps nothing alive.

Atomic without the GIL, each on its own object: ``SimpleQueue.get``, ``deque.popleft``, ``list.append``, ``dict.setdefault``,
``dict.pop``; attributes of the shard and of the future are written by this thread alone until ``DONE``, but for ``_log``, see
``tasklog.opened``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context as Variables
from time import monotonic
from types import CoroutineType
from typing import Any

from tasker.context import BareContext
from tasker.control import events as ev
from tasker.core.user_functions import refused
from tasker.metrics.meter import BATCH
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .future import TaskFuture
from .future_log import DONE, FINISHED, RUN, SETTLED, UNOPENED, opening
from .ports import HostedWorker
from .queue import RETIRE
from .resources import ResourceHandle


class ThreadHost:
    """See the module's docstring."""

    def __init__(self, worker: HostedWorker) -> None:
        self._worker = worker
        self._held: ResourceHandle | None = None

    def create(self) -> None:
        """See ``Host``."""
        self._held = self._worker.engine.maker.make()

    def destroy(self) -> None:
        """See ``Host``."""
        handle, self._held = self._held, None
        if handle is not None:
            self._worker.engine.maker.end(handle)

    def kill(self) -> bool:
        """See ``Host``: nobody can end a thread."""
        return False

    def serve(self) -> None:
        """Runs tasks until told to retire, or until a task leaves the resource unhealthy."""
        own = Variables()
        while own.run(self._serve, own):
            own = Variables()

    def _serve(self, own: Variables) -> bool:
        """``serve``, inside of ``own``, as long as that stays empty; True where it has to go on inside of another."""
        assert self._held is not None
        worker, resource = self._worker, self._held.resource
        engine, shard, name, root = worker.engine, worker.shard, worker.name, worker.engine.root
        meter = shard.meter
        high, normal, _ = engine.queue.levels
        tokens = engine.queue.tokens
        next_token = tokens.get
        executions, waits = meter.execution, meter.wait
        # Without the GIL, CPython 3.13 looks a global name up in its dict each time.
        retire, run, done, settled, ended_well, now = RETIRE, RUN, DONE, SETTLED, FINISHED, monotonic
        unopened, open_log, is_open = UNOPENED, opening.setdefault, opening.pop
        new_context, coroutine, batch = BareContext, CoroutineType, BATCH
        collector, bounded = engine.collector, engine.queue_slots is not None
        future: TaskFuture[Any] | None
        log: Any
        context: Any
        while True:  # and not `while next_token() is not RETIRE`: CPython 3.11 would not speed that loop up
            if next_token() is retire:
                break
            try:
                shard.future = future = high.popleft() if high else normal.popleft()
            except IndexError:
                shard.future = future = engine.queue.take()
                if future is None:
                    continue
            task, args, variables = future._task, future._args, future._variables
            # As Context(root) does, less one call.
            future._context = context = new_context()
            context._parent = root
            context._cause = None
            context._watchers = []
            future._worker = name
            log = future._log
            if log is unopened:  # ``opened``, less its call
                log = open_log(future, [])
                if future._log is unopened:
                    future._log = log
                else:
                    log = future._log
                is_open(future, None)
            future._started_at = started = now()
            log.append(run)
            if (len(log) != 1 and not future._may_run()) or (engine.door and engine.killed):
                _outside(own, worker.skip, future)
                shard.future = future = context = log = task = args = variables = None
                if own:
                    return True
                continue
            shard.taken += 1
            future._attempts += 1
            if bounded:
                engine.release_slot(future)
            try:
                if variables is not None:
                    value = variables.run(task, context, resource, *args)  # type: ignore[arg-type,misc]
                elif args:
                    value = task(context, resource, *args)  # type: ignore[misc]
                else:
                    value = task(context, resource)  # type: ignore[misc]
                if value.__class__ is coroutine:
                    raise refused(value)
            except BaseException as error:
                healthy = _outside(own, worker.failed, future, error)
                if not healthy:
                    return False
            else:
                future._finished_at = finished = now()
                future._value = value
                executions.append(finished - started)
                waits.append(started - future._queued_at)
                shard.done += 1
                if collector is not None:
                    stamps = TaskLifecycleTimestamps(future._queued_at, started, finished)
                    _outside(own, engine.hooks.completion, stamps)
                log.append(done)
                if len(log) == 2:
                    future._kind = ended_well
                    future._log = settled
                    future._task = future._args = future._variables = future._context = None
                elif not _outside(own, future._after, done):
                    future._value = None
            shard.future = future = context = log = task = args = variables = value = None
            if len(executions) >= batch:
                meter.flush()
            if engine.door and tokens.empty():
                engine.check_drained()
            if own:
                return True
        engine.report(ev.WorkerRetiring(worker.seat))
        return False


def _outside(own: Variables, function: Callable[..., Any], *args: Any) -> Any:
    """Calls ``function`` where it sees nothing of what the task has set."""
    return Variables().run(function, *args) if own else function(*args)
