"""Point 12: metrics are right, windowed where they say rate."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from support.observers import RecordingCollector
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import TaskLifecycleTimestamps, TaskMetrics


class Sick(Exception):
    """The error that makes a resource unhealthy."""


def smallest_covering(values: list[float], share: float) -> float:
    """The smallest value with at least that share of values at or below it."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


async def test_point_12_all_zero_at_first(engine: Any) -> None:
    """A manager that did nothing, and has no resource yet, has the metrics of TaskMetrics()."""
    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(gate)) as m:
        await gate.arrivals(1)
        assert m.metrics() == TaskMetrics()
        gate.open()


async def test_point_12_totals(engine: Any, kit: Any) -> None:
    """Completed, failed, retried and cancelled tasks are counted."""
    gate = engine.gate()
    async with engine.manager(check_health=kit.hook(lambda e: not isinstance(e, Sick))) as m:
        for _ in range(6):
            await m.queue_task(kit.returns())
        for _ in range(2):
            await (await m.submit(kit.raises(ValueError()))).exception()
        await m.queue_task(kit.script(Sick(), Sick(), "third time"))
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        assert (await m.submit(kit.returns())).cancel()
        gate.open()
        await m.stop()
        metrics = m.metrics()
        assert metrics.total_tasks_completed == 8
        assert metrics.total_tasks_failed == 2
        assert metrics.total_tasks_retried == 2
        assert metrics.total_tasks_cancelled == 1
        assert metrics.success_rate == pytest.approx(0.8)
        assert metrics.failure_rate == pytest.approx(0.2)


async def test_point_12_failure_rate_when_all_failed(engine: Any, kit: Any) -> None:
    """failure_rate is 1 when every task failed."""
    async with engine.manager() as m:
        for _ in range(5):
            await (await m.submit(kit.raises(ValueError()))).exception()
        await eventually(lambda: m.metrics().total_tasks_failed == 5)
        assert (m.metrics().failure_rate, m.metrics().success_rate) == (1.0, 0.0)


async def test_point_12_percentiles_within_their_error(engine: Any, kit: Any) -> None:
    """Percentiles of execution and wait agree with the exact ones within 5%."""
    async with engine.manager(worker_count=2) as m:
        futures = [await m.submit(kit.pauses(), 0.001 + n % 40 / 2000) for n in range(120)]
        for future in futures:
            await future.result()
        await eventually(lambda: m.metrics().total_tasks_completed == 120)
        metrics = m.metrics()
        stamps = [future.timestamps for future in futures]
        worked = [s.finished_at - s.started_at for s in stamps]
        waited = [s.started_at - s.queued_at for s in stamps]
        assert metrics.min_execution_time == pytest.approx(min(worked), rel=0.05)
        assert metrics.max_execution_time == pytest.approx(max(worked), rel=0.05)
        assert metrics.average_execution_time == pytest.approx(sum(worked) / 120, rel=0.05)
        assert metrics.average_wait_time == pytest.approx(sum(waited) / 120, rel=0.05)
        for share in (50, 95, 99):
            measured = getattr(metrics, f"p{share}_execution_time")
            assert measured == pytest.approx(smallest_covering(worked, share / 100), rel=0.055)
            measured = getattr(metrics, f"p{share}_wait_time")
            exact = smallest_covering(waited, share / 100)
            assert measured == pytest.approx(exact, rel=0.055, abs=1e-4)


async def test_point_12_rates_cover_a_recent_window(engine: Any, kit: Any) -> None:
    """Rates rise with a load and are zero again a window after it; totals stay."""
    async with engine.manager(rate_window=1.0) as m:
        for _ in range(50):
            await m.queue_task(kit.returns())
        metrics = m.metrics()
        assert metrics.task_arrival_rate > 0
        assert metrics.task_completion_rate > 0
        await eventually(lambda: m.metrics().task_arrival_rate == 0, 20)
        await eventually(lambda: m.metrics().task_completion_rate == 0, 20)
        assert m.metrics().total_tasks_completed == 50


async def test_point_12_a_custom_collector_is_fed_and_asked(engine: Any, kit: Any) -> None:
    """The four record methods are called once an event, and metrics() returns the collector's."""
    collector = RecordingCollector()
    async with engine.manager(collector=collector, check_health=kit.hook(lambda e: not isinstance(e, Sick))) as m:
        for _ in range(3):
            await m.queue_task(kit.returns())
        await (await m.submit(kit.raises(ValueError()))).exception()
        await m.queue_task(kit.script(Sick(), "again"))
        await m.stop()
        assert len(collector.arrivals) == 5
        assert len(collector.completions) == 4
        assert len(collector.failures) == 1
        assert len(collector.retries) == 1
        assert m.metrics().total_tasks_completed == 4321
    for stamps in collector.completions + collector.failures:
        assert isinstance(stamps, TaskLifecycleTimestamps)
        assert stamps.queued_at <= stamps.started_at <= stamps.finished_at


async def test_point_12_metrics_are_consistent_under_load(engine: Any, kit: Any) -> None:
    """However often metrics() is called meanwhile, its values are in order and in range."""
    async with engine.manager(worker_count=2) as m:
        futures = [await m.submit(kit.pauses(0.0005)) for _ in range(200)]
        done = 0
        while not all(future.done() for future in futures):
            metrics = m.metrics()
            assert metrics.total_tasks_completed >= done
            done = metrics.total_tasks_completed
            assert 0 <= metrics.failure_rate <= 1
            assert metrics.p50_execution_time <= metrics.p95_execution_time <= metrics.p99_execution_time
            await asyncio.sleep(0.001)  # to ask without a pause would keep the GIL from the workers
        await eventually(lambda: m.metrics().total_tasks_completed == 200)
