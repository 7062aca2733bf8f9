"""stats(), metrics() and explain(), from figures that the test sets."""

from __future__ import annotations

import random
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from support.observers import RaisingCollector, RecordingCollector
from tasker import AsyncTaskManager, Config, ProcessUsage, ResourceLedger, TaskMetrics, TaskStats
from tasker.control.creation import BreakerState
from tasker.control.journal import ScalingDecision
from tasker.control.rates import SlidingRate
from tasker.control.scaling import Decision
from tasker.control.supervisor import Plan, Supervisor, View
from tasker.control.workers import WorkerState
from tasker.core.counters import Counters, Flow
from tasker.core.report import built_in_metrics, explained, meter_of, metrics_of, stats_of, working
from tasker.metrics.meter import Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.stats import ShutdownCounts
from unit.core.fakes import FakeBackend, FakeWorker, config

STARTING, READY, ENDING = WorkerState.STARTING, WorkerState.READY, WorkerState.ENDING


def some_view(**fields: Any) -> View:
    """The view of a supervisor that was not started, with some fields changed."""
    return replace(Supervisor(Plan(2, 4), random.Random(1), 0.0).view(), **fields)


class Figures:
    """What reports are made of. Both a `ReportPort` and a `MetricsPort`."""

    def __init__(self, *workers: WorkerState, **fields: Any) -> None:
        self.config = config(**fields)
        self.counters = Counters()
        self.view = some_view()
        self.now = lambda: 10.0
        self.workers = {number: FakeWorker(state=state) for number, state in enumerate(workers)}
        self.urgent_tasks = 0
        self.available_resources = 0
        self.shutdown_counts = ShutdownCounts()
        self.backend: FakeBackend | None = None
        self.run_task_meter = Meter()
        self.arrivals = SlidingRate(10.0, 0.0)
        self.completions = SlidingRate(10.0, 0.0)

    def tasks(self, *, accepted: int, taken: int, done: int) -> Figures:
        """Let so many tasks be accepted, started and ended."""
        for _ in range(accepted):
            next(iter(self.counters.numbers))
        shard = self.counters.shard(1)
        shard.taken, shard.done = taken, done
        return self

    def sample_rates(self, now: float) -> Flow:
        """The flow; two tasks a second arrive, one ends."""
        self.arrivals.sample(4.0, 8)
        self.completions.sample(4.0, 4)
        return self.counters.flow()

    def stats(self) -> TaskStats:
        """The statistics."""
        return stats_of(self)  # type: ignore[arg-type]

    def metrics(self) -> TaskMetrics:
        """The metrics."""
        return metrics_of(self)  # type: ignore[arg-type]


# -- stats --------------------------------------------------------------------------------------------------------


class AbandoningFigures(Figures):
    """Figures of which the supervisor's thread abandons two workers, and cuts one of them off, when the view is read."""

    @property
    def view(self) -> View:  # type: ignore[override]
        """The view until then."""
        before = self._view
        self._view = replace(before, abandoned=2)
        self.shutdown_counts.cut_off += 1
        return before

    @view.setter
    def view(self, view: View) -> None:
        self._view = view


def test_workers_that_are_abandoned_meanwhile() -> None:
    """They count as abandoned before some of them turn out to be cut off, never the other way round."""
    assert stats_of(AbandoningFigures(READY)).abandoned_workers == 0


def test_nothing_yet() -> None:
    """Before anything has happened, all is zero."""
    assert Figures().stats() == TaskStats()


def test_working() -> None:
    """Workers that end are neither ready nor on their way to it."""
    states = [READY, ENDING, STARTING, READY, READY, STARTING]
    assert working([FakeWorker(state=state) for state in states]) == (3, 2)
    assert working([]) == (0, 0)


@pytest.mark.parametrize(("ready", "base", "burst"), [(0, 0, 0), (1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 2, 2)])
def test_base_and_burst_workers(ready: int, base: int, burst: int) -> None:
    """Ready workers beyond worker_count are burst workers."""
    stats = Figures(*[READY] * ready, STARTING, ENDING).stats()
    assert (stats.active_workers, stats.base_workers, stats.burst_workers) == (ready, base, burst)
    assert stats.starting_workers == 1


def test_where_the_tasks_are() -> None:
    """Queued, running and done tasks add up to the accepted ones."""
    stats = Figures().tasks(accepted=9, taken=5, done=3).stats()
    assert (stats.accepted_tasks, stats.queued_tasks, stats.running_tasks, stats.done_tasks) == (9, 4, 2, 3)


@pytest.mark.parametrize(("in_the_level", "urgent"), [(0, 0), (1, 1), (4, 4), (7, 4)])
def test_urgent_tasks(in_the_level: int, urgent: int) -> None:
    """The tasks of high priority are shown apart, and never more of them than are queued."""
    figures = Figures().tasks(accepted=9, taken=5, done=3)
    figures.urgent_tasks = in_the_level
    stats = figures.stats()
    assert (stats.priority_tasks, stats.queued_tasks) == (urgent, 4 - urgent)


def test_resources() -> None:
    """Alive are those that were made and neither destroyed nor lost."""
    figures = Figures()
    figures.available_resources = 2
    figures.counters.resource(created=9, destroyed=3, lost=1)
    stats = figures.stats()
    assert stats.resources == ResourceLedger(created=9, destroyed=3, alive=5, lost=1)
    assert stats.available_resources == 2


def test_what_the_supervisor_has_counted() -> None:
    """Losses, replacements and failing creations are the supervisor's figures."""
    figures = Figures()
    figures.view = some_view(lost=1, replaced=2, failing_creations=3, creation_error="OSError: no route")
    stats = figures.stats()
    assert (stats.lost_workers, stats.replaced_workers, stats.failing_creations) == (1, 2, 3)
    assert stats.creation_error == "OSError: no route"
    assert (stats.breaker, stats.next_creation) == ("closed", None)
    figures.view = some_view(breaker=BreakerState.HALF_OPEN, next_creation=12.5)
    assert (figures.stats().breaker, figures.stats().next_creation) == ("half-open", 2.5)
    figures.view = some_view(next_creation=9.0)
    assert figures.stats().next_creation == 0.0


def test_abandoned_workers() -> None:
    """A worker that could be ended by force was not abandoned."""
    figures = Figures()
    figures.view = some_view(abandoned=3)
    figures.shutdown_counts.cut_off = 2
    assert figures.stats().abandoned_workers == 1


def test_user_errors_that_were_only_noted() -> None:
    """Faults that were counted without the lock are shown."""
    figures = Figures()
    figures.counters.note("user_errors")
    figures.counters.add("user_errors")
    assert figures.stats().user_errors == 2


def test_processes() -> None:
    """With a backend, what its processes use is shown."""
    figures = Figures()
    usage = ProcessUsage(worker="pool-worker-1", pid=4, rss=5, cpu_seconds=6.0)
    figures.backend = FakeBackend()
    figures.backend.processes = (usage,)
    assert figures.stats().processes == (usage,)


# -- metrics ------------------------------------------------------------------------------------------------------


def test_the_metrics_of_a_collector() -> None:
    """With a collector of the user's, its answer is the answer."""
    collector = RecordingCollector()
    assert Figures(collector=collector).metrics() == collector.metrics()


def test_a_collector_whose_metrics_raise() -> None:
    """The caller receives the error."""
    with pytest.raises(ValueError, match="boom"):
        Figures(collector=RaisingCollector(ValueError("boom"))).metrics()


def test_all_meters_are_merged() -> None:
    """Measurements of each worker and of run_task count, and so does what ended in the queue."""
    figures = Figures().tasks(accepted=20, taken=10, done=8)
    counters = figures.counters
    counters.shard(1).meter.execution += [1.0, 2.0]
    counters.shard(1).meter.wait += [4.0, 4.0]
    counters.shard(2).meter.count_failed(TaskLifecycleTimestamps(0.0, 1.0, 4.0), timed_out=True)
    counters.shard(2).meter.cancelled += 1
    figures.run_task_meter.execution += [2.0]
    counters.note("ended_in_queue", "cancelled_in_queue")
    counters.add("ended_in_queue", 2)
    counters.add("retried", 5)
    metrics = figures.metrics()
    assert (metrics.min_execution_time, metrics.average_execution_time, metrics.max_execution_time) == (1.0, 2.0, 3.0)
    assert metrics.average_wait_time == 3.0
    assert (metrics.total_tasks_failed, metrics.total_tasks_timed_out) == (3, 1)
    assert (metrics.total_tasks_cancelled, metrics.total_tasks_retried) == (2, 5)
    assert metrics.total_tasks_completed == 6
    assert (metrics.success_rate, metrics.failure_rate) == (pytest.approx(6 / 9), pytest.approx(3 / 9))


def test_a_merged_meter_can_be_reused() -> None:
    """One merge serves for the histograms and for the metrics; what is measured after it is left out."""
    figures = Figures()
    figures.counters.shard(1).meter.execution += [1.0]
    figures.run_task_meter.execution += [3.0]
    total = meter_of(figures)  # type: ignore[arg-type]
    assert (total.executions.count, total.executions.greatest) == (2, 3.0)
    figures.run_task_meter.execution += [9.0]
    assert built_in_metrics(figures, total).max_execution_time == 3.0  # type: ignore[arg-type]
    assert figures.metrics().max_execution_time == 9.0


def test_rates_are_brought_up_to_date() -> None:
    """The rates are those at the moment of the call."""
    metrics = Figures().metrics()
    assert (metrics.task_arrival_rate, metrics.task_completion_rate) == (2.0, 1.0)


# -- explain ------------------------------------------------------------------------------------------------------


def test_explained() -> None:
    """It is the supervisor's view of the number of workers, at this moment."""
    decision = ScalingDecision(at=1.0, cause="start", before=0, target=2, why="base workers", snapshot=None)
    view = some_view(target=3, ready=2, starting=1, latest=Decision(3, "more"), decisions=(decision,))
    before = monotonic()
    shown = explained(view, monotonic())
    assert before <= shown.at <= monotonic()
    assert (shown.target, shown.ready, shown.starting) == (3, 2, 1)
    assert (shown.worker_count, shown.max_worker_count) == (2, 4)
    assert (shown.latest, shown.snapshot, shown.decisions) == (Decision(3, "more"), None, (decision,))
    assert (shown.failing_creations, shown.creation_error, shown.next_creation) == (0, None, None)


def test_cooling_workers() -> None:
    """They are counted apart, and among those that are ready."""
    figures = Figures(READY, READY, ENDING)
    figures.workers[1].cooling = figures.workers[2].cooling = True
    assert (stats_of(figures).cooling_workers, stats_of(figures).active_workers) == (1, 2)
    shown = explained(some_view(target=2, ready=2), 1.0, figures.workers.values())
    assert shown.cooling == 1
    assert "2 ready (1 of them cooling down), 0 starting" in str(shown)


def test_quarantined_tasks_are_named() -> None:
    """One line, as far as there are any."""
    assert "quarantined" not in str(explained(some_view(), monotonic()))
    shown = explained(some_view(), monotonic(), quarantined=("task #7 mod.fn", "task #9 mod.fn"))
    assert "\nquarantined: task #7 mod.fn, task #9 mod.fn\n" in str(shown)


def test_an_outage_is_explained() -> None:
    """How often no resource could be made, why, and how long it is until the next try, which may be overdue."""
    failing = {"failing_creations": 2, "creation_error": "no route"}
    shown = explained(some_view(**failing, next_creation=monotonic() + 100.0), monotonic())
    assert (shown.failing_creations, shown.creation_error) == (2, "no route")
    assert shown.next_creation is not None
    assert 0.0 < shown.next_creation <= 100.0
    assert explained(some_view(**failing, next_creation=1.0), monotonic()).next_creation == 0.0


def test_a_manager_that_was_not_started_explains_itself() -> None:
    """Outside of its loop, too: no workers, its bounds, no decision."""
    explained = AsyncTaskManager(Config(on_create=object, worker_count=2)).explain()
    assert (explained.target, explained.worker_count, explained.max_worker_count) == (0, 2, 4)
    assert str(explained).splitlines() == [
        "0 workers wanted (2 to 4 allowed): 0 ready, 0 starting",
        "now: the policy was not asked",
    ]
