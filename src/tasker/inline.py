"""``run_task``: a task in the caller's own thread, at once, with a pooled or a temporary resource."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from time import monotonic
from typing import TYPE_CHECKING, Any

from .context import Context
from .control.events import PoolResourceLost
from .errors import TaskTimeout
from .metrics.meter import BATCH, Meter
from .metrics.protocol import TaskLifecycleTimestamps
from .workers import here

if TYPE_CHECKING:
    from .engine import Engine


class InlineRunner:
    """Runs tasks for callers of one manager. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.meter: Meter = Meter()
        """Written under the books' lock, since every caller's thread comes here."""

    def run(self, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs the task and returns its result, or raises its error."""
        engine = self._engine
        queued = monotonic()
        self._enter()
        before, here.inline = here.inline, (*here.inline, engine)
        try:
            held, temporary = engine.pool.acquire()
        except BaseException:
            here.inline = before
            self._leave(None, None)
            raise
        error: BaseException | None = None
        started = monotonic()
        context = Context(engine.root)
        try:
            return task(context, held.resource, *args)
        except BaseException as raised:
            error = raised
            raise
        finally:
            finished = monotonic()
            here.inline = before
            cancelled = isinstance(error, CancelledError) and context.cancelled
            healthy = error is None or cancelled or engine.hooks.healthy(error)
            if engine.pool.release(held, temporary, healthy):
                engine.report(PoolResourceLost())
            self._leave(TaskLifecycleTimestamps(queued, started, finished), error, cancelled)
            del error

    def _enter(self) -> None:
        engine = self._engine
        with engine.books.lock:
            if engine.closed:
                raise engine.shutdown_error()
            engine.books.inline_accepted += 1
        engine.hooks.arrival()

    def _leave(
        self, stamps: TaskLifecycleTimestamps | None, error: BaseException | None, cancelled: bool = False
    ) -> None:
        engine, meter = self._engine, self.meter
        with engine.books.lock:
            engine.books.inline_done += 1
            if stamps is None:  # no resource could be had
                meter.failed += 1
            elif cancelled:
                meter.cancelled += 1
            else:
                meter.failed += error is not None
                meter.timed_out += isinstance(error, TaskTimeout)
                meter.execution.append(stamps.finished_at - stamps.started_at)
                meter.wait.append(stamps.started_at - stamps.queued_at)
                if len(meter.execution) >= BATCH:
                    meter.flush()
        if stamps is not None and not cancelled:
            record = engine.hooks.completion if error is None else engine.hooks.failure
            record(stamps)
        if engine.draining:
            engine.look_idle()
