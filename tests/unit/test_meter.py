"""Tests the meter, and the summary of several meters."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.metrics.histogram import Histogram
from tasker.metrics.meter import Meter, merged, summary
from tasker.metrics.protocol import TaskMetrics


def meter(execution: list[float], wait: list[float] | None = None, **counts: int) -> Meter:
    """Makes a meter that has measured this."""
    one = Meter()
    one.execution.extend(execution)
    one.wait.extend([0.5] * len(execution) if wait is None else wait)
    for name, count in counts.items():
        setattr(one, name, count)
    return one


def summed(total: Meter, **numbers: Any) -> TaskMetrics:
    """Returns the summary of a meter; numbers that are not given are 0."""
    names = ("done", "cancelled", "failed", "retried", "arrival_rate", "completion_rate")
    return summary(total, **{**dict.fromkeys(names, 0), **numbers})


def test_nothing() -> None:
    """Without a task, all numbers are 0."""
    assert summed(merged([])) == TaskMetrics()
    assert summed(merged([Meter(), Meter()])) == TaskMetrics()


def test_durations() -> None:
    """Execution and wait times are summarized in seconds."""
    whole = summed(merged([meter([1.0, 2.0, 3.0], [0.1, 0.2, 0.6])]), done=3)
    assert whole.average_execution_time == pytest.approx(2.0)
    assert (whole.min_execution_time, whole.max_execution_time) == (1.0, 3.0)
    assert whole.average_wait_time == pytest.approx(0.3)
    assert whole.p50_execution_time == pytest.approx(2.0, rel=0.025)
    assert whole.p95_execution_time == pytest.approx(3.0, rel=0.025)
    assert whole.p99_execution_time == pytest.approx(3.0, rel=0.025)
    assert whole.p50_wait_time == pytest.approx(0.2, rel=0.025)
    assert whole.p95_wait_time == pytest.approx(0.6, rel=0.025)
    assert whole.p99_wait_time == pytest.approx(0.6, rel=0.025)


def test_all_failed() -> None:
    """When every task failed, the failure rate is 1 and the success rate 0."""
    numbers = summed(merged([meter([1.0] * 4, failed=4)]), done=4)
    assert (numbers.failure_rate, numbers.success_rate) == (1.0, 0.0)
    assert (numbers.total_tasks_failed, numbers.total_tasks_completed) == (4, 0)


def test_all_failed_in_the_queue() -> None:
    """Tasks that failed without a worker (out of retries, no resource) count as failed."""
    numbers = summed(merged([]), done=3, failed=3)
    assert (numbers.failure_rate, numbers.total_tasks_failed) == (1.0, 3)


def test_cancelled_do_not_count_as_failed() -> None:
    """Cancelled tasks are neither completed nor failed, and not in the rates."""
    numbers = summed(merged([meter([1.0], cancelled=2)]), done=6, cancelled=3)
    assert (numbers.total_tasks_cancelled, numbers.total_tasks_completed) == (5, 1)
    assert (numbers.success_rate, numbers.failure_rate) == (1.0, 0.0)


def test_all_cancelled() -> None:
    """When every task was cancelled, both rates are 0."""
    numbers = summed(merged([]), done=3, cancelled=3)
    assert (numbers.success_rate, numbers.failure_rate) == (0.0, 0.0)


def test_timed_out_are_failed() -> None:
    """A task that timed out counts as failed, and once more as timed out."""
    numbers = summed(merged([meter([1.0, 1.0], failed=1, timed_out=1)]), done=2)
    assert (numbers.total_tasks_failed, numbers.total_tasks_timed_out) == (1, 1)
    assert (numbers.failure_rate, numbers.success_rate) == (0.5, 0.5)


def test_handed_through() -> None:
    """Rates and retries are passed through."""
    numbers = summed(Meter(), retried=4, arrival_rate=2.5, completion_rate=1.5)
    assert (numbers.total_tasks_retried, numbers.task_arrival_rate) == (4, 2.5)
    assert numbers.task_completion_rate == 1.5


def test_never_negative() -> None:
    """A reader that has seen fewer ends than failures never counts below 0."""
    numbers = summed(merged([meter([1.0], failed=3)]), done=2)
    assert (numbers.total_tasks_completed, numbers.failure_rate) == (0, 1.0)


def test_flush_changes_nothing_for_readers() -> None:
    """Values in the lists and flushed values are read alike, and reading removes nothing."""
    one = meter([0.1, 0.2])
    one.flush()
    assert (one.execution, one.wait, one.executions.count) == ([], [], 2)
    one.execution.append(0.3)
    one.wait.append(0.4)
    for _ in range(2):
        total = merged([one])
        assert (total.executions.count, total.waits.count) == (3, 3)
        assert total.executions.greatest == 0.3
    assert one.execution == [0.3]


def test_flush_keeps_the_lists() -> None:
    """A flush empties the lists in place: the worker holds their append."""
    one = Meter()
    add = one.execution.append
    add(1.0)
    one.flush()
    add(2.0)
    assert one.execution == [2.0]


@given(st.lists(st.lists(st.floats(1e-6, 100.0), max_size=20), max_size=5))
def test_merged(parts: list[list[float]]) -> None:
    """Several meters, merged, equal one meter that has measured everything."""
    total = merged([meter(part, failed=len(part) // 2, cancelled=1, timed_out=1) for part in parts])
    everything = merged([meter([value for part in parts for value in part])])
    assert total.executions.counts == everything.executions.counts
    assert total.failed == sum(len(part) // 2 for part in parts)
    assert total.cancelled == total.timed_out == len(parts)


def test_read_in_the_middle_of_a_flush() -> None:
    """A signal handler that asks for metrics does not wait for the thread that it has interrupted."""

    class Interrupted(Histogram):
        __slots__ = ()

        def add_all(self, values: list[float]) -> None:
            super().add_all(values)
            if values:
                totals.append(merged([mine]))

    totals: list[Meter] = []
    mine = meter([0.5])
    mine.executions = Interrupted()
    flushing = threading.Thread(target=mine.flush, daemon=True)
    flushing.start()
    flushing.join(20)
    assert not flushing.is_alive(), "it waits for itself"
    assert len(totals) == 1
    assert mine.executions.count == 1
