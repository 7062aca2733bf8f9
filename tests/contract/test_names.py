"""The public names: the error tree, the plain values, the exports."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import queue
from typing import Any

import pytest

import tasker

NAMES = """Config Context TaskManager TaskFuture Priority TaskStats ResourceLedger TaskMetrics
TaskLifecycleTimestamps StopReport Logger MetricsCollector ScalingPolicy TaskerError ConfigError
ShutdownError ResourceError MaxRetriesExceeded QueueFull TaskCancelled TaskKilled TaskTimeout
WorkerLost DeadlockError TravelError RemoteTraceback ProcessBackend ProcessUsage""".split()


@pytest.mark.parametrize("name", NAMES)
def test_name_is_exported(name: str) -> None:
    """Each documented name is in the package and in __all__."""
    assert hasattr(tasker, name)
    assert name in tasker.__all__


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        ("ConfigError", (ValueError,)),
        ("ShutdownError", (RuntimeError,)),
        ("ResourceError", ()),
        ("MaxRetriesExceeded", ()),
        ("QueueFull", (queue.Full,)),
        ("TaskCancelled", (concurrent.futures.CancelledError,)),
        ("TaskKilled", (tasker.TaskCancelled, concurrent.futures.CancelledError)),
        ("TaskTimeout", (TimeoutError,)),
        ("WorkerLost", ()),
        ("DeadlockError", (RuntimeError,)),
    ],
)
def test_error_tree(error: str, bases: tuple[type, ...]) -> None:
    """Each error is a TaskerError and what the standard library calls it."""
    kind = getattr(tasker, error)
    assert issubclass(kind, tasker.TaskerError)
    for base in bases:
        assert issubclass(kind, base)


@pytest.mark.parametrize("kind", [tasker.TaskStats, tasker.TaskMetrics])
def test_all_zero_without_arguments(kind: Any) -> None:
    """TaskStats() and TaskMetrics() are all zeros."""
    for field, value in dataclasses.asdict(kind()).items():
        if field == "resources":
            assert set(value.values()) == {0}
        elif field in ("creation_error", "next_creation"):
            assert value is None
        elif field == "breaker":
            assert value == "closed"
        elif field == "restart_alarm":
            assert value is False
        elif field == "processes":
            assert value == ()
        else:
            assert value == 0, field


STATS = """base_workers active_workers burst_workers queued_tasks priority_tasks
available_resources running_tasks done_tasks accepted_tasks starting_workers lost_workers
replaced_workers abandoned_workers resources failing_creations failed_creations creation_error
breaker next_creation restart_alarm user_errors""".split()
METRICS = """average_execution_time min_execution_time max_execution_time p95_execution_time
p99_execution_time average_wait_time task_arrival_rate task_completion_rate total_tasks_completed
total_tasks_failed total_tasks_retried success_rate failure_rate p50_execution_time p50_wait_time
p95_wait_time p99_wait_time total_tasks_cancelled total_tasks_timed_out average_creation_time
max_creation_time p50_creation_time p95_creation_time p99_creation_time""".split()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (tasker.TaskStats, STATS),
        (tasker.TaskMetrics, METRICS),
        (tasker.ResourceLedger, ["created", "destroyed", "alive", "lost"]),
        (tasker.StopReport, ["killed", "killed_tasks", "abandoned", "seconds"]),
    ],
)
def test_fields(kind: Any, fields: list[str]) -> None:
    """Each plain value has its documented fields, and is frozen."""
    names = [field.name for field in dataclasses.fields(kind)]
    assert set(fields) <= set(names)
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        setattr(kind(**dict.fromkeys(names, 0)), names[0], 1)


def test_timestamps() -> None:
    """TaskLifecycleTimestamps takes its three moments in order, and is not changed after."""
    stamps = tasker.TaskLifecycleTimestamps(1.0, 2.0, 3.0)
    assert (stamps.queued_at, stamps.started_at, stamps.finished_at) == (1.0, 2.0, 3.0)
    assert stamps == tasker.TaskLifecycleTimestamps(queued_at=1.0, started_at=2.0, finished_at=3.0)
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError, AttributeError)):
        setattr(stamps, "queued_at", 0.0)  # noqa: B010


def test_priority_values() -> None:
    """HIGH is 0, NORMAL 1, LOW 2, and no more."""
    assert [(p.name, int(p)) for p in tasker.Priority] == [("HIGH", 0), ("NORMAL", 1), ("LOW", 2)]


def test_task_future_is_a_future() -> None:
    """TaskFuture is a concurrent.futures.Future."""
    assert issubclass(tasker.TaskFuture, concurrent.futures.Future)
