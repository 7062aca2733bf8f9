"""Point 7: burst workers come with a backlog and go with it."""

from __future__ import annotations

from typing import Any

from support.waiting import eventually, throughout


async def test_point_07_a_backlog_brings_the_maximum(engine: Any, kit: Any) -> None:
    """Twenty waiting tasks bring all the workers that are allowed."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, max_worker_count=4, burst_interval=0.05) as m:
        for _ in range(20):
            await m.submit(kit.holds(gate))
        await gate.arrivals(4)
        stats = m.stats()
        assert (stats.base_workers, stats.burst_workers) == (1, 3)
        await throughout(lambda: gate.arrived == 4, 0.3, "no fifth worker")
        gate.open()


async def test_point_07_back_at_base_after_the_load(engine: Any, kit: Any) -> None:
    """After the load the burst workers end and their resources are destroyed."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, max_worker_count=4, burst_interval=0.05, rate_window=0.5) as m:
        for _ in range(20):
            await m.submit(kit.holds(gate))
        await gate.arrivals(4)
        gate.open()
        await eventually(lambda: m.stats().burst_workers == 0, 30)
        await eventually(lambda: len(m.resources.alive) == 1, 30)
        assert m.stats().base_workers == 1
        assert await m.queue_task(kit.returns("still")) == "still"


async def test_point_07_no_burst_for_one_task_in_flight(engine: Any, kit: Any) -> None:
    """One long task with nothing behind it brings no worker."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, max_worker_count=4, burst_interval=0.02) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await throughout(lambda: m.stats().burst_workers == 0, 0.6)
        assert len(m.resources.created) == 1
        gate.open()


async def test_point_07_no_burst_for_history_and_errors(engine: Any, kit: Any) -> None:
    """Past tasks and past errors bring no worker while nothing waits."""
    gate = engine.gate()
    async with engine.manager(worker_count=2, max_worker_count=8, burst_interval=0.02) as m:
        for number in range(300):
            body = kit.raises(ValueError()) if number % 10 == 0 else kit.returns()
            await (await m.submit(body)).exception()
        await eventually(lambda: m.stats().burst_workers == 0, 30)
        made = len(m.resources.created)
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await throughout(lambda: m.stats().burst_workers == 0, 0.6)
        assert len(m.resources.created) == made
        gate.open()


async def test_point_07_zero_interval_turns_scaling_off(engine: Any, kit: Any) -> None:
    """With burst_interval=0 there are the base workers alone, however many tasks wait."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, max_worker_count=4, burst_interval=0) as m:
        for _ in range(20):
            await m.submit(kit.holds(gate))
        await throughout(lambda: gate.arrived <= 1, 0.6)
        assert m.stats().burst_workers == 0
        gate.open()


async def test_point_07_it_grows_again(engine: Any, kit: Any) -> None:
    """A second load after the first brings burst workers again."""
    async with engine.manager(worker_count=1, max_worker_count=3, burst_interval=0.05, rate_window=0.5) as m:
        for _ in range(2):
            gate = engine.gate()
            for _ in range(15):
                await m.submit(kit.holds(gate))
            await gate.arrivals(3)
            gate.open()
            await eventually(lambda: m.stats().burst_workers == 0, 30)
