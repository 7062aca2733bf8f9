"""A run, for those who watch it: its manager, with the numbers of items where one task of the manager runs many."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any

from tasker import TaskManager, TaskMetrics, TaskStats, WorkerStatus
from tasker.config import Config
from tasker.control.journal import ScalingExplanation
from tasker.watch.reading import PoolReading, read_pool

from .progress import Reporter
from .run_stats import ProgressSnapshot, RunStats
from .type_names import without_job_module

PUBLISHED_EVERY = 0.5
"""Seconds."""


class WatchedRun:
    """Stands in for the manager of a run (``watch.reading.Watched``). Tasks are called as in the job file."""

    def __init__(self, manager: TaskManager[Any]) -> None:
        self._manager = manager
        self._engine: Any = manager._engine

    @property
    def name(self) -> str:
        return self._manager.name

    @property
    def config(self) -> Config[Any]:
        return self._manager.config

    @property
    def closed(self) -> bool:
        return self._manager.closed

    def stats(self) -> TaskStats:
        return self._manager.stats()

    def metrics(self) -> TaskMetrics:
        return self._manager.metrics()

    def explain(self) -> ScalingExplanation:
        return self._manager.explain()

    def workers(self, *, arguments: bool = False) -> tuple[WorkerStatus, ...]:
        return tuple(
            one if one.task is None else replace(one, task=without_job_module(one.task))
            for one in self._manager.workers(arguments=arguments)
        )

    def called(self, text: str) -> str:
        return without_job_module(text)

    def worker_stack(self, name: str) -> str:
        return self._manager.worker_stack(name)


class ItemNumbers(WatchedRun):
    """With the numbers of items in place of those of tasks. The main thread, which counts them, publishes them; other threads read
    what was published last."""

    def __init__(self, manager: TaskManager[Any], run_stats: RunStats) -> None:
        super().__init__(manager)
        self._run_stats = run_stats
        self._latest = read_pool(manager)

    def publish(self, snapshot: ProgressSnapshot) -> None:
        """For the main thread, at each of its ticks."""
        now = monotonic()
        if now - self._latest.at < PUBLISHED_EVERY and not snapshot.stopping:
            return
        counts = self._run_stats
        running = snapshot.stats.running_tasks
        self._latest = PoolReading(
            at=now,
            stats=TaskStats(
                queued_tasks=snapshot.queued,
                running_tasks=running,
                done_tasks=counts.finished,
                accepted_tasks=counts.finished + snapshot.queued + running,
            ),
            metrics=TaskMetrics(
                total_tasks_completed=counts.done,
                total_tasks_failed=counts.failed,
                total_tasks_retried=counts.retries,
            ),
            waits=counts.waits.histogram(),
            executions=counts.executions.histogram(),
        )

    def read_itself(self) -> PoolReading:
        """Returns what was published last, with the workers of this moment."""
        items, pool = self._latest, read_pool(self._manager)
        stats = replace(
            pool.stats,
            queued_tasks=items.stats.queued_tasks,
            priority_tasks=0,
            delayed_tasks=0,
            running_tasks=items.stats.running_tasks,
            done_tasks=items.stats.done_tasks,
            accepted_tasks=items.stats.accepted_tasks,
        )
        return replace(items, stats=stats, target=pool.target)


class PublishingReporter:
    """Publishes the numbers of items at each tick, and leaves the rest to another reporter."""

    def __init__(self, inner: Reporter, numbers: ItemNumbers) -> None:
        self._inner = inner
        self._numbers = numbers

    def start(self) -> None:
        self._inner.start()

    def update(self, snapshot: ProgressSnapshot) -> None:
        self._numbers.publish(snapshot)
        self._inner.update(snapshot)

    def note(self, text: str) -> None:
        self._inner.note(text)

    def close(self, snapshot: ProgressSnapshot) -> None:
        self._numbers.publish(snapshot)
        self._inner.close(snapshot)
