"""The circuit breaker around on_create: an outage costs a handful of creations, whoever asks for them, and is over with the
first that succeeds."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import SLOWER, eventually
from tasker import ResourceError

BOOM = ConnectionError("database is away")
MANY = 15
"""More tries than an outage of a second costs, but for one in thousands: the pauses double from 20 ms on."""


async def test_callers_of_run_task_cost_a_handful_of_tries(engine: Any, kit: Any) -> None:
    """Callers without a pool call again and again while the server is down. Each gets ResourceError at once, and few of
    them have tried; when it is back, one finds out, and all are served."""
    resources = ScriptedResources()
    async with engine.manager(
        resources=resources, resource_pool_size=0, max_worker_count=1, burst_interval=0, creation_backoff=0.02
    ) as m:
        assert await m.queue_task(kit.returns(1)) == 1
        resources.then = BOOM
        before, calls, end = resources.attempts, 0, monotonic() + 1.0
        while monotonic() < end or calls < MANY * 4:
            with pytest.raises(ResourceError, match="database is away"):
                await m.run_task(kit.returns())
            calls += 1
        assert 2 <= resources.attempts - before <= MANY < calls
        assert m.stats().breaker == "open"
        resources.then = None

        async def answers() -> bool:
            try:
                return await m.run_task(kit.returns(True))
            except ResourceError:
                return False

        while not await answers():
            await asyncio.sleep(0.005)  # a client that tries again
        assert await asyncio.gather(*(m.run_task(kit.returns(n)) for n in range(5))) == list(range(5))
        await eventually(lambda: m.stats().breaker == "closed")


async def test_workers_that_die_together(engine: Any, kit: Any) -> None:
    """Four workers lose their resources at the same time, and none can be made. Tasks and callers of run_task ask for more
    than there are, and one creation is tried at a time. With the first that succeeds all come back."""
    resources = ScriptedResources()
    async with engine.manager(
        resources=resources,
        worker_count=4,
        max_worker_count=8,
        burst_interval=0.01,
        creation_backoff=0.02,
        max_retries=0,
        check_health=kit.hook(lambda error: False),
    ) as m:
        await eventually(lambda: m.stats().active_workers == 4)
        resources.then = BOOM
        before, gate = resources.attempts, engine.gate()
        broken = [await m.submit(kit.fails_at(gate, BOOM)) for _ in range(4)]
        await gate.arrivals(4)
        gate.open()
        for future in broken:
            with pytest.raises(Exception):  # noqa: B017  MaxRetriesExceeded, in the form of the engine
                await future
        waiting = [await m.submit(kit.returns(number)) for number in range(50)]
        end = monotonic() + 1.0
        while monotonic() < end:
            with pytest.raises(Exception):  # noqa: B017  with one of the pool its own, and then ResourceError
                await m.run_task(kit.raises(BOOM))
            await asyncio.sleep(0.001)
        assert resources.attempts - before <= 12 + MANY, "the first ones of each, and then one at a time"
        resources.then = None
        assert [await future for future in waiting] == list(range(50))
        await eventually(lambda: m.stats().active_workers >= 4)
        assert m.stats().failing_creations == 0


async def test_the_first_success_refills_at_the_full_rate(engine: Any, kit: Any) -> None:
    """While creations fail there is one at a time. When the probe has succeeded, all that is missing is made at once, each one
    while the others are under way."""
    gate, resources = engine.gate(), ScriptedResources(then=BOOM)
    async with engine.manager(
        resources=resources, worker_count=4, max_worker_count=4, burst_interval=0, creation_backoff=0.01
    ) as m:
        await eventually(lambda: m.stats().failing_creations > 2)
        assert m.stats().starting_workers <= 1
        resources.script = [None, gate, gate, gate]
        await gate.arrivals(3)
        assert (m.stats().active_workers, m.stats().starting_workers) == (1, 3)
        resources.then = None
        gate.open()
        await eventually(lambda: m.stats().active_workers == 4)
        assert m.stats().breaker == "closed"


async def test_tasks_fail_at_once_where_that_is_wanted(engine: Any, kit: Any) -> None:
    """With when_unavailable="fail", what is queued fails when the creation has failed, and what is submitted then fails at
    once: nobody waits for the server. When it is back, so are the workers, by themselves."""
    gate, resources = engine.gate(), ScriptedResources(then=BOOM)
    resources.script = [gate]
    async with engine.manager(
        resources=resources,
        max_worker_count=1,
        burst_interval=0,
        creation_backoff=0.05,
        max_retries=0,
        when_unavailable="fail",
        check_health=kit.hook(lambda error: False),
    ) as m:
        first = [await m.submit(kit.raises(BOOM)), *[await m.submit(kit.returns(n)) for n in range(5)]]
        await gate.arrivals(1)
        assert m.stats().queued_tasks == 6, "a first creation that takes its time is waited for"
        gate.open()
        errors = await asyncio.wait_for(asyncio.gather(*first, return_exceptions=True), 20.0)
        assert all(isinstance(error, ResourceError) for error in errors[1:]), errors
        with pytest.raises(ResourceError, match=r"no resource could be made .*database is away") as caught:
            await asyncio.wait_for(m.queue_task(kit.returns()), 20.0)
        assert isinstance(caught.value.__cause__, ConnectionError)
        resources.then = None
        await eventually(lambda: m.stats().active_workers == 1)
        assert await m.queue_task(kit.returns("back")) == "back"


async def test_no_task_fails_while_a_worker_is_ready(engine: Any, kit: Any) -> None:
    """The second worker cannot be made, and the first one runs all."""
    resources = ScriptedResources(None, then=BOOM)
    async with engine.manager(
        resources=resources, max_worker_count=2, burst_interval=0, creation_backoff=0.01, when_unavailable="fail"
    ) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        m.resize(worker_count=2)
        await eventually(lambda: m.stats().failing_creations > 1)
        futures = [await m.submit(kit.returns(n)) for n in range(20)]
        assert [await future for future in futures] == list(range(20))


async def test_an_alarm_instead_of_a_loop_in_silence(engine: Any, kit: Any) -> None:
    """More than two workers are replaced within the time: one line in the log, a state to be seen, until it is over."""
    logger = RecordingLogger()
    async with engine.manager(
        logger=logger, restart_intensity=(2, SLOWER), max_retries=0, check_health=kit.hook(lambda error: False)
    ) as m:
        for number in range(5):
            with pytest.raises(Exception):  # noqa: B017  MaxRetriesExceeded, in the form of the engine
                await m.queue_task(kit.raises(BOOM))
            if number < 2:
                assert not m.stats().restart_alarm
        await eventually(lambda: m.stats().restart_alarm)
        assert "more often than restart_intensity says" in str(m.explain())
        await eventually(lambda: not m.stats().restart_alarm)
        assert "restart_intensity" not in str(m.explain())
        said = logger.text("error")
        assert (
            said.count(f"again and again, more than 2 in {SLOWER:g} seconds (restart_intensity); the last one because")
            == 1
        )
        assert f"are not replaced more than 2 in {SLOWER:g} seconds (restart_intensity) any more" in logger.text("info")
