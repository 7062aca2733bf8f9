"""Callbacks of `Context.on_cancel` at a kill: they may hang or raise, and the kill goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import eventually
from tasker import TaskKilled


async def test_a_callback_that_blocks_holds_up_no_kill(engine: Any, kit: Any) -> None:
    """kill() returns after cancel_grace though a callback hangs, and a stop after it does not wait for it either."""
    gate, task_gate = engine.gate(), engine.gate()

    def register(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(gate.pass_through)

    async with engine.manager(cancel_grace=0.3) as m:
        future = await m.submit(kit.both(register, kit.holds(task_gate)))
        await task_gate.arrivals(1)
        report = await asyncio.wait_for(m.kill(), 20)
        assert (report.killed, report.killed_tasks) == (True, 1)
        if not engine.elsewhere:  # a child is ended with its callbacks
            assert "a callback of Context.on_cancel" in report.abandoned
        assert future.cancelled()
        await gate.arrivals(1)
        assert not gate.is_open
        assert (await asyncio.wait_for(m.stop(), 20)).killed is True
        gate.open()
        task_gate.open()


async def test_waiters_wake_before_callbacks(engine: Any, kit: Any) -> None:
    """A task that waits for its cancellation notices a kill although a callback that was registered before hangs."""
    gate, begun, waits = engine.gate(), engine.gate(), engine.gate()

    def register(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(gate.pass_through)

    async with engine.manager(worker_count=2, cancel_grace=30) as m:
        await m.submit(kit.both(register, kit.holds(begun)))
        await begun.arrivals(1)
        sleeper = await m.submit(kit.until_cancelled(waits))
        await waits.arrivals(1)
        kill = asyncio.create_task(m.kill())
        await eventually(sleeper.done)
        assert not kill.done()
        engine.open_gates()
        await kill


async def test_run_task_hears_of_a_kill_before_callbacks(engine: Any, kit: Any) -> None:
    """A task in run_task that waits for its cancellation notices a kill although a callback of a worker's task hangs."""
    gate, begun, waits = engine.gate(), engine.gate(), engine.gate()

    def register(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(gate.pass_through)

    async with engine.manager(resource_pool_size=1, cancel_grace=30) as m:
        await m.submit(kit.both(register, kit.holds(begun)))
        await begun.arrivals(1)
        caller = asyncio.create_task(m.run_task(kit.until_cancelled(waits)))
        await waits.arrivals(1)
        kill = asyncio.create_task(m.kill())
        with pytest.raises(TaskKilled):
            await asyncio.wait_for(caller, 20)
        assert not kill.done()
        engine.open_gates()
        await kill


def errors() -> list[BaseException]:
    """What a callback may raise."""
    return [SystemExit(1), ValueError("callback"), KeyboardInterrupt()]


async def kill_a_task_whose_callback_raises(engine: Any, error: BaseException, **config: Any) -> list[str]:
    """Kill a task with two callbacks, of which the first raises; return which of the others were called."""
    begun = engine.gate()
    called: list[str] = []

    def raises() -> None:
        raise error

    def register(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(raises)
        ctx.on_cancel(lambda: called.append("next"))

    async with engine.manager(**config) as m:
        future = await m.submit(engine.kit.both(register, engine.kit.until_cancelled(begun)))
        await begun.arrivals(1)
        report = await m.kill(10)
        assert (report.killed, report.abandoned) == (True, ())
        assert future.cancelled()
        await eventually(lambda: called)
    return called


@pytest.mark.parametrize("error", errors(), ids=repr)
async def test_a_callback_that_raises_ends_no_kill(engine: Any, error: BaseException) -> None:
    """The other callbacks are called, and the kill ends."""
    assert await kill_a_task_whose_callback_raises(engine, error) == ["next"]


@pytest.mark.parametrize("error", errors(), ids=repr)
async def test_a_callback_that_raises_is_logged(engine: Any, error: BaseException) -> None:
    """What a callback raises at a kill is logged."""
    logger = RecordingLogger()
    await kill_a_task_whose_callback_raises(engine, error, logger=logger)
    await eventually(lambda: f"raised {type(error).__name__}" in logger.text("error"))
