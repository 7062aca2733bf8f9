"""Snooze: a task says that it cannot do its work yet, and when to start it again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import RetryPolicy, Snooze, TaskKilled

LONG = 1e6
"""Seconds that no test waits for."""


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time."""
    return engine.manager(**{"worker_count": 1, "max_worker_count": 1, **config})


async def snoozing(m: Any) -> None:
    """Wait until the one task is delayed."""
    await eventually(lambda: m.stats().delayed_tasks == 1 and m.stats().snoozed_tasks > 0)


async def test_no_attempt_is_used(engine: Any, kit: Any) -> None:
    """It is started again without retries to spare, is no retry, and nobody blames the resource, which stays."""
    blamed: list[BaseException] = []
    resources = ScriptedResources()
    unhealthy = kit.hook(lambda error: blamed.append(error))
    async with pool(engine, resources=resources, max_retries=0, check_health=unhealthy) as m:
        future = await m.submit(kit.script(Snooze(0.01), Snooze(0, "busy"), "value"), once=True)
        assert await future == "value"
        assert future.attempts == 1
        assert (m.stats().snoozed_tasks, m.metrics().total_tasks_retried) == (2, 0)
        assert (blamed, len(resources.created)) == ([], 1)
        await eventually(lambda: m.stats().delayed_tasks == 0)


async def test_attempts_count_all_the_same(engine: Any, kit: Any) -> None:
    """What fails between two snoozes uses its attempts."""
    policy = RetryPolicy(retry_on=ConnectionError)
    async with pool(engine, retry=policy, max_retries=1) as m:
        future = await m.submit(kit.script(Snooze(0), OSError(), "never"))
        with pytest.raises(OSError):
            await future
        assert future.attempts == 1
        down = [ConnectionError("down"), Snooze(0), ConnectionError("still down"), "never"]
        future = await m.submit(kit.script(*down))
        with pytest.raises(ConnectionError, match="still down"):
            await future
        assert future.attempts == 2


async def test_it_holds_no_worker(engine: Any, kit: Any) -> None:
    """The only worker runs others meanwhile; the task counts as queued and can be cancelled."""
    async with pool(engine) as m:
        future = await m.submit(kit.script(Snooze(LONG), "value"))
        await snoozing(m)
        assert await m.queue_task(kit.returns("other")) == "other"
        stats = m.stats()
        assert (stats.running_tasks, stats.queued_tasks + stats.priority_tasks) == (0, 1)
        assert (future.done(), future.attempts) == (False, 0)
        future.cancel()
        await eventually(future.done)
        assert future.cancelled()


async def test_a_stop_wakes_it_once(engine: Any, kit: Any) -> None:
    """It is run at once; if it snoozes again, there is no later time for it, and Snooze is the outcome."""
    async with pool(engine) as m:
        done = await m.submit(kit.script(Snooze(LONG), "value"))
        await snoozing(m)
        tired = await m.submit(kit.script(Snooze(LONG), Snooze(LONG, "not yet"), "value"))
        await eventually(lambda: m.stats().delayed_tasks == 2)
        report = await asyncio.wait_for(m.stop(), 60)
        assert await done == "value"
        with pytest.raises(Snooze, match="not yet"):
            await tired
        assert (done.attempts, tired.attempts) == (1, 1)
        assert (report.killed, report.failed_tasks, report.delayed_tasks) == (False, 1, 1)


async def test_a_stop_may_report_it_instead(engine: Any, kit: Any) -> None:
    """With at_stop="report" in its policy, it ends with its Snooze, unstarted."""
    async with pool(engine) as m:
        future = await m.submit(kit.script(Snooze(LONG, "not yet"), "value"), retry=RetryPolicy(at_stop="report"))
        await snoozing(m)
        report = await asyncio.wait_for(m.stop(), 60)
        with pytest.raises(Snooze, match="not yet"):
            await future
        assert (report.failed_tasks, report.delayed_tasks) == (1, 1)


async def test_a_kill_drops_it(engine: Any, kit: Any) -> None:
    """While it snoozes, and as it snoozes."""
    async with pool(engine) as m:
        future = await m.submit(kit.script(Snooze(LONG), "value"))
        await snoozing(m)
        gate = engine.gate()
        running = await m.submit(kit.fails_at(gate, Snooze(LONG)))
        await gate.arrivals(1)
        kill = asyncio.create_task(m.kill(30))
        await eventually(future.done)
        gate.open()
        report = await asyncio.wait_for(kill, 60)
        for task in (future, running):
            await eventually(task.done)
            assert task.cancelled()
            with pytest.raises(TaskKilled):
                await task.result()
        assert report.seconds < 20


async def test_one_that_is_cancelled(engine: Any, kit: Any) -> None:
    """A task that was cancelled while it ran, and snoozes, is cancelled: it has not done its work, and nobody wants it."""
    async with pool(engine) as m:
        gate = engine.gate()
        future = await m.submit(kit.fails_at(gate, Snooze(LONG)))
        await gate.arrivals(1)
        future.cancel()
        gate.open()
        await eventually(future.done)
        assert future.cancelled()
        assert m.stats().snoozed_tasks == 0


async def test_not_beyond_max_elapsed(engine: Any, kit: Any) -> None:
    """A task that would be too old by then ends with its Snooze."""
    async with pool(engine, retry=RetryPolicy(max_elapsed=30)) as m:
        future = await m.submit(kit.script(Snooze(0), Snooze(LONG), "value"))
        with pytest.raises(Snooze) as caught:
            await future
        assert caught.value.seconds == LONG
        assert future.attempts == 1


async def test_in_run_task(engine: Any, kit: Any) -> None:
    """There the caller gets it: what is run at once cannot be run later. The resource is fine."""
    blamed: list[BaseException] = []
    unhealthy = kit.hook(lambda error: blamed.append(error))
    async with pool(engine, resource_pool_size=1, check_health=unhealthy) as m:
        with pytest.raises(Snooze, match="busy"):
            await m.run_task(kit.script(Snooze(5, "busy")))
        await eventually(lambda: m.stats().available_resources == 1)
        assert blamed == []


async def test_many_and_a_bounded_queue(engine: Any, kit: Any) -> None:
    """Tasks that snooze need no slot, and none is lost."""
    async with pool(engine, max_queue_size=3) as m:
        futures = [await m.submit(kit.script(*[Snooze(0.001 * (n % 4))] * (n % 4), n)) for n in range(40)]
        assert [await future for future in futures] == [*range(40)]
        assert [future.attempts for future in futures] == [1] * 40


class Timeless(Snooze):
    """A snooze without an end."""

    def __init__(self) -> None:
        pass


async def test_one_that_does_not_say_for_how_long(engine: Any, kit: Any) -> None:
    """It is an error like any other, and its worker serves on."""
    async with pool(engine) as m:
        future = await m.submit(kit.raises(Timeless()))
        with pytest.raises(Timeless):
            await future
        assert await m.queue_task(kit.returns("next")) == "next"
        assert (future.attempts, m.stats().lost_workers, m.stats().snoozed_tasks) == (1, 0, 0)


async def test_it_is_no_part_of_the_history(engine: Any, kit: Any) -> None:
    """Only attempts are told of; the time that the task has snoozed counts as time that it has waited."""
    policy = RetryPolicy(retry_on=ConnectionError)
    async with pool(engine, retry=policy) as m:
        future = await m.submit(kit.script(ConnectionError("down"), Snooze(0.05), "value"))
        assert await future == "value"
        first, second = future.attempts_made
        assert [(first.number, first.verdict), (second.number, second.verdict)] == [(1, "try again"), (2, "succeeded")]
        assert second.wait >= 0.05


class Seconds(float):
    """As numpy's ``float64``."""


async def test_any_kind_of_number(engine: Any, kit: Any) -> None:
    """It is a float from then on."""
    async with pool(engine) as m:
        assert await m.queue_task(kit.script(Snooze(Seconds(0.01)), "value")) == "value"
        assert m.stats().snoozed_tasks == 1


async def test_a_number_that_is_put_there_later(engine: Any, kit: Any) -> None:
    """One that no clock can add is an error like any other, and harms nobody else."""
    snooze = Snooze(0)
    snooze.seconds = 10**400
    async with pool(engine) as m:
        with pytest.raises(Snooze):
            await m.queue_task(kit.script(snooze, "never"))
        assert (m.stats().snoozed_tasks, m.stats().delayed_tasks) == (0, 0)
        assert await m.queue_task(kit.returns(1)) == 1
