"""Point 6: run_task never waits for a queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support import internals
from support.resources import ScriptedResources
from support.waiting import eventually, throughout
from tasker import ResourceError, ShutdownError, TaskKilled


class Sick(Exception):
    """The error that makes a resource unhealthy."""


def healthy(error: BaseException) -> bool:
    """Whether the resource survives the error."""
    return not isinstance(error, Sick)


async def test_point_06_it_overtakes_a_full_manager(engine: Any, kit: Any) -> None:
    """run_task runs at once while every worker is busy and the queue is full."""
    gate = engine.gate()
    async with engine.manager(max_queue_size=1, resource_pool_size=1) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.submit(kit.returns())
        assert await m.run_task(kit.echo(), "now") == "now"
        gate.open()


async def test_point_06_it_lends_a_pooled_resource_and_takes_it_back(engine: Any, kit: Any) -> None:
    """The pooled resource is not available meanwhile, is again after, and is not destroyed."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=1) as m:
        pooled = m.resources.created[0]
        call = asyncio.create_task(m.run_task(kit.holds(gate)))
        await gate.arrivals(1)
        assert m.stats().available_resources == 0
        gate.open()
        await call
        assert m.stats().available_resources == 1
        assert await m.run_task(kit.resource()) is pooled
        assert m.resources.destroyed == []


async def test_point_06_a_temporary_resource_is_destroyed_after(engine: Any, kit: Any) -> None:
    """With the pool empty a resource is made for the call and destroyed before it returns."""
    async with engine.manager() as m:
        await eventually(lambda: len(m.resources.created) == 1)
        temporary = await m.run_task(kit.resource())
        assert temporary is m.resources.created[1]
        assert m.resources.destroyed == [temporary]


async def test_point_06_a_temporary_resource_is_destroyed_after_a_failure(engine: Any, kit: Any) -> None:
    """A temporary resource goes also when the task failed."""
    async with engine.manager() as m:
        await eventually(lambda: len(m.resources.created) == 1)
        with pytest.raises(KeyError):
            await m.run_task(kit.raises(KeyError()))
        assert m.resources.destroyed == [m.resources.created[1]]


async def test_point_06_concurrent_calls_use_different_resources(engine: Any, kit: Any) -> None:
    """Ten calls at once use ten resources, and eight of them are temporary."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=2) as m:
        await eventually(lambda: len(m.resources.created) == 3)
        calls = [asyncio.create_task(m.run_task(kit.holds(gate))) for _ in range(10)]
        await gate.arrivals(10)
        assert len(m.resources.created) == 3 + 8
        gate.open()
        await asyncio.gather(*calls)
        assert len(m.resources.destroyed) == 8
        assert m.stats().available_resources == 2


async def test_point_06_temporary_resources_are_bounded(engine: Any, kit: Any) -> None:
    """Beyond max_temporary_resources run_task raises ResourceError; a place is freed after use."""
    gate = engine.gate()
    async with engine.manager(max_temporary_resources=2) as m:
        calls = [asyncio.create_task(m.run_task(kit.holds(gate))) for _ in range(2)]
        await gate.arrivals(2)
        with pytest.raises(ResourceError, match="2"):
            await m.run_task(kit.returns())
        gate.open()
        await asyncio.gather(*calls)
        assert await m.run_task(kit.returns("free")) == "free"


async def test_point_06_a_failed_creation_gives_its_place_back(engine: Any, kit: Any) -> None:
    """A temporary resource that could not be made does not count as in use."""
    resources = ScriptedResources(None)
    async with engine.manager(resources=resources, max_temporary_resources=1) as m:
        await eventually(lambda: len(resources.created) == 1)
        for _ in range(2):
            resources.script = [OSError("a")]
            with pytest.raises(ResourceError):
                await m.run_task(kit.returns())
            assert await m.run_task(kit.returns("fine")) == "fine"


async def test_point_06_no_temporary_resources_at_all(engine: Any, kit: Any) -> None:
    """max_temporary_resources=0 leaves the pool alone to run_task."""
    async with engine.manager(max_temporary_resources=0, resource_pool_size=1) as m:
        assert await m.run_task(kit.returns(1)) == 1
    async with engine.manager(max_temporary_resources=0) as m:
        with pytest.raises(ResourceError):
            await m.run_task(kit.returns(1))


async def test_point_06_an_unhealthy_error_replaces_the_pooled_resource(engine: Any, kit: Any) -> None:
    """The sick resource is destroyed, the pool refilled, the error the caller's, no retry."""
    error = Sick("gone bad")
    async with engine.manager(resource_pool_size=1, check_health=kit.hook(healthy)) as m:
        sick = m.resources.created[0]
        with pytest.raises(Sick) as caught:
            await m.run_task(kit.script(error, "never"))
        assert engine.same(caught.value, error)
        await eventually(lambda: sick in m.resources.destroyed)
        await eventually(lambda: m.stats().available_resources == 1)
        assert await m.run_task(kit.resource()) is not sick


async def test_point_06_the_pool_is_refilled_also_after_failures(engine: Any, kit: Any) -> None:
    """A refill whose on_create fails is tried again until the pool is full."""
    resources = ScriptedResources()
    async with engine.manager(resources=resources, resource_pool_size=1, check_health=kit.hook(healthy)) as m:
        await eventually(lambda: len(resources.created) == 2)
        resources.script = [OSError("not yet"), OSError("not yet")]
        with pytest.raises(Sick):
            await m.run_task(kit.raises(Sick()))
        await eventually(lambda: m.stats().available_resources == 1, 20)


async def test_point_06_a_healthy_error_keeps_the_pooled_resource(engine: Any, kit: Any) -> None:
    """A healthy failure puts the resource back."""
    async with engine.manager(resource_pool_size=1, check_health=kit.hook(healthy)) as m:
        with pytest.raises(KeyError):
            await m.run_task(kit.raises(KeyError("x")))
        assert m.stats().available_resources == 1
        assert m.resources.destroyed == []


async def test_point_06_a_temporary_resource_that_cannot_be_made(engine: Any, kit: Any) -> None:
    """run_task raises ResourceError whose cause is the error of on_create."""
    boom = OSError("refused")
    resources = ScriptedResources(None)
    async with engine.manager(resources=resources) as m:
        await eventually(lambda: len(resources.created) == 1)
        resources.script = [boom]
        with pytest.raises(ResourceError) as caught:
            await m.run_task(kit.returns())
        assert engine.same(caught.value.__cause__, boom)


async def test_point_06_stop_waits_for_it(engine: Any, kit: Any) -> None:
    """stop() returns after a running run_task, whose context it leaves alone."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=1) as m:
        call = asyncio.create_task(m.run_task(kit.holds(gate, "finished")))
        await gate.arrivals(1)
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        await throughout(lambda: not stop.done(), 0.3, "stop waits for run_task")
        gate.open()
        assert await call == "finished"
        assert not (await stop).killed


async def test_point_06_kill_cancels_its_context(engine: Any, kit: Any) -> None:
    """kill() cancels the context of a running run_task."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=1) as m:
        call = asyncio.create_task(m.run_task(kit.until_cancelled(gate)))
        await gate.arrivals(1)
        await m.kill()
        with pytest.raises(TaskKilled):
            await call


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_point_06_it_is_refused_after_the_end(engine: Any, kit: Any, end: str) -> None:
    """run_task on a stopped or killed manager raises ShutdownError."""
    async with engine.manager(resource_pool_size=1) as m:
        await getattr(m, end)()
        with pytest.raises(ShutdownError):
            await m.run_task(kit.returns())


async def test_point_06_it_does_not_start_after_a_kill(engine: Any, kit: Any) -> None:
    """A kill while the temporary resource is made: the task never starts, and nothing is left of the resource."""
    gate, log = engine.gate(), []  # type: ignore[var-annotated]
    resources = ScriptedResources(None)
    async with engine.manager(resources=resources) as m:
        await eventually(lambda: len(resources.created) == 1)
        resources.script = [gate]
        call = asyncio.create_task(m.run_task(kit.records(log, "started")))
        await gate.arrivals(1)
        killing = asyncio.create_task(m.kill(20))
        await eventually(lambda: internals.is_killed(m))
        gate.open()
        with pytest.raises((TaskKilled, ShutdownError, ResourceError)):
            await call
        await killing
    assert log == []


@pytest.mark.parametrize("pool_size", [0, 1])
async def test_a_creation_that_raises_stop_iteration(engine: Any, kit: Any, pool_size: int) -> None:
    """It fails like any other, whether it is of the pool or temporary."""
    outcomes = [StopIteration()] if pool_size else [None, StopIteration()]
    resources = ScriptedResources(*outcomes)
    with pytest.raises(ResourceError):
        async with engine.manager(resources=resources, resource_pool_size=pool_size) as m:
            await m.queue_task(kit.returns())
            await m.run_task(kit.returns())


SIZES = [10, 100_000, 300_000, 3_000_000]
KINDS = {"bytes": bytes, "bytearray": bytearray, "str": "x".__mul__, "list": lambda size: [*range(size // 8)]}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
async def test_point_06_arguments_of_any_size(engine: Any, kit: Any, kind: str, size: int) -> None:
    """They arrive, and come back, as those of queued tasks do."""
    value = KINDS[kind](size)
    async with engine.manager(resource_pool_size=1) as m:
        assert await m.run_task(kit.echo(), value) == value
        assert await m.queue_task(kit.echo(), value) == value
