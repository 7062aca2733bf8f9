"""What a metrics collector is told and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class TaskLifecycleTimestamps(NamedTuple):
    """When a task was accepted, when its last attempt started and when it ended (``time.monotonic`` seconds)."""

    queued_at: float
    started_at: float
    finished_at: float


@dataclass(frozen=True, slots=True)
class TaskMetrics:
    """What the tasks of a manager did. Durations are seconds since the start of the manager, rates are tasks a second
    over ``Config.rate_window``; percentiles are within 2.5% (the histogram's stated error)."""

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
    """Further attempts, so a task that was retried twice counts twice."""
    success_rate: float = 0.0
    """Completed / (completed + failed), 0 where nothing ended."""
    failure_rate: float = 0.0
    p50_execution_time: float = 0.0
    p50_wait_time: float = 0.0
    p95_wait_time: float = 0.0
    p99_wait_time: float = 0.0
    total_tasks_cancelled: int = 0
    """Tasks that ended cancelled or killed."""
    total_tasks_timed_out: int = 0


class MetricsCollector(Protocol):
    """Receives what happens to tasks; given as ``Config.collector``. Called from any thread, never under a lock;
    what it raises is logged and counted, and goes no further."""

    def record_arrival(self) -> object:
        """A task was accepted."""

    def record_completion(self, stamps: TaskLifecycleTimestamps, /) -> object:
        """A task ended with a result."""

    def record_failure(self, stamps: TaskLifecycleTimestamps, /) -> object:
        """A task ended with an error."""

    def record_retry(self) -> object:
        """A task is going to be started again."""

    def metrics(self) -> TaskMetrics:
        """What ``manager.metrics()`` returns."""
        ...
