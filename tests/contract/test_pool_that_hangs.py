"""on_destroy of an idle resource of run_task's pool hangs, or asks its own manager to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.gates import Gate
from support.resources import Resource, ScriptedResources
from support.waiting import eventually, throughout
from tasker import DeadlockError


class Clinging(ScriptedResources):
    """The first resource, which is one of the pool's, is destroyed only once the gate is open."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate

    def destroy(self, resource: Resource) -> None:
        """Destroy it, perhaps later."""
        if resource.number == 1:
            self.gate.pass_through()
        ScriptedResources.destroy(self, resource)  # not super(): in a child process, self is a stand-in

    async def adestroy(self, resource: Resource) -> None:
        """The same as a coroutine function."""
        if resource.number == 1:
            await self.gate.apass_through()
        await ScriptedResources.adestroy(self, resource)


ENDS: dict[str, Callable[[Any], Any]] = {
    "kill": lambda m: m.kill(0.5),
    "kill by default": lambda m: m.kill(),
    "stop": lambda m: m.stop(0.5),
}


@pytest.mark.parametrize("how", ENDS)
async def test_an_end_with_a_limit(engine: Any, kit: Any, how: str) -> None:
    """kill() and stop(timeout) return, and name the pool in the report, unless its session was ended by force; a worker's
    resource is destroyed meanwhile, and the pool's when on_destroy returns."""
    gate = engine.gate()
    resources = Clinging(gate)
    async with engine.manager(resources=resources, resource_pool_size=1, cancel_grace=0.5) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        since = time.monotonic()
        report = await ENDS[how](m)
        assert report.killed
        assert report.seconds <= time.monotonic() - since
        assert report.abandoned == (("the pool of run_task (in on_destroy)",) if m.raw.config.backend is None else ())
        assert m.stats().abandoned_workers == 0
        assert gate.arrived == 1
        assert 2 not in [one.number for one in resources.alive], "the worker's"
        assert (await m.kill(0)).abandoned == report.abandoned
        gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)


async def test_a_refill_that_hangs(engine: Any, kit: Any) -> None:
    """kill() returns at its deadline, and names it in the report, unless its session was ended by force. What it makes
    later is destroyed."""
    resources = ScriptedResources()
    async with engine.manager(
        resources=resources, resource_pool_size=1, cancel_grace=0.5, check_health=kit.hook(lambda error: False)
    ) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        resources.then = gate = engine.gate()
        with pytest.raises(ValueError, match="spoils"):
            await m.run_task(kit.raises(ValueError("spoils")))
        await gate.arrivals(1)
        report = await m.kill(0.5)
        assert report.killed
        # A coroutine in the loop is cancelled at once.
        stays = m.raw.config.backend is None and (engine.blocking or "plain functions" in engine.name)
        assert report.abandoned == (("the pool of run_task (in on_create)",) if stays else ())
        gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)


async def test_a_kill_during_a_stop(engine: Any, kit: Any) -> None:
    """A stop without a limit waits for the pool; a kill from elsewhere ends the wait of both that have not to close it."""
    resources = Clinging(engine.gate())
    async with engine.manager(resources=resources, resource_pool_size=1) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        stop = asyncio.create_task(m.stop(60))
        await resources.gate.arrivals(1)
        assert not stop.done()
        report = await asyncio.wait_for(m.kill(0.2), 20)
        assert report.killed
        assert (await asyncio.wait_for(stop, 20)).abandoned == report.abandoned
        resources.gate.open()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_on_destroy_that_ends_its_own_manager(engine: Any, kit: Any, end: str) -> None:
    """stop() and kill() raise DeadlockError in the on_destroy of the pool that a stop or kill waits for."""
    errors: list[BaseException] = []
    managers: list[Any] = []

    async def ends(own: Any) -> None:
        try:
            await own.end(end)
        except DeadlockError as error:
            errors.append(error)

    hooks = {"on_create": kit.hook(object), "on_destroy": engine.inside_hook(managers, ends)}
    async with engine.manager(resource_pool_size=1, **hooks) as m:
        managers.append(m)
        await m.queue_task(kit.returns())
        report = await m.kill(20)
        assert (report.killed, report.abandoned) == (True, ())
        assert len(errors) == 2, "in the worker and in the pool"
        assert any("on_destroy for the pool of run_task" in str(error) for error in errors)


async def test_a_second_stop_while_the_pool_is_destroyed(engine: Any, kit: Any) -> None:
    """It returns, as the first one does, once on_destroy has returned for every resource of run_task's pool."""
    resources = Clinging(engine.gate())
    async with engine.manager(resources=resources, resource_pool_size=1) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        first = asyncio.create_task(m.stop())
        await resources.gate.arrivals(1)
        second = asyncio.create_task(m.stop())
        await throughout(lambda: not first.done() and not second.done(), 0.05)
        resources.gate.open()
        await asyncio.wait_for(second, 20)
        assert m.stats().resources.alive == 0
        await asyncio.wait_for(first, 20)


@pytest.mark.parametrize("drained", [False, True])
async def test_a_kill_during_a_stop_without_a_limit(engine: Any, kit: Any, drained: bool) -> None:
    """The kill returns at its deadline and names the pool in its report, before and after the last task has ended."""
    gate, tasks = engine.gate(), engine.gate()
    async with engine.manager(resources=Clinging(gate), resource_pool_size=1) as m:
        task = await m.submit(kit.holds(tasks))
        await tasks.arrivals(1)
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.raw.closed)
        if drained:
            tasks.open()
            await gate.arrivals(1)
        kill = asyncio.create_task(m.kill(0.2))
        if not drained:
            await eventually(task.done)
            tasks.open()
        report = await asyncio.wait_for(kill, 20)
        assert report.killed
        in_process = m.raw.config.backend is None
        assert [name for name in report.abandoned if "pool" in name] == (
            ["the pool of run_task (in on_destroy)"] if in_process else []
        )
        gate.open()
        await asyncio.wait_for(stop, 20)
        assert (await m.kill(0)).abandoned == report.abandoned
