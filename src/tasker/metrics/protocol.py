"""The protocol of a metrics collector, and the values that it receives and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class TaskLifecycleTimestamps(NamedTuple):
    """When a task was accepted, and when its last attempt started and ended, in ``time.monotonic`` seconds.
    Immutable."""

    queued_at: float
    started_at: float
    finished_at: float


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """The metrics of a manager's tasks since its start; what ``manager.metrics()`` returns. Immutable.

    Times are in seconds, rates in tasks a second over the last ``Config.rate_window`` seconds. Percentiles are within
    2.5% of the exact value, for durations from 100 ns to 10.7 days (shorter ones within 100 ns); averages, minimum and
    maximum are exact. All numbers are 0 until there is something to measure.
    """

    average_execution_time: float = 0.0
    min_execution_time: float = 0.0
    max_execution_time: float = 0.0
    p95_execution_time: float = 0.0
    p99_execution_time: float = 0.0
    average_wait_time: float = 0.0
    task_arrival_rate: float = 0.0
    task_completion_rate: float = 0.0
    total_tasks_completed: int = 0
    """Tasks that ended with a result."""
    total_tasks_failed: int = 0
    """Tasks that ended with an error, timed-out ones included, cancelled ones not."""
    total_tasks_retried: int = 0
    """Attempts after the first: a task that was retried twice counts twice."""
    success_rate: float = 0.0
    """Completed / (completed + failed), from 0 to 1; 0 if there are none."""
    failure_rate: float = 0.0
    """Failed / (completed + failed), from 0 to 1; 0 if there are none."""
    p50_execution_time: float = 0.0
    p50_wait_time: float = 0.0
    p95_wait_time: float = 0.0
    p99_wait_time: float = 0.0
    total_tasks_cancelled: int = 0
    """Tasks that ended cancelled or killed."""
    total_tasks_timed_out: int = 0
    """Tasks that ended with ``TaskTimeout``: a time limit of theirs or the deadline of a context has passed. They are among the
    failed ones."""
    average_creation_time: float = 0.0
    """How long it took to make a resource, for workers and ``run_task`` alike; and so are the others. Failed creations are
    not in it."""
    max_creation_time: float = 0.0
    p50_creation_time: float = 0.0
    p95_creation_time: float = 0.0
    p99_creation_time: float = 0.0


class MetricsCollector(Protocol):
    """Receives what happens to tasks; passed as ``Config.collector``.

    Its methods are called from any thread, and from several at the same time, but never under a lock of the manager. An
    error raised by a ``record_`` method is logged and counted in ``stats().user_errors``; it affects neither the task
    nor the manager.
    """

    def record_arrival(self) -> object:
        """Called when a task was accepted."""

    def record_completion(self, stamps: TaskLifecycleTimestamps, /) -> object:
        """Called when a task ended with a result."""

    def record_failure(self, stamps: TaskLifecycleTimestamps, /) -> object:
        """Called when a task ended with an error."""

    def record_retry(self) -> object:
        """Called when a task is going to be started again."""

    def metrics(self) -> TaskMetrics:
        """Returns the metrics; called by ``manager.metrics()``, whose caller receives what this raises."""
        ...
