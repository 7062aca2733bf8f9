"""on_create and on_destroy that hang cost no more than create_timeout and destroy_timeout, and wedge nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.gates import Gate
from support.observers import RecordingLogger
from support.resources import Resource, ScriptedResources
from support.waiting import SLOWER, eventually, throughout
from tasker import ResourceError, ResourceLedger

LIMIT = 0.2 * SLOWER**2  # an actor of Ray starts in half a second, where nothing else runs
LATE = 60.0
BOOM = ConnectionError("database is away")


class Clinging(ScriptedResources):
    """The resources up to that number are destroyed only once the gate is open."""

    def __init__(self, gate: Gate, up_to: int) -> None:
        super().__init__()
        self.gate = gate
        self.up_to = up_to

    def destroy(self, resource: Resource) -> None:
        """Destroy it, perhaps later."""
        if resource.number <= self.up_to:
            self.gate.pass_through()
        ScriptedResources.destroy(self, resource)  # not super(): in a child process, self is a stand-in

    async def adestroy(self, resource: Resource) -> None:
        """The same as a coroutine function, which is cancelled."""
        try:
            if resource.number <= self.up_to:
                await self.gate.apass_through()
        finally:
            await ScriptedResources.adestroy(self, resource)


class Stubborn(ScriptedResources):
    """Is made although the creation was cancelled meanwhile, be it as often as it may."""

    async def acreate(self) -> Resource:
        """The `on_create` hook as a coroutine function."""
        making = asyncio.ensure_future(ScriptedResources.acreate(self))  # not super(), as above
        while not making.done():
            try:
                await asyncio.wait([making])
            except asyncio.CancelledError:
                continue
        return making.result()


def in_place(engine: Any) -> bool:
    """Whether a callback that hangs can only be left to itself: no coroutine, no process."""
    return engine.name in ("threads", "asyncio, plain functions")


async def test_a_creation_that_hangs_is_replaced(engine: Any, kit: Any) -> None:
    """The only worker hangs in on_create: another one takes its place, and the first is shown as stuck until it returns."""
    gate, logger = engine.gate(), RecordingLogger()
    resources = ScriptedResources(gate)
    async with engine.manager(
        resources=resources, max_worker_count=1, create_timeout=LIMIT, creation_backoff=0.01, logger=logger
    ) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        assert f"on_create has not returned within create_timeout={LIMIT} seconds" in logger.text("error")
        if in_place(engine):
            assert m.stats().stuck_workers == 1
        gate.open()
        await eventually(lambda: m.stats().stuck_workers == 0)
        await eventually(lambda: len(resources.alive) == 1)
        assert m.stats().failing_creations == 0


async def test_a_failed_and_then_a_hung_creation(engine: Any, kit: Any) -> None:
    """A failure makes creation single flight; a hung one in that flight does not end it."""
    resources = ScriptedResources(BOOM, engine.gate())
    async with engine.manager(
        resources=resources, worker_count=2, create_timeout=LIMIT, creation_backoff=0.01, max_retries=0
    ) as m:
        assert [await m.queue_task(kit.returns(n)) for n in range(3)] == [0, 1, 2]
        await eventually(lambda: len(resources.alive) >= 2)


async def test_what_arrives_late_is_destroyed(engine: Any, kit: Any) -> None:
    """A creation that is given up and returns after all: its resource runs no task, and is destroyed."""
    gate = engine.gate()
    resources = Stubborn(gate)
    async with engine.manager(resources=resources, create_timeout=LIMIT, creation_backoff=0.01) as m:
        if m.raw.config.backend is not None:
            pytest.skip("on_create is ended by force there, so nothing arrives late")
        await m.queue_task(kit.returns())
        assert m.stats().stuck_workers == 1
        gate.open()
        await eventually(lambda: len(resources.destroyed) == 1)
        assert [one.number for one in resources.alive] == [1]
        # Counted once on_destroy has returned.
        await eventually(lambda: m.stats().resources == ResourceLedger(created=2, destroyed=1, alive=1))


@pytest.mark.parametrize("over", [False, True], ids=["in time until then", "over its limit before"])
async def test_what_a_kill_has_left_behind_is_destroyed(engine: Any, kit: Any, over: bool) -> None:
    """A creation that kill() does not wait for, and that returns after all, of a worker, of the pool or of a call."""
    gate = engine.gate()
    resources = Stubborn(None, then=gate)
    limit = {"create_timeout": LIMIT, "creation_backoff": 60.0} if over else {}
    async with engine.manager(resources=resources, resource_pool_size=1, **limit) as m:
        if m.raw.config.backend is not None:
            pytest.skip("on_create is ended by force there, so nothing arrives late")
        waits = engine.gate()
        taken = asyncio.ensure_future(m.run_task(kit.holds(waits)))  # what the pool has
        await waits.arrivals(1)
        called = asyncio.ensure_future(m.run_task(kit.returns()))
        await gate.arrivals(2)
        if over:
            await eventually(lambda: m.stats().stuck_workers == 1)
        report = await asyncio.wait_for(m.kill(LIMIT), LATE)
        assert len(report.abandoned) > 0
        gate.open()
        waits.open()
        await asyncio.gather(taken, called, return_exceptions=True)
        await eventually(lambda: not resources.alive and not resources.creating)
        made = len(resources.created)
        await eventually(lambda: m.stats().resources == ResourceLedger(created=made, destroyed=made))
    resources.check_all_ended_once()
    assert made == 3


async def test_only_so_many_are_replaced(engine: Any, kit: Any) -> None:
    """Every on_create hangs: max_worker_count and max_stuck_workers bound how many hang at a time, and queued tasks fail
    with ready_timeout."""
    gate = engine.gate()
    resources = ScriptedResources(then=gate)
    async with engine.manager(
        resources=resources,
        max_worker_count=1,
        max_stuck_workers=1,
        create_timeout=0.05,
        creation_backoff=0.01,
        ready_timeout=1.0,
    ) as m:
        with pytest.raises(ResourceError, match=r"create_timeout=0\.05"):
            await m.queue_task(kit.returns())
        if in_place(engine):  # elsewhere each of them was ended by force, and the next one began
            assert m.stats().stuck_workers == 2
            await throughout(lambda: resources.attempts == 2, 0.3, "no more than the bounds")
        gate.open()
        await m.stop()


async def test_a_destruction_that_hangs_is_replaced(engine: Any, kit: Any) -> None:
    """At max_worker_count=1 the next task does not wait for an on_destroy that hangs."""
    gate = engine.gate()
    resources = Clinging(gate, 1)
    async with engine.manager(
        resources=resources,
        max_worker_count=1,
        destroy_timeout=LIMIT,
        max_retries=0,
        check_health=kit.hook(lambda error: False),
    ) as m:
        with pytest.raises(Exception):  # noqa: B017  MaxRetriesExceeded, in the form of the engine
            await m.queue_task(kit.raises(BOOM))
        assert await m.queue_task(kit.returns("next")) == "next"
        if in_place(engine):
            assert m.stats().stuck_workers == 1
        gate.open()
        await eventually(lambda: m.stats().stuck_workers == 0)
        ledger = m.stats().resources
        assert (ledger.created, ledger.alive) == (2, 1)
        assert ledger.lost == (1 if m.raw.config.backend is not None else 0), "with the process"
        await m.kill(LATE)


async def test_a_stop_does_not_wait_for_stuck_workers(engine: Any, kit: Any) -> None:
    """stop() without a timeout returns although an on_create hangs for ever, and names what it left behind."""
    gate = engine.gate()
    resources = ScriptedResources(gate)
    async with engine.manager(resources=resources, create_timeout=LIMIT, creation_backoff=0.01) as m:
        await m.queue_task(kit.returns())
        stuck = m.stats().stuck_workers
        report = await asyncio.wait_for(m.stop(), LATE)
        assert not report.killed
        assert len(report.abandoned) == stuck
        assert all("on_create or on_destroy" in text for text in report.abandoned)
        gate.open()
        await eventually(lambda: not resources.alive)


async def test_a_stop_gives_up_what_no_worker_will_run(engine: Any, kit: Any) -> None:
    """Every on_create hangs and tasks are queued: stop() ends, and so does each task, with ResourceError."""
    gate = engine.gate()
    resources = ScriptedResources(then=gate)
    async with engine.manager(
        resources=resources, max_worker_count=1, max_stuck_workers=0, create_timeout=LIMIT, creation_backoff=0.01
    ) as m:
        future = await m.submit(kit.returns())
        await gate.arrivals(1)
        await asyncio.wait_for(m.stop(), LATE)
        with pytest.raises(ResourceError, match="create_timeout"):
            await future
