"""Tasks over a pool of workers, each of which owns a resource that is expensive to make."""

import typing

from tasker.options import Priority

from .attempt import Attempt, HandedBack, Quarantined
from .config import Config
from .context import Context
from .control.health import Health, HealthKind
from .control.journal import ScalingDecision, ScalingExplanation
from .control.retries import RetryPolicy
from .control.retry_budget import RetryBudget
from .control.scaling import Decision, RatePolicy, ScalingPolicy, Snapshot, Window
from .errors import (
    ConfigError,
    DeadlockError,
    MaxRetriesExceeded,
    NoRetry,
    PausedError,
    PoisonTask,
    QueueFull,
    RemoteTraceback,
    ResourceError,
    ShutdownError,
    Snooze,
    TaskCancelled,
    TaskerError,
    TaskHandedBack,
    TaskKilled,
    TaskTimeout,
    TravelError,
    WorkerLost,
)
from .logs import Logger
from .manager import TaskManager
from .metrics.protocol import MetricsCollector, TaskLifecycleTimestamps, TaskMetrics
from .process.options import ProcessBackend
from .ray.options import RayBackend
from .stats import ProcessUsage, ResourceLedger, StopReport, TaskStats, WorkerStatus
from .threads.future import TaskFuture
from .worker_info import WorkerInfo

if typing.TYPE_CHECKING:
    from .aio.future import AsyncTaskFuture
    from .async_manager import AsyncTaskManager
    from .remote.sharing import Shared

__all__ = [
    "AsyncTaskFuture",
    "AsyncTaskManager",
    "Attempt",
    "Config",
    "ConfigError",
    "Context",
    "DeadlockError",
    "Decision",
    "HandedBack",
    "Health",
    "HealthKind",
    "Logger",
    "MaxRetriesExceeded",
    "MetricsCollector",
    "NoRetry",
    "PausedError",
    "PoisonTask",
    "Priority",
    "ProcessBackend",
    "ProcessUsage",
    "Quarantined",
    "QueueFull",
    "RatePolicy",
    "RayBackend",
    "RemoteTraceback",
    "ResourceError",
    "ResourceLedger",
    "RetryBudget",
    "RetryPolicy",
    "ScalingDecision",
    "ScalingExplanation",
    "ScalingPolicy",
    "Shared",
    "ShutdownError",
    "Snapshot",
    "Snooze",
    "StopReport",
    "TaskCancelled",
    "TaskFuture",
    "TaskHandedBack",
    "TaskKilled",
    "TaskLifecycleTimestamps",
    "TaskManager",
    "TaskMetrics",
    "TaskStats",
    "TaskTimeout",
    "TaskerError",
    "TravelError",
    "Window",
    "WorkerInfo",
    "WorkerLost",
    "WorkerStatus",
]


def __getattr__(name: str) -> typing.Any:
    # asyncio takes longer to import than all the rest of this library.
    if name == "AsyncTaskManager":
        from .async_manager import AsyncTaskManager  # noqa: PLC0415

        return AsyncTaskManager
    if name == "AsyncTaskFuture":
        from .aio.future import AsyncTaskFuture  # noqa: PLC0415

        return AsyncTaskFuture
    if name == "Shared":
        from .remote.sharing import Shared  # noqa: PLC0415  not for those who share nothing

        return Shared
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
