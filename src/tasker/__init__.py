"""Tasks over a pool of workers, each of which owns a resource that is expensive to make."""

from .config import Config
from .context import Context
from .control.scaling import Decision, ScalingPolicy, Snapshot
from .errors import (
    ConfigError,
    DeadlockError,
    MaxRetriesExceeded,
    QueueFull,
    ResourceError,
    ShutdownError,
    TaskCancelled,
    TaskerError,
    TaskKilled,
    TaskTimeout,
    WorkerLost,
)
from .logs import Logger
from .manager import TaskManager
from .metrics.protocol import MetricsCollector, TaskLifecycleTimestamps, TaskMetrics
from .stats import ResourceLedger, StopReport, TaskStats
from .tasks import Priority, TaskFuture

__all__ = [
    "Config",
    "ConfigError",
    "Context",
    "DeadlockError",
    "Decision",
    "Logger",
    "MaxRetriesExceeded",
    "MetricsCollector",
    "Priority",
    "QueueFull",
    "ResourceError",
    "ResourceLedger",
    "ScalingPolicy",
    "ShutdownError",
    "Snapshot",
    "StopReport",
    "TaskCancelled",
    "TaskFuture",
    "TaskKilled",
    "TaskLifecycleTimestamps",
    "TaskManager",
    "TaskMetrics",
    "TaskStats",
    "TaskTimeout",
    "TaskerError",
    "WorkerLost",
]
