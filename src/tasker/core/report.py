"""What a manager shows of itself: ``stats()``, ``metrics()`` and ``explain()``, once for both engines.

A gauge is a field of ``TaskStats`` and its line in ``stats_of``.
"""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any

from tasker.control.journal import ScalingExplanation
from tasker.control.lifecycle import HELD
from tasker.control.view import View
from tasker.control.workers import WorkerState
from tasker.core.gil import gil_came_back
from tasker.core.ports import MetricsPort, ReportPort, WorkerPort
from tasker.metrics.meter import Meter, merged, summary
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import ResourceLedger, TaskStats


def working(workers: Iterable[WorkerPort]) -> tuple[int, int]:
    """Returns how many workers are ready, and how many on their way to it.

    As the workers themselves know it: the supervisor's table follows a moment later.
    """
    states = [worker.state for worker in workers]
    return states.count(WorkerState.READY), states.count(WorkerState.STARTING)


def stats_of(engine: ReportPort) -> TaskStats:
    """Returns the stats of this moment. Costs O(workers)."""
    counters = engine.counters
    with counters.lock:  # so that tasks, resources and errors are of one moment
        flow = counters.flow()
        resources, user_errors, snoozed = _ledger(engine), counters.user_errors, counters.snoozed
        quarantined, refused = counters.quarantined, counters.refused_retries
        meters = [*(shard.meter for shard in list(counters.shards.values())), engine.run_task_meter]
        timed_out = counters.timed_out_in_queue + sum(meter.timed_out for meter in meters)
    cut_off = engine.shutdown_counts.cut_off  # before the view, which counts these as abandoned first
    view = engine.view
    ready, starting = working(list(engine.workers.values()))  # a copy: other threads may start workers meanwhile
    # A moment later than the counters; what they have as queued bounds what is shown as urgent.
    urgent = min(engine.urgent_tasks, flow.queued)
    return TaskStats(
        base_workers=min(ready, view.base),
        active_workers=ready,
        burst_workers=max(0, ready - view.base),
        queued_tasks=flow.queued - urgent,
        priority_tasks=urgent,
        available_resources=engine.available_resources,
        running_tasks=flow.running,
        done_tasks=flow.done,
        accepted_tasks=flow.accepted,
        paused=view.phase in HELD,
        starting_workers=starting,
        lost_workers=view.lost,
        replaced_workers=view.replaced,
        renewed_workers=view.renewed,
        outdated_workers=view.outdated,
        generation=view.generation,
        abandoned_workers=view.abandoned - cut_off,
        stuck_workers=view.stuck,
        parked_workers=view.parked,
        cooling_workers=_cooling(engine.workers.values()),
        timed_out_tasks=timed_out,
        resources=resources,
        delayed_tasks=view.delayed,
        refused_retries=view.refused_retries + refused,
        snoozed_tasks=snoozed,
        failing_creations=view.failing_creations,
        failed_creations=view.failed_creations,
        creation_error=view.creation_error,
        breaker=view.breaker.value,
        next_creation=_until(view.next_creation, engine.now()),
        restart_alarm=view.restart_alarm,
        user_errors=user_errors,
        quarantined_tasks=quarantined,
        failed_checks=counters.failed_checks,
        processes=() if engine.backend is None else engine.backend.usage(),
    )


def _until(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, moment - now)


def _cooling(workers: Iterable[WorkerPort]) -> int:
    return sum(worker.cooling and worker.state is WorkerState.READY for worker in list(workers))


def _ledger(engine: ReportPort) -> ResourceLedger:
    counts = engine.counters.ledger
    return ResourceLedger(
        created=counts.created,
        destroyed=counts.destroyed,
        alive=counts.created - counts.destroyed - counts.lost,
        lost=counts.lost,
    )


def metrics_of(engine: MetricsPort) -> TaskMetrics:
    """Returns the metrics so far; those of ``Config.collector`` if there is one. Costs O(workers)."""
    collector: Any = engine.config.collector
    if collector is None:
        return built_in_metrics(engine)
    metrics: TaskMetrics = collector.metrics()
    return metrics


def meter_of(engine: MetricsPort) -> Meter:
    """Returns the sum of what all workers and ``run_task`` measured. Costs O(workers)."""
    return merged([*(shard.meter for shard in list(engine.counters.shards.values())), engine.run_task_meter])


def built_in_metrics(engine: MetricsPort, total: Meter | None = None) -> TaskMetrics:
    """The same, of the manager's own books. ``total``: what ``meter_of`` has returned, if the caller has it."""
    counters = engine.counters
    # The meters have locks of their own, and merging takes its time: not under the counters' lock.
    total = meter_of(engine) if total is None else total
    creations = counters.creation_times.histogram()
    with counters.lock:
        flow = engine.sample_rates(monotonic())
        return summary(
            total,
            done=flow.done,
            cancelled=counters.cancelled_in_queue,
            failed=counters.ended_in_queue - counters.cancelled_in_queue,
            retried=counters.retried,
            timed_out=counters.timed_out_in_queue,
            arrival_rate=engine.arrivals.rate(),
            completion_rate=engine.completions.rate(),
            creations=creations,
        )


def explained(
    view: View, now: float, workers: Iterable[WorkerPort] = (), quarantined: tuple[str, ...] = ()
) -> ScalingExplanation:
    """Returns what ``explain()`` shows at ``now``, by the clock of the events. ``quarantined``: the last tasks that were."""
    return ScalingExplanation(
        at=now,
        target=view.target,
        ready=view.ready,
        starting=view.starting,
        cooling=_cooling(workers),
        worker_count=view.base,
        max_worker_count=view.most,
        latest=view.latest,
        snapshot=view.snapshot,
        decisions=view.decisions,
        refused_retries=view.refused_retries,
        failing_creations=view.failing_creations,
        creation_error=view.creation_error,
        next_creation=_until(view.next_creation, now),
        breaker=view.breaker.value,
        generation=view.generation,
        outdated=view.outdated,
        restart_alarm=view.restart_alarm,
        quarantined=quarantined,
        paused=view.phase in HELD,
        gil_came_back=gil_came_back(),
    )
