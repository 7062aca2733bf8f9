"""Point 3: priorities are strict, FIFO inside a level."""

from __future__ import annotations

from typing import Any

from support.waiting import Call
from tasker import Priority


async def test_point_03_priority_is_strict(engine: Any, kit: Any) -> None:
    """All high tasks start before all normal ones, these before all low ones."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        levels = [Priority.LOW, Priority.NORMAL, Priority.HIGH] * 20
        for number, level in enumerate(levels):
            await m.submit(kit.records(log, (level, number)), priority=level)
        gate.open()
    assert log == sorted(log)
    assert len(log) == 60


async def test_point_03_fifo_inside_a_level(engine: Any, kit: Any) -> None:
    """Tasks of one level start in the order of the submit calls."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        for number in range(300):
            await m.submit(kit.records(log, number))
        gate.open()
    assert log == list(range(300))


async def test_point_03_each_submitter_keeps_its_order(engine: Any, kit: Any) -> None:
    """With several submitters at once, the tasks of each start in its order."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)

        def feed(submitter: int) -> None:
            for number in range(100):
                m.raw.submit(kit.records(log, (submitter, number)))

        if engine.blocking:
            for call in [Call(feed, submitter) for submitter in range(8)]:
                await call.aoutcome()
        else:
            for number in range(100):
                for submitter in range(8):
                    await m.submit(kit.records(log, (submitter, number)))
        gate.open()
    for submitter in range(8):
        assert [n for s, n in log if s == submitter] == list(range(100))


async def test_point_03_a_late_high_task_overtakes(engine: Any, kit: Any) -> None:
    """A high task submitted last starts next."""
    gate, second = engine.gate(), engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await m.submit(kit.holds(second))
        await m.submit(kit.records(log, "normal"))
        await gate.arrivals(1)
        gate.open()
        await second.arrivals(1)
        await m.submit(kit.records(log, "high"), priority=Priority.HIGH)
        second.open()
    assert log == ["high", "normal"]


async def test_point_03_the_default_is_normal(engine: Any, kit: Any) -> None:
    """A task without priority comes after a high and before a low one."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.submit(kit.records(log, "low"), priority=Priority.LOW)
        await m.submit(kit.records(log, "default"))
        await m.submit(kit.records(log, "normal"), priority=Priority.NORMAL)
        await m.submit(kit.records(log, "high"), priority=Priority.HIGH)
        gate.open()
    assert log == ["high", "default", "normal", "low"]


async def test_point_03_queue_task_takes_a_priority(engine: Any, kit: Any) -> None:
    """queue_task(priority=HIGH) overtakes what is queued."""
    import asyncio

    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.submit(kit.records(log, "normal"))
        call = asyncio.create_task(m.queue_task(kit.records(log, "high"), priority=Priority.HIGH, once=True))
        while m.stats().priority_tasks < 1:
            await asyncio.sleep(0.002)
        gate.open()
        assert await call == "high"
    assert log == ["high", "normal"]


async def test_point_03_stats_tell_the_levels_apart(engine: Any, kit: Any) -> None:
    """priority_tasks counts high tasks, queued_tasks the others."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        for level in (Priority.HIGH, Priority.HIGH, Priority.NORMAL, Priority.LOW, Priority.LOW):
            await m.submit(kit.returns(), priority=level)
        stats = m.stats()
        assert (stats.priority_tasks, stats.queued_tasks) == (2, 3)
        gate.open()
