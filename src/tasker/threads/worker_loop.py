"""ThreadHost: keeps the resource in this process and runs tasks in the thread of its worker.

``_serve`` is the hottest loop of the library: names are looked up once, and a task that succeeds calls no function of
the library and takes no lock. Everything else (a failure, a retry, a race with ``cancel`` or ``kill``) leaves the loop
for a method of the worker.

A caller that has a result also finds its task in ``stats()`` and ``metrics()``, and an idle worker keeps nothing of its
last task alive.

Atomic without the GIL, each on its own object: ``SimpleQueue.get``, ``deque.popleft``, ``list.append``,
``dict.setdefault``, ``dict.pop``. Attributes of the shard and of the future are written by this thread alone until
``DONE``, except ``_log`` (see ``future_log.opened``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context as Variables
from itertools import repeat
from time import monotonic
from types import CoroutineType
from typing import Any

from tasker.context import BareContext
from tasker.control import events as ev
from tasker.control.health import Health
from tasker.core.stacks import stack_of_thread
from tasker.core.user_functions import refused
from tasker.metrics.meter import BATCH
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .future_log import DONE, FINISHED, RUN, SETTLED, UNOPENED, opening
from .parking import stay
from .ports import HostedWorker
from .queue import CALL, HOLD, PARK, RETIRE
from .resources import ResourceHandle
from .upkeep import ResourceWorn, Upkeep


class ThreadHost:
    """Implements ``Host`` for a resource in this process."""

    def __init__(self, worker: HostedWorker) -> None:
        self._worker = worker
        self._held: ResourceHandle | None = None
        self._upkeep: Upkeep | None = None

    def create(self) -> None:
        """See ``Host``."""
        self._held = self._worker.engine.maker.make(self._worker.root.info)

    def destroy(self) -> None:
        """See ``Host``."""
        handle, self._held = self._held, None
        if handle is not None:
            self._worker.engine.maker.end(handle)

    def where(self, thread: int | None, patience: float = 0.0) -> str:
        """See ``Host``."""
        return stack_of_thread(thread)

    def show(self, thread: int | None, tell: Callable[[str], object]) -> None:
        """See ``Host``."""
        tell(self.where(thread))

    def call(self) -> None:
        """See ``Host``."""
        engine = self._worker.engine
        engine.renewals.call(self._worker)
        engine.queue.lot.leave(self._worker)

    def ahead(self) -> Sequence[Any]:
        """See ``Host``. None."""
        return ()

    def kill(self) -> bool:
        """See ``Host``. Returns False: a thread cannot be ended by force."""
        return False

    def serve(self) -> None:
        """See ``Host``. Returns when the worker retires, or its resource must not be used any more."""
        # The whole loop runs in ``own``, an empty context. So a task whose submitter had set no context variables is
        # called like any function, without the cost of ``Context.run``. If a task sets one, it stays in ``own``, so the
        # loop goes on in a new context.
        worker, own = self._worker, Variables()
        assert self._held is not None
        self._upkeep = Upkeep.of(worker, self._held)
        worker.engine.hold.enter(worker, lambda: worker.outdated)
        try:
            while True:  # docs/decisions/0043
                if worker.outdated:  # called, perhaps while it was held or cooled down: it must take no task any more
                    worker.engine.report(ev.WorkerWorn(worker.seat))
                    break
                if not own.run(self._serve, own) and not self._cools_down():
                    break
                own = Variables()
        except ResourceWorn:
            pass
        finally:
            worker.engine.renewals.left(worker)

    def _cools_down(self) -> bool:
        """Returns whether the worker has left its loop to cool down, and serves on."""
        worker = self._worker
        if not worker.cools_until:
            return False
        if self._upkeep is not None:
            self._upkeep.settle()
        return worker.cool_down()

    def _serve(self, own: Variables) -> bool:
        """Runs tasks in ``own`` while it is empty. Returns True if the loop has to go on in a new context, False at the
        end."""
        assert self._held is not None
        worker, resource = self._worker, self._held.resource
        engine, shard, name, root = worker.engine, worker.shard, worker.name, worker.root
        meter = shard.meter
        high, normal, _ = engine.queue.levels
        from_high, from_normal = map(deque.popleft, repeat(high)), map(deque.popleft, repeat(normal))
        tokens = engine.queue.tokens
        next_token = tokens.get if self._upkeep is None else self._upkeep.next_token
        executions, waits = meter.execution, meter.wait
        # Locals, because CPython 3.13 without the GIL looks a global name up in its dict each time.
        run, done, settled, ended_well, now = RUN, DONE, SETTLED, FINISHED, monotonic
        unopened, open_log, is_open = UNOPENED, opening.setdefault, opening.pop
        new_context, coroutine, batch = BareContext, CoroutineType, BATCH
        collector, bounded = engine.collector, engine.queue_slots is not None
        future: Any = None
        log: Any
        context: Any
        value: Any = None
        while True:  # and not `while (order := next_token()) is None`: CPython 3.11 would not speed that loop up
            if (order := next_token()) is not None:
                break
            try:
                # Not a call of ``popleft``: when a call returns, an asynchronous exception can be raised, and then neither the
                # queue nor the shard would have the task. Between a step of an iterator in C and the next line, none can.
                for future in from_high if high else from_normal:
                    shard.future = future
                    break
            except IndexError:
                shard.future = future = engine.queue.take()
                if future is None:  # one token too many, which may have kept another worker from this check
                    if engine.door:
                        engine.check_drained()
                    continue
            # Read before RUN is appended. Before it, a ``cancel`` may clear them, which is noticed below; after it,
            # only a kill whose deadline has passed.
            task, args, variables = future._task, future._args, future._variables
            # As Context(root), which would be one call more. Shown once it has all its fields, since a kill may cancel it then,
            # and before RUN: a ``cancel`` that finds RUN in the log cancels it.
            context = new_context()
            context._parent = root
            context._cause = None
            context._watchers = []
            future._context = context
            future._worker = name
            log = future._log
            if log is unopened:  # as ``opened``, which would be one call more and explains the steps
                log = open_log(future, [])
                if future._log is unopened:
                    future._log = log
                else:
                    log = future._log
                is_open(future, None)
            future._started_at = started = now()
            # From this append on, an ending that is not forced comes too late. Alone in the log, RUN has won.
            log.append(run)
            # The door is checked after the append, and a kill closes it before it looks for queued and running tasks.
            # So either this thread finds it closed, or the kill finds this task running and cancels it.
            if (len(log) != 1 and not future._may_run()) or (engine.door and engine.killed):
                _outside(own, worker.skip, future)
                shard.future = future = context = log = task = args = variables = None
                if own or engine.is_forked:
                    return not engine.is_forked
                continue
            shard.taken += 1
            future._attempts += 1
            # After ``taken`` has grown, so that ``stats()`` never shows more queued tasks than there are slots.
            if bounded:
                engine.release_slot(future)
            try:
                if variables is not None:
                    value = variables.run(task, context, resource, *args)
                elif args:
                    value = task(context, resource, *args)
                else:
                    value = task(context, resource)
                if value.__class__ is coroutine:
                    raise refused(value)
            except BaseException as error:  # also a SystemExit: it is the outcome of this task, not of the worker
                if value is not None and type(value) is not coroutine:
                    # The task has returned. What raised is the ``__class__`` of its result, for instance of a proxy.
                    _outside(own, worker.succeeded, future, value)
                elif _outside(own, worker.failed, future, error) is not Health.OK:
                    return False  # to end, or to cool down
            else:
                # Everything about the task is written, and ``done`` grows, before DONE is appended: a caller that has
                # the result also finds it in ``stats()`` and ``metrics()``.
                future._finished_at = finished = now()
                future._value = value
                executions.append(finished - started)
                waits.append(started - future._queued_at)
                shard.done += 1
                if collector is not None:
                    stamps = TaskLifecycleTimestamps(future._queued_at, started, finished)
                    _outside(own, engine.hooks.completion, stamps)
                log.append(done)
                # [RUN, DONE]: nothing waits for the outcome, and a watcher that comes later finds DONE in the log.
                if len(log) == 2:
                    future._kind = ended_well
                    future._log = settled
                    future._task = future._args = future._variables = future._context = None
                elif not _outside(own, future._after, done):
                    future._value = None  # a kill has set another outcome
            # Before the worker waits for the next task: an idle worker must not keep a task or its result alive.
            shard.future = future = context = log = task = args = variables = value = None
            if len(executions) >= batch:
                meter.flush()
            if engine.alert:
                if engine.is_forked:  # by this task, and this is the child
                    return False
                # While the manager closes, the check is needed after the last task; ``tokens`` spares the others.
                if engine.door and tokens.empty():
                    engine.check_drained()
                if worker.outdated:
                    break
            if own:
                return True
        if order is PARK:
            stay(worker)
        if order is HOLD:
            engine.hold.stay(worker, lambda: worker.outdated)
        if order is CALL:
            engine.renewals.answer(worker)
        if order is not RETIRE:
            return True  # ``serve`` looks whether it was called
        engine.report(ev.WorkerRetiring(worker.seat))
        return False


def _outside(own: Variables, function: Callable[..., Any], *args: Any) -> Any:
    """Calls ``function`` in a context without the variables that the task has set."""
    return Variables().run(function, *args) if own else function(*args)
