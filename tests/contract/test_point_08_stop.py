"""Point 8: stop() runs everything that was accepted, then ends everything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.waiting import eventually, throughout
from tasker import ShutdownError, StopReport


class Sick(Exception):
    """The error that makes a resource unhealthy."""


async def test_point_08_everything_accepted_runs_with_a_live_context(engine: Any, kit: Any) -> None:
    """Queued and running tasks finish, and none sees its context cancelled."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        held = [await m.submit(kit.holds(gate)) for _ in range(2)]
        await gate.arrivals(2)
        look = kit.calls(lambda ctx, resource: ctx.cancelled)
        queued = [await m.submit(look) for _ in range(20)]
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        assert not stop.done()
        gate.open()
        report = await stop
        assert [future.raw.result() for future in queued] == [False] * 20
        assert all(future.done() for future in held)
        assert not report.killed


async def test_point_08_a_running_context_is_not_cancelled(engine: Any, kit: Any) -> None:
    """A task that runs while stop() waits does not see its context cancelled."""
    gate = engine.gate()
    async with engine.manager() as m:
        held = await m.submit(kit.watches(gate))
        await gate.arrivals(1)
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        await throughout(lambda: not stop.done(), 0.2)
        gate.open()
        await stop
        assert await held.result() is False


@pytest.mark.parametrize("how", ["submit", "queue_task", "run_task", "map"])
async def test_point_08_nothing_new_is_accepted(engine: Any, kit: Any, how: str) -> None:
    """During and after stop() every way in raises ShutdownError."""
    gate = engine.gate()

    async def enter() -> None:
        if how == "map":
            async for _ in m.map(kit.echo(), [1]):
                pass
        else:
            await getattr(m, how)(kit.echo(), 1)

    async with engine.manager(resource_pool_size=1) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        with pytest.raises(ShutdownError):
            await enter()
        gate.open()
        await stop
        with pytest.raises(ShutdownError):
            await enter()


async def test_point_08_failures_and_retries_are_drained(engine: Any, kit: Any) -> None:
    """Tasks that fail or need a retry on a new worker during the drain get their outcome."""
    gate = engine.gate()
    async with engine.manager(worker_count=2, check_health=kit.hook(lambda error: not isinstance(error, Sick))) as m:
        for _ in range(2):
            await m.submit(kit.holds(gate))
        await gate.arrivals(2)
        retried = [await m.submit(kit.script(Sick(), Sick(), n)) for n in range(8)]
        failed = [await m.submit(kit.raises(ValueError(n))) for n in range(8)]
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        gate.open()
        await stop
        assert [future.raw.result() for future in retried] == list(range(8))
        assert all(isinstance(f.raw.exception(), ValueError) for f in failed)


async def test_point_08_resources_are_destroyed_when_it_returns(engine: Any, kit: Any) -> None:
    """When stop() returns every resource, pooled ones included, was destroyed once."""
    async with engine.manager(worker_count=3, resource_pool_size=2) as m:
        for _ in range(10):
            await m.queue_task(kit.returns())
        await m.stop()
        m.resources.check_all_ended_once()
        ledger = m.stats().resources
        assert (ledger.created, ledger.destroyed, ledger.alive) == (5, 5, 0)


async def test_point_08_the_report_of_a_graceful_stop(engine: Any, kit: Any) -> None:
    """A graceful stop reports that nothing was killed or abandoned."""
    async with engine.manager() as m:
        await m.queue_task(kit.returns())
        report = await m.stop()
        assert isinstance(report, StopReport)
        assert (report.killed, report.killed_tasks, report.abandoned) == (False, 0, ())
        assert report.seconds >= 0


async def test_point_08_a_second_call_waits_for_the_first(engine: Any, kit: Any) -> None:
    """Two stops at once return together; a later one returns at once with the same report."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        stops = [asyncio.create_task(m.stop()) for _ in range(3)]
        await eventually(lambda: m.closed)
        await throughout(lambda: not any(stop.done() for stop in stops), 0.3)
        gate.open()
        for stop in stops:
            assert not (await stop).killed
        assert not (await m.stop()).killed
        assert not (await m.kill()).killed_tasks


async def test_point_08_an_unused_manager_stops(engine: Any) -> None:
    """stop() of a manager that never ran a task ends its workers."""
    async with engine.manager(worker_count=4) as m:
        assert not m.closed
        await m.stop()
        assert m.closed
        stats = m.stats()
        assert (stats.base_workers, stats.burst_workers, stats.active_workers) == (0, 0, 0)


async def test_point_08_stop_while_workers_still_start(engine: Any) -> None:
    """A worker that makes its resource while stop() is called gets it destroyed."""
    from support.resources import ScriptedResources

    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(then=gate), worker_count=2) as m:
        await gate.arrivals(2)
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        gate.open()
        await stop
        m.resources.check_all_ended_once()


async def test_point_08_callback_gets_the_shutdown_error(engine: Any, kit: Any) -> None:
    """submit(callback=) after stop calls it once and returns a failed future instead of raising."""
    calls: list[Any] = []
    async with engine.manager() as m:
        await m.stop()
        future = await m.submit(kit.returns(), callback=lambda result, error: calls.append((result, error)))
        assert isinstance(await future.exception(), ShutdownError)
        ((result, error),) = calls
        assert result is None
        assert isinstance(error, ShutdownError)


async def test_point_08_accepted_means_run_with_submitters_at_the_door(engine: Any, kit: Any) -> None:
    """A submit that races with stop() is either refused or its task runs."""
    for _ in range(5):
        async with engine.manager(worker_count=2) as m:
            accepted: list[Any] = []

            async def feed(m: Any = m, accepted: list[Any] = accepted) -> None:
                while True:
                    try:
                        accepted.append(await m.submit(kit.returns("ran")))
                    except ShutdownError:
                        return

            feeders = [asyncio.create_task(feed()) for _ in range(4)]
            await eventually(lambda accepted=accepted: len(accepted) >= 20)  # type: ignore[misc]
            await m.stop()
            await asyncio.gather(*feeders)
            assert [await future.result() for future in accepted] == ["ran"] * len(accepted)


@pytest.mark.parametrize("callers", [2, 4])
async def test_point_08_several_stops_at_once(engine: Any, callers: int) -> None:
    """Each of them returns, and each resource is destroyed once."""
    async with engine.manager(resource_pool_size=5) as m:
        reports = await asyncio.gather(*[m.stop() for _ in range(callers)])
        assert [report.killed for report in reports] == [False] * callers
        m.resources.check_all_ended_once()
