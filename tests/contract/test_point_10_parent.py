"""Point 10: cancelling the parent context starts the graceful stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Context, ShutdownError


async def test_point_10_parent_cancellation_drains_by_itself(engine: Any, kit: Any) -> None:
    """What was accepted runs with a live context, then every resource goes, without a stop call."""
    gate = engine.gate()
    parent = Context()
    async with engine.manager(ctx=parent, worker_count=2, resource_pool_size=1) as m:
        for _ in range(2):
            await m.submit(kit.holds(gate))
        await gate.arrivals(2)
        look = kit.calls(lambda ctx, resource: ctx.cancelled)
        queued = [await m.submit(look) for _ in range(10)]
        parent.cancel()
        await eventually(lambda: m.closed)
        gate.open()
        assert [await future.result() for future in queued] == [False] * 10
        await eventually(lambda: not m.resources.alive)
        m.resources.check_all_ended_once()


@pytest.mark.parametrize("how", ["submit", "queue_task", "run_task"])
async def test_point_10_nothing_new_is_accepted(engine: Any, kit: Any, how: str) -> None:
    """After parent cancellation every way in raises ShutdownError."""
    parent = Context()
    async with engine.manager(ctx=parent, resource_pool_size=1) as m:
        parent.cancel()
        await eventually(lambda: m.closed)
        with pytest.raises(ShutdownError):
            await getattr(m, how)(kit.returns())


async def test_point_10_a_parent_deadline_does_the_same(engine: Any, kit: Any) -> None:
    """When the parent's deadline passes the manager stops gracefully by itself."""
    gate = engine.gate()
    async with engine.manager(ctx=Context().with_timeout(0.3)) as m:
        future = await m.submit(kit.holds(gate, "kept"))
        await gate.arrivals(1)
        await eventually(lambda: m.closed)
        gate.open()
        assert await future.result() == "kept"
        await eventually(lambda: not m.resources.alive)


async def test_point_10_stop_and_kill_still_work(engine: Any, kit: Any) -> None:
    """stop() waits for the drain that the parent started; kill() escalates it."""
    gate = engine.gate()
    parent = Context()
    async with engine.manager(ctx=parent) as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        parent.cancel()
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        assert (await m.kill()).killed
        assert (await stop).killed


async def test_point_10_a_parent_cancelled_before_the_start(engine: Any, kit: Any) -> None:
    """A manager under a context that is already cancelled accepts nothing and leaves nothing."""
    parent = Context()
    parent.cancel()
    try:
        async with engine.manager(ctx=parent, resource_pool_size=1) as m:
            await eventually(lambda: m.closed)
            with pytest.raises(ShutdownError):
                await m.submit(kit.returns())
    except ShutdownError:
        pass


async def test_point_10_values_of_the_parent_are_visible(engine: Any, kit: Any) -> None:
    """ctx.value() in a task finds the values of Config.ctx."""
    parent = Context().with_value("tenant", "blue")
    async with engine.manager(ctx=parent, resource_pool_size=1) as m:
        look = kit.calls(lambda ctx, resource: (ctx.value("tenant"), ctx.value("none", 7)))
        assert await m.queue_task(look) == ("blue", 7)
        assert await m.run_task(look) == ("blue", 7)


async def test_point_10_the_parent_outlives_the_manager(engine: Any, kit: Any) -> None:
    """Stopping or killing the manager does not cancel the parent."""
    parent = Context()
    async with engine.manager(ctx=parent) as m:
        await m.queue_task(kit.returns())
        await m.stop()
    async with engine.manager(ctx=parent) as m:
        await m.kill()
    assert not parent.cancelled
