"""``run_task``: a task in the caller's own thread, at once, with a pooled or a temporary resource.

The caller's thread is most often the main thread, where a signal may raise ``KeyboardInterrupt``: CPython looks for signals
when a call returns, when a function begins and when a loop turns. So each call is an object that knows at each of these
moments what it holds, and ``_close``, which gives back just that, is repeated if it was interrupted itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from time import monotonic
from typing import Any

from tasker.context import BareContext, Context
from tasker.control.events import PoolResourceLost
from tasker.errors import TaskTimeout
from tasker.metrics.meter import BATCH, Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .ports import EngineForRunTask
from .resource_pool import Lease
from .this_thread import this_thread

_LOST = PoolResourceLost()


class _Call(Lease):
    """One call of ``run_task``, and what it has from the pool."""

    # Defaults in the class, as there.
    open: bool = False
    """Whether it is in the books as running."""
    queued: float
    started: float = 0.0
    error: BaseException | None = None
    cancelled: bool = False

    def enter(self, engine: EngineForRunTask) -> None:
        with engine.counters.lock:
            if engine.door:
                raise engine.shutdown_error()
            engine.counters.inline_accepted += 1
            self.open = True


class RunTask:
    """Runs tasks for callers of one manager. Thread-safe."""

    def __init__(self, engine: EngineForRunTask) -> None:
        self._engine = engine
        self.meter: Meter = Meter()
        """Written under the books' lock, since every caller's thread comes here."""

    def run(self, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs the task and returns its result, or raises its error."""
        engine = self._engine
        before = this_thread.inline
        call = _Call()
        call.queued = monotonic()
        try:
            this_thread.inline = (*before, engine)
            call.enter(engine)
            if engine.collector is not None:
                engine.hooks.arrival()
            engine.pool.acquire(call)
            assert call.handle is not None
            remote = call.handle.remote
            if remote is not None and not remote.usable:
                remote = engine.pool.renew(call).remote
            call.started = monotonic()
            context: Context
            if remote is None:  # as Context(engine.run_task_root), less one call
                context = BareContext()
                context._parent = engine.run_task_root
                context._cause = None
                context._watchers = []
            else:
                context = remote.context()
            try:
                if remote is not None:
                    return remote.run(context, task, args)
                return task(context, call.handle.resource, *args)
            except BaseException as error:
                call.error = error
                call.cancelled = isinstance(error, CancelledError) and context.cancelled
                raise
            finally:
                if context._watchers:  # of callbacks that must not outlive the task
                    engine.run_task_root.release(context)
        finally:
            this_thread.inline = before
            if call.open:
                try:
                    self._close(call)
                except BaseException:
                    if call.open:
                        self._close(call)
                    raise

    def _close(self, call: _Call) -> None:
        engine, error = self._engine, call.error
        finished = monotonic()
        handle = call.handle
        broken = handle is not None and handle.remote is not None and not handle.remote.usable
        healthy = not broken and (error is None or call.cancelled or engine.hooks.healthy(error))
        engine.pool.release(call, healthy)
        put, event = engine.put_event, _LOST
        if call.lacks:
            call.lacks = False
            put(event)
        meter = self.meter
        with engine.counters.lock:
            engine.counters.inline_done += 1
            call.open = False
            if error is not None or not call.started:
                self._count_failure(call)
            if call.started and not call.cancelled:
                meter.execution.append(finished - call.started)
                meter.wait.append(call.started - call.queued)
                if len(meter.execution) >= BATCH:
                    meter.flush()
        if engine.collector is not None and call.started and not call.cancelled:
            record = engine.hooks.completion if error is None else engine.hooks.failure
            record(TaskLifecycleTimestamps(call.queued, call.started, finished))
        call.error = None  # its traceback holds this call
        if engine.door:
            engine.check_drained()

    def _count_failure(self, call: _Call) -> None:
        meter = self.meter
        if call.cancelled:
            meter.cancelled += 1
        else:
            meter.failed += 1
            meter.timed_out += call.started > 0.0 and isinstance(call.error, TaskTimeout)
