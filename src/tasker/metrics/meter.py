"""The built-in collector: one ``Meter`` for each worker, merged on reading.

For each task, a worker appends two floats to its own lists; every 512 tasks it empties them into histograms, under its
own lock, for which only a reader ever contends. So a task costs two appends, and reading costs O(workers), however many
tasks have completed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from .histogram import Histogram
from .protocol import TaskLifecycleTimestamps, TaskMetrics

BATCH = 512
"""Tasks between two flushes."""


class Meter:
    """The measurements of one worker. One thread writes; any thread may read, through ``merge_into``."""

    __slots__ = ("_flushes", "cancelled", "execution", "executions", "failed", "lock", "timed_out", "wait", "waits")

    def __init__(self) -> None:
        self.execution: list[float] = []
        self.wait: list[float] = []
        self.executions: Histogram = Histogram()
        self.waits: Histogram = Histogram()
        self.failed: int = 0
        self.cancelled: int = 0
        self.timed_out: int = 0
        self._flushes = False
        # Reentrant: a signal handler that asks for the metrics may interrupt the thread that holds it.
        self.lock: threading.RLock = threading.RLock()

    def count_failed(self, stamps: TaskLifecycleTimestamps | None, timed_out: bool) -> None:
        """Counts a task that ended with an error. By the writing thread. ``stamps``: None if it was not executed."""
        self.timed_out += timed_out  # before `failed`: a reader in between takes no timed-out task for another failure
        self.failed += 1
        if stamps is not None:
            self.execution.append(stamps.finished_at - stamps.started_at)
            self.wait.append(stamps.started_at - stamps.queued_at)

    def flush(self) -> None:
        """Empties the lists into the histograms. To be called by the writing thread; harmless where a signal handler or a finalizer
        calls it in the middle of itself, or appends meanwhile."""
        if self._flushes:
            return
        with self.lock:
            self._flushes = True
            try:
                _move(self.execution, self.executions)
                _move(self.wait, self.waits)
            finally:
                self._flushes = False

    def merge_into(self, total: Meter) -> None:
        """Adds all measurements to ``total``, which belongs to the caller."""
        with self.lock:
            # Copies, as the writer appends without the lock. It flushes with it, so no value is in a list and in a
            # histogram at the same time.
            execution, wait = list(self.execution), list(self.wait)
            total.executions.merge(self.executions)
            total.waits.merge(self.waits)
            total.failed += self.failed
            total.cancelled += self.cancelled
            total.timed_out += self.timed_out
        total.executions.add_all(execution)
        total.waits.add_all(wait)


def _move(values: list[float], histogram: Histogram) -> None:
    # A copy: what is appended to the list meanwhile is left there.
    taken = values[:]
    histogram.add_all(taken)
    del values[: len(taken)]


def merged(meters: Iterable[Meter]) -> Meter:
    """Returns the sum of several meters."""
    total = Meter()
    for meter in meters:
        meter.merge_into(total)
    return total


def summary(
    total: Meter,
    *,
    done: int,
    cancelled: int,
    failed: int,
    retried: int,
    arrival_rate: float,
    completion_rate: float,
    timed_out: int = 0,
    creations: Histogram | None = None,
) -> TaskMetrics:
    """Returns the public numbers. ``done`` counts every outcome; ``cancelled``, ``failed`` and ``timed_out`` count those
    outcomes that are in no meter, because no worker delivered them."""
    all_failed, all_cancelled = total.failed + failed, total.cancelled + cancelled
    # The counters are read one after the other while workers go on, so they may disagree by a task.
    completed = max(0, done - all_failed - all_cancelled)
    judged = completed + all_failed
    executions, waits = total.executions, total.waits
    creations = creations or Histogram()
    return TaskMetrics(
        average_execution_time=executions.mean,
        min_execution_time=executions.least if executions.count else 0.0,
        max_execution_time=executions.greatest,
        p95_execution_time=executions.percentile(0.95),
        p99_execution_time=executions.percentile(0.99),
        average_wait_time=waits.mean,
        task_arrival_rate=arrival_rate,
        task_completion_rate=completion_rate,
        total_tasks_completed=completed,
        total_tasks_failed=all_failed,
        total_tasks_retried=retried,
        success_rate=completed / judged if judged else 0.0,
        failure_rate=all_failed / judged if judged else 0.0,
        p50_execution_time=executions.percentile(0.50),
        p50_wait_time=waits.percentile(0.50),
        p95_wait_time=waits.percentile(0.95),
        p99_wait_time=waits.percentile(0.99),
        total_tasks_cancelled=all_cancelled,
        total_tasks_timed_out=total.timed_out + timed_out,
        average_creation_time=creations.mean,
        max_creation_time=creations.greatest,
        p50_creation_time=creations.percentile(0.50),
        p95_creation_time=creations.percentile(0.95),
        p99_creation_time=creations.percentile(0.99),
    )
