"""refresh() replaces every resource, without a task that fails or waits for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from support import internals
from support.resources import ScriptedResources
from support.waiting import WAIT, eventually, in_thread
from tasker import DeadlockError, ResourceError, ShutdownError
from tasker.control.events import PoolRenewed


async def over(refresh: Any) -> bool:
    """Wait for a refresh."""
    if isinstance(refresh, Future):
        return await in_thread(refresh.result, WAIT)  # type: ignore[no-any-return]
    return await asyncio.wait_for(refresh, WAIT)  # type: ignore[no-any-return]


def number(kit: Any) -> Any:
    """A task that returns the number of its resource."""
    return kit.calls(lambda ctx, resource, *args: resource.number)


def numbers(resources: ScriptedResources) -> list[int]:
    """Of the resources that were destroyed."""
    return sorted(one.number for one in resources.destroyed)


@pytest.mark.parametrize("bounds", [(1, 1), (3, 3), (3, 6)], ids=["alone", "no room", "room"])
async def test_idle_workers_are_renewed(engine: Any, kit: Any, bounds: tuple[int, int]) -> None:
    """Every resource of before is destroyed by the time it is over, and the pool is complete again."""
    count, most = bounds
    resources = ScriptedResources()
    async with engine.manager(resources=resources, worker_count=count, max_worker_count=most, burst_interval=0.05) as m:
        await eventually(lambda: m.stats().active_workers == count)
        made = len(resources.created)
        assert await over(m.refresh()) is True
        assert numbers(resources)[:made] == [*range(1, made + 1)]
        await eventually(lambda: m.stats().active_workers == count)
        stats = m.stats()
        assert (stats.generation, stats.outdated_workers) == (1, 0)
        assert stats.renewed_workers >= count
        assert (stats.replaced_workers, stats.lost_workers) == (0, 0)
        assert await m.queue_task(number(kit)) > made


async def test_no_task_fails_under_load(engine: Any, kit: Any) -> None:
    """Tasks that may run once only all succeed during several refreshes, and one worker is missing at most."""
    async with engine.manager(resources=ScriptedResources(), worker_count=3, max_worker_count=4, burst_interval=0) as m:
        await eventually(lambda: m.stats().active_workers == 3)

        def thin(stats: Any) -> str | None:
            return f"{stats.active_workers} are left" if stats.active_workers < 2 else None

        async with engine.watching(m, thin) as watch:
            for _ in range(3):
                refresh = m.refresh()
                futures = [await m.submit(kit.returns(n), once=True) for n in range(50)]
                assert [await future for future in futures] == [*range(50)]
                assert await over(refresh) is True
        assert watch.looks
        assert watch.violations == []


async def test_a_running_task_is_waited_for(engine: Any, kit: Any) -> None:
    """Its resource goes when it has ended; until then the refresh is not over, and new workers serve."""
    gate = engine.gate()
    resources = ScriptedResources()
    async with engine.manager(resources=resources, worker_count=1, max_worker_count=2, burst_interval=0.05) as m:
        running = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        refresh = m.refresh()
        assert await m.queue_task(number(kit)) == 2
        await eventually(lambda: m.stats().outdated_workers == 1)
        assert "1 workers have yet to be replaced" in str(m.explain())
        assert numbers(resources) == []
        gate.open()
        await running
        assert await over(refresh) is True
        assert numbers(resources) == [1]


async def test_the_pool_of_run_task_is_renewed(engine: Any, kit: Any) -> None:
    """Idle ones are replaced at once, one that is lent when it is returned: it serves no further call."""
    gate = engine.gate()
    resources = ScriptedResources()
    async with engine.manager(resources=resources, resource_pool_size=2, burst_interval=0.05) as m:
        await eventually(lambda: len(resources.created) == 3)
        running = asyncio.ensure_future(m.run_task(kit.holds(gate)))
        await gate.arrivals(1)
        refresh = m.refresh()
        await eventually(lambda: len(resources.destroyed) == 2)
        assert await m.run_task(number(kit)) > 3
        assert m.stats().generation == 1
        gate.open()
        await running
        assert await over(refresh) is True
        assert numbers(resources) == [1, 2, 3]
        await eventually(lambda: m.stats().available_resources == 2)
        await eventually(lambda: len(resources.created) == 6)


async def test_a_pool_without_an_idle_resource_makes_none(engine: Any, kit: Any) -> None:
    """The only one is lent: that nothing was made instead says nothing about what creations depend on."""
    gate, answers = engine.gate(), []

    def watched(handle: Any, event: Any, now: float) -> Any:
        if isinstance(event, PoolRenewed):
            answers.append(event)
        return handle(event, now)

    async with engine.manager(resource_pool_size=1) as m:
        await eventually(lambda: m.stats().available_resources == 1)
        internals.wrap_handle(m, watched)
        running = asyncio.ensure_future(m.run_task(kit.holds(gate)))
        await gate.arrivals(1)
        refresh = m.refresh()
        await eventually(lambda: bool(answers))
        gate.open()
        await running
        assert await over(refresh) is True
        assert answers[0] == PoolRenewed(left=False, made=False)


async def test_a_refresh_does_not_wait_for_the_last_reference(engine: Any, kit: Any) -> None:
    """Without the GIL an object goes only when the thread that made it runs again, which may wait for the refresh."""
    resources = ScriptedResources()
    async with engine.manager(resources=resources, resource_pool_size=2, burst_interval=0.05) as m:
        await eventually(lambda: m.stats().available_resources == 2)
        kept = internals.kept_ages(m.raw)
        assert len(kept) == 2
        assert await over(m.refresh()) is True


async def test_outdated_ones_serve_while_none_can_be_made(engine: Any, kit: Any) -> None:
    """A server that is down when the credentials change costs no task."""
    resources = ScriptedResources(None, then=OSError("no route"))
    async with engine.manager(
        resources=resources, worker_count=1, max_worker_count=2, burst_interval=0.05, creation_backoff=0.01
    ) as m:
        await m.queue_task(number(kit))
        refresh = m.refresh()
        await eventually(lambda: m.stats().failing_creations >= 2)
        assert await m.queue_task(number(kit)) == 1
        resources.then = None
        assert await over(refresh) is True
        assert await m.queue_task(number(kit)) > 1


async def test_an_error_that_is_kept_holds_up_nothing(engine: Any, kit: Any) -> None:
    """A call of run_task that could not make its resource has none that is outdated, however long its error lives."""
    resources = ScriptedResources(None, OSError("no route"))
    async with engine.manager(resources=resources, worker_count=1, burst_interval=0.05, creation_backoff=0.01) as m:
        await m.queue_task(kit.returns())
        with pytest.raises(ResourceError) as caught:
            await m.run_task(kit.returns())
        assert await over(m.refresh()) is True
        assert "no route" in str(caught.value)


async def test_a_second_one_during_the_first(engine: Any, kit: Any) -> None:
    """Each is over in its time."""
    async with engine.manager(resources=ScriptedResources(), worker_count=2, burst_interval=0.05) as m:
        first, second = m.refresh(), m.refresh()
        assert await over(first) is True
        assert await over(second) is True
        assert m.stats().generation == 2


async def test_a_stop_ends_it(engine: Any, kit: Any) -> None:
    """Whoever waits is told that the manager has ended; afterwards, it is refused."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, burst_interval=0.05) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        refresh = m.refresh()
        await m.kill(0.1)
        assert await over(refresh) is False
        with pytest.raises(ShutdownError):
            m.refresh()


async def test_a_task_may_ask_for_it_and_not_wait(engine: Any, kit: Any) -> None:
    """In a task of the manager the wait would never end: its own worker cannot renew its resource meanwhile."""
    if engine.elsewhere:
        pytest.skip("a task there has no manager")
    asked: list[Any] = []
    async with engine.manager(resources=ScriptedResources(), worker_count=1, burst_interval=0.05) as m:

        async def ask(own: Any) -> None:
            asked.append(m.raw.refresh())
            if isinstance(asked[0], Future):
                asked[0].result(WAIT)
            else:
                await asked[0]

        with pytest.raises(DeadlockError, match="the wait for a refresh"):
            await m.queue_task(engine.inside_task(m, ask))
        assert await over(asked[0]) is True


async def test_with_upkeep(engine: Any, kit: Any) -> None:
    """Where the resource is seen to between two tasks, an outdated one is as well."""
    resources = ScriptedResources()
    options = {"on_return": kit.hook(lambda resource: None), "max_tasks_per_resource": 100}
    async with engine.manager(resources=resources, worker_count=2, burst_interval=0.05, **options) as m:
        futures = [await m.submit(kit.returns(n)) for n in range(20)]
        refresh = m.refresh()
        assert [await future for future in futures] == [*range(20)]
        assert await over(refresh) is True
        assert numbers(resources)[:2] == [1, 2]


@pytest.mark.parametrize("hook", ["on_return", "check_resource"])
async def test_the_others_serve_while_one_tends_its_resource(engine: Any, kit: Any, hook: str) -> None:
    """A worker in a slow hook is waited for, by the refresh alone: the other one serves on."""
    gate, resources = engine.gate(), ScriptedResources()

    def tend(resource: Any) -> None:
        if resource.number == 1:
            gate.pass_through()

    async def atend(resource: Any) -> None:
        if resource.number == 1:
            await gate.apass_through()

    if engine.elsewhere:
        pytest.skip("the hooks are not called in this process")
    tends = atend if asyncio.iscoroutinefunction(kit.hook(lambda: None)) else tend
    options = {hook: tends, "burst_interval": 0.01}
    if hook == "check_resource":
        options |= {"check_interval": 0.01, "check_timeout": 10 * WAIT}
    async with engine.manager(resources=resources, worker_count=2, max_worker_count=2, **options) as m:
        while not gate.arrived:
            await m.queue_task(kit.returns(1))
            await asyncio.sleep(0.02)  # a worker that is idle for its interval checks its resource
        refresh = m.refresh()
        await eventually(lambda: m.stats().generation == 1)
        for n in range(200):
            assert await asyncio.wait_for(m.queue_task(kit.returns(n)), WAIT) == n
        assert 1 not in numbers(resources)
        gate.open()
        assert await over(refresh) is True
        assert {1, 2} <= {*numbers(resources)}
