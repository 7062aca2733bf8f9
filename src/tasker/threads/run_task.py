"""``run_task``: runs a task at once in the caller's own thread, with a pooled or a temporary resource.

The caller's thread is most often the main thread, in which Ctrl-C may raise ``KeyboardInterrupt``. CPython checks for
signals when a call returns, when a function begins and when a loop turns. So each call of ``run_task`` is an object
that is up to date at each of these moments, and whatever it holds then is returned exactly once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from time import monotonic
from types import CoroutineType
from typing import Any, Protocol

from tasker.context import BareContext, Context
from tasker.control.attempts import after_error
from tasker.control.events import PoolResourceLost
from tasker.control.health import Health, HealthKind
from tasker.core.outcomes import snoozes
from tasker.core.probing import passes, why_unfit
from tasker.core.user_functions import refuse
from tasker.errors import TaskKilled, TaskTimeout
from tasker.metrics.meter import BATCH, Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .ports import ThreadEngineForRunTask
from .refusals import refuse_inline
from .resource_pool import Lease
from .resources import ResourceElsewhere, ResourceHandle
from .this_thread import this_thread

_LOST = PoolResourceLost()


class Tries(Protocol):
    """The call of ``run_task`` that a ``Call`` is an attempt of."""

    again: bool
    """Whether another attempt follows."""
    carried: bool
    """Whether it counts as running, although no attempt of it does."""


class Call(Lease):
    """Records the progress of one call of ``run_task``, and its lease from the pool."""

    # Defaults in the class, as in ``Lease``.
    open: bool = False
    """Whether the counters have the task as running."""
    queued: float
    started: float = 0.0
    error: BaseException | None = None
    cancelled: bool = False
    returned: bool = False
    """Whether ``on_return`` was called."""
    fit: bool = False
    """Whether it has returned."""
    tries: Tries | None = None
    """What has a say in its end, where it is one of several attempts, or has a time limit."""

    def enter(self, engine: ThreadEngineForRunTask) -> None:
        # The door is closed under the same lock: a stop either refuses this task here, or waits for it.
        with engine.counters.lock:
            if engine.door:
                refuse_inline(engine)
            # No call in between, so no KeyboardInterrupt: what was counted is taken back.
            engine.counters.inline_accepted += 1
            self.open = True
        if engine.collector is not None:
            engine.hooks.arrival()

    def start(self, engine: ThreadEngineForRunTask) -> None:
        """Notes when the task starts. Raises ``TaskKilled`` if there was a kill while the resource was made."""
        if engine.door and engine.killed:
            raise TaskKilled(engine.refusal)
        self.started = monotonic()

    def failed(self, error: BaseException, context: Context) -> None:
        """Notes how the task has failed."""
        self.cancelled = issubclass(type(error), CancelledError) and context.cancelled

    def run_there(
        self,
        engine: ThreadEngineForRunTask,
        remote: ResourceElsewhere,
        context: Context,
        task: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> Any:
        """Runs the task where its resource lives."""
        return remote.run(context, task, args)

    def judge(self, run_task: RunTask, error: BaseException, broken: bool, finished: float) -> Health:
        """Returns what the error says of the resource. ``broken``: it is gone in any case."""
        return Health.OK if broken else run_task.health_after(self, error)


class RunTask:
    """Runs tasks for the callers of one manager. Thread-safe."""

    def __init__(self, engine: ThreadEngineForRunTask) -> None:
        self._engine = engine
        self._checks = engine.config.check_resource is not None
        self.meter: Meter = Meter()
        """Written under the lock of the counters, because it is shared by the threads of all callers."""

    def run(self, task: Callable[..., Any], args: tuple[Any, ...], call: Call | None = None) -> Any:
        """Runs the task. Returns its result or raises its error. ``call``: where the attempt is to be recorded."""
        engine = self._engine
        # Calls may be nested: a task in ``run_task`` may call it again, also that of another manager.
        outer = this_thread.inline
        if call is None:
            call = Call()
        call.queued = monotonic()
        # Everything that ``_close`` takes back happens inside of the ``try``.
        try:
            this_thread.inline = (*outer, engine)
            call.enter(engine)
            engine.pool.acquire(call)
            assert call.handle is not None
            if self._checks or not call.handle.usable:
                self._see_to(call, call.handle)
            remote = call.handle.remote
            call.start(engine)
            context: Context
            if remote is None:  # as Context(engine.run_task_root), which would be one call more
                context = BareContext()
                context._parent = engine.run_task_root
                context._cause = None
                context._watchers = []
            else:
                context = remote.context()
            try:
                if remote is not None:
                    return call.run_there(engine, remote, context, task, args)
                result = task(context, call.handle.resource, *args)
                return result if type(result) is not CoroutineType else refuse(result)
            except BaseException as error:
                call.error = error
                call.failed(error, context)
                raise
            finally:
                if context._watchers:  # of callbacks that must not outlive the task
                    engine.run_task_root.release(context)
        finally:
            try:
                if call.open:
                    self._close(call)
            except BaseException:
                # Interrupted, most likely by Ctrl-C: does what is left to do, then raises.
                if call.open:
                    self._complete(call)
                raise
            finally:
                this_thread.inline = outer  # last: ``on_destroy`` and ``check_health`` belong to this call

    def _complete(self, call: Call) -> None:
        """Does what is left to do for a call whose end was interrupted."""
        try:
            self._close(call)
        except BaseException:
            # Again, while ``on_destroy`` lasts, say: the rest is for a thread in which Ctrl-C does not strike.
            if call.open:
                self._engine.help(partial(self._close, call), "close", "the end of a task in run_task")
            raise

    def _see_to(self, call: Call, handle: ResourceHandle) -> None:
        """Renews a resource that is worn, or has been idle for too long and is not fit."""
        engine, remote = self._engine, handle.remote
        fit = handle.usable
        if fit and engine.now() - handle.used > engine.config.check_after_idle:
            check: Any = engine.config.check_resource
            why = why_unfit(lambda: check(handle.resource)) if remote is None else remote.check()
            fit = passes(engine, "run_task", why)
        if not fit:
            engine.pool.renew(call)

    def _close(self, call: Call) -> None:
        """Returns the resource and counts the task. May be called again if it was interrupted: the call records what is
        left to do."""
        engine, error = self._engine, call.error
        # User code (``check_health``, ``on_destroy``, the collector) is called outside of the lock, before and after
        # it.
        finished = monotonic()
        handle = call.handle
        broken = handle is not None and handle.remote is not None and not handle.remote.usable
        health = Health.OK if error is None else call.judge(self, error, broken, finished)
        healthy = not broken and not health.replaces and self._returns(call)
        engine.pool.release(call, healthy)
        # The names are looked up and the event is made before ``lacks`` is cleared: between that and ``put``, which is
        # C, nothing is called. So the pool is refilled exactly once.
        put, event = engine.put_event, _LOST
        if call.lacks:
            call.lacks = False
            put(event)
        meter = self.meter
        if error is not None and call.tries is not None and call.tries.again:
            # From here on, ``_close`` is not repeated. No call in between: the count is this call's, or that of the tries.
            call.tries.carried, call.open, call.error = True, False, None
            return
        with engine.counters.lock:
            # No call in between. From here on, ``_close`` is not repeated.
            engine.counters.inline_done += 1
            call.open = False
            if error is not None or not call.started:
                self._count_failure(call)
            # A cancelled task says nothing about how long tasks take.
            if call.started and not call.cancelled:
                meter.execution.append(finished - call.started)
                meter.wait.append(call.started - call.queued)
                if len(meter.execution) >= BATCH:
                    meter.flush()
        self._closed(call, finished)

    def _closed(self, call: Call, finished: float) -> None:
        """Does what follows once a call is counted."""
        engine = self._engine
        if engine.collector is not None:
            self._record(call, finished)
        # Its traceback holds the frame of ``run``, which holds this call, which would hold the error.
        call.error = None
        if engine.door:
            engine.check_drained()

    def _returns(self, call: Call) -> bool:
        """Returns whether a resource may serve another call, after what is done between two calls."""
        handle = call.handle
        if self._checks and handle is not None:
            handle.used = self._engine.now()
        if handle is None or handle.remote is not None or not call.started:  # one elsewhere was seen to there
            return True
        if not call.returned:
            call.returned = True  # first: if this is interrupted, it is not repeated, and the resource is replaced
            call.fit = self._engine.hooks.reset(handle.resource)
            if handle.wear is not None:
                handle.wear.served += 1
        return call.fit  # one that is worn is renewed before the next call, which needs no other meanwhile

    def health_after(self, call: Call, error: BaseException, *, blameless: bool = False) -> Health:
        """Returns what an error says of the resource, and notes what follows for others. ``blameless``: it was not used."""
        killed = call.cancelled and issubclass(type(error), TaskKilled)
        blameless = blameless or snoozes(error)
        if after_error(cancelled=call.cancelled, killed=killed, blameless=blameless) is not None:
            return Health.OK
        health = self._engine.hooks.health(error)
        if health.kind is HealthKind.DEPENDENCY_DOWN:
            self._engine.dependency_down(error, call.started)
        elif health.kind is HealthKind.COOL_DOWN:
            self._engine.pool.cool(call, health.seconds)
        return health

    def _record(self, call: Call, finished: float) -> None:
        if call.started and not call.cancelled:
            stamps = TaskLifecycleTimestamps(call.queued, call.started, finished)
            if call.error is None:
                self._engine.hooks.completion(stamps)
            else:
                self._engine.hooks.failure(stamps, None, call.error)

    def _count_failure(self, call: Call) -> None:
        meter = self.meter
        if call.cancelled:
            meter.cancelled += 1
        else:
            meter.failed += 1
            # One of before that is of ``on_create``, or that of a call which has come too late.
            of_task = call.started > 0.0 or call.tries is not None
            meter.timed_out += of_task and issubclass(type(call.error), TaskTimeout)
