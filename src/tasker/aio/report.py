"""What a manager shows of itself."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from tasker.control.workers import WorkerState
from tasker.metrics.meter import merged, summary
from tasker.metrics.protocol import TaskMetrics
from tasker.options import Priority
from tasker.stats import ResourceLedger, TaskStats

if TYPE_CHECKING:
    from .engine import AsyncEngine


def stats_of(engine: AsyncEngine) -> TaskStats:
    """The stats of this moment."""
    flow, view, ledger = engine.counters.flow(), engine.view, engine.counters.ledger
    states = [worker.state for worker in engine.workers.values()]
    ready = states.count(WorkerState.READY)
    urgent = min(len(engine.queue.levels[Priority.HIGH]), flow.queued)
    return TaskStats(
        base_workers=min(ready, view.base),
        active_workers=ready,
        burst_workers=max(0, ready - view.base),
        queued_tasks=flow.queued - urgent,
        priority_tasks=urgent,
        available_resources=engine.pool.available,
        running_tasks=flow.running,
        done_tasks=flow.done,
        accepted_tasks=flow.accepted,
        starting_workers=states.count(WorkerState.STARTING),
        lost_workers=view.lost,
        replaced_workers=view.replaced,
        abandoned_workers=view.abandoned - engine.shutdown_counts.cut_off,
        resources=ResourceLedger(
            created=ledger.created,
            destroyed=ledger.destroyed,
            alive=ledger.created - ledger.destroyed - ledger.lost,
            lost=ledger.lost,
        ),
        failing_creations=view.failing_creations,
        creation_error=view.creation_error,
        user_errors=engine.counters.user_errors,
        processes=() if engine.backend is None else engine.backend.usage(),
    )


def metrics_of(engine: AsyncEngine) -> TaskMetrics:
    """The metrics so far."""
    if engine.collector is not None:
        return engine.collector.metrics()
    total = merged([*(shard.meter for shard in engine.counters.shards.values()), engine.inline.meter])
    flow = engine.sample_rates(monotonic())
    counters = engine.counters
    return summary(
        total,
        done=flow.done,
        cancelled=counters.cancelled_in_queue,
        failed=counters.ended_in_queue - counters.cancelled_in_queue,
        retried=counters.retried,
        arrival_rate=engine.arrivals.rate(),
        completion_rate=engine.completions.rate(),
    )
