"""Callbacks that hang in this process when the manager is killed, wherever the resources live."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import SLOWER, eventually
from tasker import RetryPolicy, TaskKilled

LATE = 60.0
WARM, BEHIND = 500, 200
BUSY = OSError("busy")


def in_loop(kit: Any) -> bool:
    """Whether callbacks are called in an event loop."""
    return asyncio.iscoroutinefunction(kit.hook(lambda: None))


def check_that_hangs(kit: Any, gate: Gate) -> Any:
    """A check_health."""

    def check(error: BaseException) -> bool:
        gate.pass_through()
        return True

    async def acheck(error: BaseException) -> bool:
        await gate.apass_through()
        return True

    return acheck if in_loop(kit) else check


async def killed(future: Any) -> bool:
    """Whether that is what has become of a task."""
    with pytest.raises(TaskKilled):
        await future.result()
    return True


async def test_check_health(engine: Any, kit: Any) -> None:
    """Every task has its outcome when kill() returns, and those that were sent ahead, too."""
    if engine.name == "asyncio, plain functions":
        pytest.skip("it is called in the event loop, where nothing may block")
    gate = engine.gate()
    async with engine.manager(check_health=check_that_hangs(kit, gate)) as m:
        for future in [await m.submit(kit.returns(n)) for n in range(WARM)]:  # so that tasks are sent ahead
            await future
        futures = [await m.submit(kit.raises(BUSY)), *[await m.submit(kit.returns(n)) for n in range(BEHIND)]]
        await gate.arrivals(1)
        report = await asyncio.wait_for(m.kill(0.3 * SLOWER), LATE)
        assert all(future.done() for future in futures)
        for future in futures:
            assert await killed(future)
        (name,) = report.abandoned
        assert "raises" in name
        assert report.killed_tasks == len(futures)
        if not in_loop(kit):
            assert "pass_through" in report.stacks[0]
        gate.open()
        await eventually(lambda: m.stats().done_tasks == m.stats().accepted_tasks == WARM + len(futures))
        assert (m.stats().queued_tasks, m.stats().running_tasks) == (0, 0)
        await eventually(lambda: m.stats().resources.alive == 0)


async def test_retry_on(engine: Any, kit: Any) -> None:
    """A predicate that hangs has no task without an outcome."""
    if engine.name.startswith("asyncio"):
        pytest.skip("it is called in the event loop, where nothing may block")
    gate = engine.gate()

    def retry_on(error: BaseException) -> bool:
        gate.pass_through()
        return False

    async with engine.manager(retry=RetryPolicy(retry_on=retry_on)) as m:
        future = await m.submit(kit.raises(BUSY))
        await gate.arrivals(1)
        report = await asyncio.wait_for(m.kill(0.3 * SLOWER), LATE)
        assert await killed(future)
        assert len(report.abandoned) == 1
        gate.open()
        await eventually(lambda: m.stats().done_tasks == 1)


async def test_the_callback_of_a_task(engine: Any, kit: Any) -> None:
    """Its worker is named; its task has its outcome, as before."""
    if engine.name.startswith("asyncio"):
        pytest.skip("it is called in the event loop, where nothing may block")
    gate = engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kit.returns("value"), callback=lambda result, error: gate.pass_through())
        await gate.arrivals(1)
        report = await asyncio.wait_for(m.kill(0.3 * SLOWER), LATE)
        assert await future == "value"
        assert len(report.abandoned) == 1
        gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)
