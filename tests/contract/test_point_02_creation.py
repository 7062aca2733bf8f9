"""Point 2: a failing on_create is retried with backoff, one at a time, visibly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support import internals
from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import SLOWER, eventually, throughout
from tasker import ResourceError, TaskKilled

BOOM = ConnectionError("database is away")


async def test_point_02_a_failed_creation_is_retried(engine: Any, kit: Any) -> None:
    """A worker whose on_create failed comes up by itself later, and the queued task runs."""
    resources = ScriptedResources(BOOM, BOOM, BOOM)
    async with engine.manager(resources=resources) as m:
        assert await m.queue_task(kit.returns("up")) == "up"
        assert resources.attempts == 4


async def test_point_02_every_missing_base_worker_comes_up(engine: Any, kit: Any) -> None:
    """All base workers start in the end when each failed at first."""
    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(*[BOOM] * 5), worker_count=3) as m:
        for _ in range(3):
            await m.submit(kit.holds(gate))
        await gate.arrivals(3)
        gate.open()


async def test_point_02_failing_creation_is_single_flight(engine: Any) -> None:
    """While creation fails only one on_create runs at a time."""
    gate = engine.gate()
    resources = ScriptedResources(*[BOOM] * 4, then=gate)
    async with engine.manager(resources=resources, worker_count=4) as m:
        await gate.arrivals(1)
        await throughout(lambda: resources.creating <= 1, 1.0, "one creation at a time")
        gate.open()
        await eventually(lambda: len(resources.alive) == 4)
        assert m.stats().failing_creations == 0


async def test_point_02_failing_creation_backs_off(engine: Any) -> None:
    """A creation that always fails is not tried in a tight loop."""
    resources = ScriptedResources(then=BOOM)
    async with engine.manager(resources=resources, worker_count=2, burst_interval=0.01) as m:
        await eventually(lambda: resources.attempts >= 3)
        await throughout(lambda: resources.attempts <= 60, 1.0, "far fewer attempts than ticks")
        await m.kill()


async def test_point_02_failure_shows_in_stats(engine: Any) -> None:
    """stats() counts consecutive failures and quotes the last error, until it works again."""
    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(BOOM, BOOM, gate)) as m:
        await gate.arrivals(1)
        stats = m.stats()
        assert stats.failing_creations == 2
        assert "database is away" in str(stats.creation_error)
        gate.open()
        await eventually(lambda: m.stats().failing_creations == 0)


async def test_point_02_failures_are_counted_since_the_start(engine: Any, kit: Any) -> None:
    """stats() goes on counting the creations that failed, for workers and run_task, when others have succeeded."""
    async with engine.manager(resources=ScriptedResources(BOOM, BOOM, None, BOOM)) as m:
        await m.queue_task(kit.returns())
        await eventually(lambda: m.stats().failing_creations == 0)
        assert (m.stats().failed_creations, m.stats().resources.created) == (2, 1)
        with pytest.raises(ResourceError):
            await m.run_task(kit.returns())
        await eventually(lambda: m.stats().failed_creations == 3)


async def test_point_02_how_long_creations_took(engine: Any, kit: Any) -> None:
    """metrics() tells how long creations took, for workers and run_task alike; those that failed do not count."""
    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(BOOM, gate)) as m:
        await gate.arrivals(1)
        assert m.metrics().average_creation_time == 0
        await asyncio.sleep(0.05)  # the creation takes longer than that
        gate.open()
        await eventually(lambda: m.stats().active_workers == 1)
        first = m.metrics()
        assert 0.05 <= first.average_creation_time == first.max_creation_time == first.p99_creation_time
        await m.run_task(kit.returns())
        second, times = m.metrics(), internals.creation_times(m.raw)
        assert (times.count, times.total) == (2, pytest.approx(2 * second.average_creation_time))
        assert times.total > first.max_creation_time
        assert second.p50_creation_time <= second.p99_creation_time <= second.max_creation_time == times.greatest


async def test_point_02_failure_shows_in_the_log(engine: Any, kit: Any) -> None:
    """The log names the error of on_create."""
    logger = RecordingLogger()
    async with engine.manager(resources=ScriptedResources(BOOM), logger=logger) as m:
        await m.queue_task(kit.returns())
    assert "database is away" in logger.text("warning", "error")


async def test_point_02_ready_timeout_fails_queued_tasks(engine: Any, kit: Any) -> None:
    """With ready_timeout, queued tasks end with ResourceError that carries the cause."""
    resources = ScriptedResources(then=BOOM)
    async with engine.manager(resources=resources, ready_timeout=0.3 * SLOWER**2) as m:
        futures = [await m.submit(kit.returns()) for _ in range(3)]
        for future in futures:
            error = await future.exception()
            assert isinstance(error, ResourceError)
            assert error.__cause__ is BOOM or "database is away" in str(error)
            assert future.attempts == 0


async def test_point_02_ready_timeout_covers_a_creation_that_hangs(engine: Any, kit: Any) -> None:
    """Queued tasks do not wait longer than ready_timeout for an on_create that hangs."""
    gate = engine.gate()
    resources = ScriptedResources(then=gate)
    async with engine.manager(resources=resources, ready_timeout=0.3) as m:
        future = await m.submit(kit.returns())
        assert isinstance(await future.exception(), ResourceError)
        gate.open()


async def test_point_02_tasks_run_again_after_creation_recovers(engine: Any, kit: Any) -> None:
    """A creation timeout is not the end: once on_create works, new tasks run."""
    resources = ScriptedResources(then=BOOM)
    async with engine.manager(resources=resources, ready_timeout=0.2) as m:
        with pytest.raises(ResourceError):
            await m.queue_task(kit.returns())
        resources.then = None
        await eventually(lambda: m.stats().active_workers == 1, 20)
        assert await m.queue_task(kit.returns("back")) == "back"


async def test_point_02_ready_timeout_spares_tasks_that_a_worker_will_take(engine: Any, kit: Any) -> None:
    """While one worker lives, a task queued behind its long task does not fail."""
    gate = engine.gate()
    resources, patience = ScriptedResources(None, then=BOOM), 0.2 * SLOWER**2
    async with engine.manager(resources=resources, worker_count=2, ready_timeout=patience) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        held = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        waiting = await m.submit(kit.returns("served"))
        await throughout(lambda: not waiting.done(), 2 * patience, "the task waits for its turn")
        gate.open()
        assert await waiting.result() == "served"
        await held.result()


async def test_point_02_by_default_tasks_wait_as_in_a_queue(engine: Any, kit: Any) -> None:
    """Without ready_timeout a task waits while creation fails; kill still ends it."""
    async with engine.manager(resources=ScriptedResources(then=BOOM)) as m:
        future = await m.submit(kit.returns())
        await throughout(lambda: not future.done(), 0.5)
        await m.kill()
        with pytest.raises(TaskKilled):
            await future.result()


async def test_point_02_stop_does_not_wait_out_the_backoff(engine: Any) -> None:
    """An idle manager whose creation keeps failing stops."""
    resources = ScriptedResources(then=BOOM)
    async with engine.manager(resources=resources, worker_count=2) as m:
        await eventually(lambda: resources.attempts >= 3)
        assert not (await m.stop()).killed
