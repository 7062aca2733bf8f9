"""The numbers of a manager at one moment. All totals count from its start, so that two readings make an interval."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol, runtime_checkable

from tasker.config import Config
from tasker.control.journal import ScalingExplanation
from tasker.core.reading import by_priority
from tasker.core.report import built_in_metrics, meter_of
from tasker.metrics.histogram import Histogram
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import TaskStats, WorkerStatus


class Watched(Protocol):
    """What is needed of a manager: ``TaskManager`` and ``AsyncTaskManager`` both have it, and may be read from any thread."""

    _engine: Any

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> Config[Any]: ...
    @property
    def closed(self) -> bool: ...
    def stats(self) -> TaskStats: ...
    def metrics(self) -> TaskMetrics: ...
    def explain(self) -> ScalingExplanation: ...
    def workers(self, *, arguments: bool = False) -> tuple[WorkerStatus, ...]: ...
    def worker_stack(self, name: str) -> str: ...


@runtime_checkable
class ReadsItself(Protocol):
    """What stands in for a manager, and has numbers of its own."""

    def read_itself(self) -> PoolReading: ...


@runtime_checkable
class CallsTasks(Protocol):
    """What stands in for a manager, and has names of its own for tasks."""

    def called(self, text: str) -> str:
        """Returns the name of a task, or an error that may contain it, as it is to be shown."""
        ...


@dataclass(frozen=True, slots=True)
class PoolReading:
    """A manager at one moment. Immutable."""

    at: float
    """In ``time.monotonic`` seconds."""
    stats: TaskStats = field(default_factory=TaskStats)
    metrics: TaskMetrics = field(default_factory=TaskMetrics)
    waits: Histogram = field(default_factory=Histogram)
    executions: Histogram = field(default_factory=Histogram)
    target: int = 0
    low: int = 0
    """Those of the queued tasks that are of low priority."""


def read(manager: Watched) -> PoolReading:
    """Reads a manager, or has it read itself, if it stands in for one and counts something else than tasks. Costs O(workers);
    all zeros for an ``AsyncTaskManager`` that has not started."""
    if isinstance(manager, ReadsItself):
        return manager.read_itself()
    return read_pool(manager)


def read_pool(manager: Watched) -> PoolReading:
    """Reads a manager."""
    engine = manager._engine
    if engine is None:
        return PoolReading(monotonic())
    stats = manager.stats()
    total = meter_of(engine)
    return PoolReading(
        at=monotonic(),
        stats=stats,
        metrics=_metrics(manager, built_in_metrics(engine, total)),
        waits=total.waits,
        executions=total.executions,
        target=engine.view.target,
        low=min(stats.queued_tasks, by_priority(engine.levels, stats)[2]),
    )


def _metrics(manager: Watched, own: TaskMetrics) -> TaskMetrics:
    """Returns the metrics of ``Config.collector``, if there is one and it works, or else ``own``."""
    if manager.config.collector is None:
        return own
    try:
        metrics = manager.metrics()
    except Exception:  # of the user's collector; who asks for the metrics is told, a view goes on
        return own
    return metrics if isinstance(metrics, TaskMetrics) else own
