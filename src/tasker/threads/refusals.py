"""What becomes of tasks that a manager does not accept."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from tasker.errors import PausedError, ShutdownError

from .future import TaskFuture
from .future_log import Ending, OutcomeCallback, Owner
from .ports import ThreadEngineForRunTask
from .this_thread import this_thread


def refused(
    engine: Owner,
    task: Callable[..., Any],
    callback: Callable[[Any, BaseException | None], object],
    error: ShutdownError,
) -> TaskFuture[Any]:
    """Returns the failed future of a task that was not accepted, after calling its callback."""
    future: TaskFuture[Any] = TaskFuture._accepted(engine, 0, task, (), monotonic())
    future._log = [OutcomeCallback(callback)]
    future._end(Ending(error, forced=True))
    return future


def refuse_inline(engine: ThreadEngineForRunTask) -> None:
    """Raises the error of a call of ``run_task`` that is refused. During a pause, those of tasks that still run are not."""
    if engine.closed:
        raise engine.shutdown_error()
    worker = this_thread.worker
    nested = this_thread.inline.count(engine) > 1  # this call itself is one
    if not nested and (worker is None or worker.engine is not engine):
        raise PausedError(f"task manager {engine.config.name!r} is paused, and run_task does not wait")
