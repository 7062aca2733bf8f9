"""Point 1: the pool is made first, then base workers, never more than the maximum."""

from __future__ import annotations

from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually, throughout
from tasker import ResourceError


async def test_point_01_pool_failure_raises_and_destroys_what_was_made(engine: Any) -> None:
    """A pooled resource that can't be made raises ResourceError after the others were destroyed."""
    boom = OSError("no route")
    resources = ScriptedResources(None, None, boom)
    with pytest.raises(ResourceError) as caught:
        async with engine.manager(resources=resources, worker_count=2, resource_pool_size=3):
            pass
    assert engine.same(caught.value.__cause__, boom)
    assert len(resources.created) == len(resources.destroyed) == 2
    assert resources.attempts == 3, "no worker may start after the pool failed"


@pytest.mark.parametrize("boom", [SystemExit(3), KeyboardInterrupt(), ValueError("x")], ids=repr)
async def test_point_01_pool_failure_of_any_kind_leaves_nothing(engine: Any, boom: Any) -> None:
    """If on_create raises anything while the pool is made, the resources made so far are destroyed."""
    resources = ScriptedResources(None, boom)
    with pytest.raises((ResourceError, type(boom))):
        async with engine.manager(resources=resources, resource_pool_size=2):
            pass
    assert len(resources.created) == len(resources.destroyed) == 1


async def test_point_01_pool_is_complete_before_any_worker_makes_its_own(engine: Any) -> None:
    """When the constructor returns the pool is full; workers make theirs afterwards."""
    gate = engine.gate()
    resources = ScriptedResources(None, None, None, then=gate)
    async with engine.manager(resources=resources, worker_count=2, resource_pool_size=3) as m:
        assert m.stats().available_resources == 3
        assert len(resources.created) == 3
        gate.open()
        await eventually(lambda: len(resources.created) == 5)


async def test_point_01_each_base_worker_makes_its_own_resource(engine: Any, kit: Any) -> None:
    """As many resources are made as there are workers, and each worker lends its own."""
    gate = engine.gate()
    async with engine.manager(worker_count=3) as m:
        seen: list[Any] = []
        note = kit.calls(lambda ctx, resource: seen.append(resource))
        held = [await m.submit(kit.holds(gate)) for _ in range(3)]
        await gate.arrivals(3)
        gate.open()
        for future in held:
            await future.result()
        await m.queue_task(note)
        assert len(m.resources.created) == 3
        assert seen[0] in m.resources.created


async def test_point_01_the_constructor_does_not_wait_for_workers(engine: Any, kit: Any) -> None:
    """A manager accepts tasks while its workers still make their resources."""
    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(then=gate), worker_count=2) as m:
        await gate.arrivals(2)
        future = await m.submit(kit.returns("early"))
        assert m.stats().starting_workers == 2
        assert not future.done()
        gate.open()
        assert await future.result() == "early"
        await eventually(lambda: m.stats().starting_workers == 0)


async def test_point_01_starting_workers_count_towards_the_maximum(engine: Any, kit: Any) -> None:
    """A slow on_create and a backlog never bring more workers than the maximum."""
    gate = engine.gate()
    async with engine.manager(
        resources=ScriptedResources(then=gate),
        worker_count=2,
        max_worker_count=4,
        burst_interval=0.01,
    ) as m:
        futures = [await m.submit(kit.returns()) for _ in range(50)]
        await throughout(lambda: m.resources.creating <= 4, 0.7, "at most 4 are being made")
        gate.open()
        for future in futures:
            await future.result()
        assert m.resources.peak_alive <= 4


async def test_point_01_base_workers_are_reported(engine: Any) -> None:
    """stats() shows the configured number of base workers once they run."""
    async with engine.manager(worker_count=3) as m:
        await eventually(lambda: m.stats().base_workers == 3)
        await eventually(lambda: m.stats().starting_workers == 0)
        assert m.stats().burst_workers == 0
