"""retry=: a task with a RetryPolicy of its own, in place of that of its manager."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.waiting import eventually
from tasker import MaxRetriesExceeded, RetryPolicy, Snooze

LONG = 1e6
"""Seconds that no test waits for."""
BUSY = ConnectionError("busy, come again")
OFTEN = RetryPolicy(retry_on=ConnectionError, max_retries=5)


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time."""
    return engine.manager(**{"worker_count": 1, "max_worker_count": 1, **config})


async def test_where_the_manager_has_none(engine: Any, kit: Any) -> None:
    """Its own errors and its own number of attempts; the next task has neither."""
    async with pool(engine, max_retries=0) as m:
        future = await m.submit(kit.script(*[BUSY] * 5, "value"), retry=OFTEN)
        assert await future == "value"
        assert future.attempts == 6
        other = await m.submit(kit.script(BUSY, "value"))
        with pytest.raises(ConnectionError):
            await other
        assert other.attempts == 1


async def test_in_place_of_the_managers(engine: Any, kit: Any) -> None:
    """As a whole: nothing is taken over from the other one. What it leaves open is Config.max_retries."""
    theirs = RetryPolicy(retry_on=ConnectionError, max_retries=7, backoff=LONG, max_backoff=LONG)
    async with pool(engine, retry=theirs, max_retries=1) as m:
        with pytest.raises(ConnectionError):
            await m.queue_task(kit.script(BUSY, "value"), retry=RetryPolicy(retry_on=ValueError))
        future = await m.submit(kit.script(BUSY, BUSY, "value"), retry=RetryPolicy(retry_on=ConnectionError))
        with pytest.raises(ConnectionError):
            await future
        assert future.attempts == 2
        never = await m.submit(kit.script(BUSY, "value"), retry=RetryPolicy(retry_on=ConnectionError, max_retries=0))
        with pytest.raises(ConnectionError):
            await never
        assert never.attempts == 1


async def test_the_managers_own_number(engine: Any, kit: Any) -> None:
    """RetryPolicy.max_retries of a manager goes before Config.max_retries."""
    async with pool(engine, retry=OFTEN, max_retries=0) as m:
        future = await m.submit(kit.script(*[BUSY] * 5, "value"))
        assert await future == "value"
        assert future.attempts == 6


async def test_after_unhealthy_errors(engine: Any, kit: Any) -> None:
    """The number of attempts holds for these, too, and the message says it."""
    unhealthy = kit.hook(lambda error: False)
    async with pool(engine, check_health=unhealthy) as m:
        future = await m.submit(kit.script(*[BUSY] * 9), retry=RetryPolicy(max_retries=1))
        with pytest.raises(MaxRetriesExceeded, match=r"max_retries=1\), last with ConnectionError"):
            await future
        assert future.attempts == 2


async def test_with_a_pause(engine: Any, kit: Any) -> None:
    """The one task waits; others do not."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)
    async with pool(engine, retry=RetryPolicy(retry_on=ConnectionError)) as m:
        future = await m.submit(kit.script(BUSY, "value"), retry=policy)
        await eventually(lambda: m.stats().delayed_tasks == 1)
        assert await m.queue_task(kit.script(BUSY, "other")) == "other"
        assert not future.done()
        stop = asyncio.create_task(m.stop())
        assert await future == "value"
        await stop


async def test_a_snooze_within_its_own_time(engine: Any, kit: Any) -> None:
    """Its max_elapsed, and not that of the manager, bounds its snoozes."""
    async with pool(engine, retry=RetryPolicy(max_elapsed=0)) as m:
        assert await m.queue_task(kit.script(Snooze(0.01), "value"), retry=RetryPolicy()) == "value"
        with pytest.raises(Snooze):
            await m.queue_task(kit.script(Snooze(0.01), "value"))


async def test_a_once_task(engine: Any, kit: Any) -> None:
    """It is never retried, whatever is said beside it."""
    async with pool(engine) as m:
        future = await m.submit(kit.script(BUSY, "value"), once=True, retry=OFTEN)
        with pytest.raises(ConnectionError):
            await future
        assert future.attempts == 1


async def test_for_each_task_of_a_map(engine: Any, kit: Any) -> None:
    """Like any other option."""
    failed: set[int] = set()

    def once_busy(ctx: Any, resource: Any, item: int) -> int:
        if item not in failed:
            failed.add(item)
            raise BUSY
        return item

    async with pool(engine, max_retries=0) as m:
        assert [item async for item in m.map(kit.calls(once_busy), range(9), retry=OFTEN)] == [*range(9)]


@pytest.mark.parametrize("bounded", [None, 5])
async def test_what_is_no_policy(engine: Any, kit: Any, bounded: int | None) -> None:
    """It is refused at once, and the manager does not wait for a task that was never accepted."""

    async def unsure(error: BaseException) -> bool:
        return False

    async with pool(engine, max_queue_size=bounded) as m:
        with pytest.raises(TypeError, match="retry must be a RetryPolicy or None, got 3"):
            await m.submit(kit.returns(), retry=3)
        with pytest.raises(ValueError, match="retry must be a RetryPolicy whose retry_on is not asynchronous"):
            await m.submit(kit.returns(), retry=RetryPolicy(retry_on=unsure))
        with pytest.raises(TypeError, match="callback must be callable, got 3"):
            await m.submit(kit.returns(), callback=3)
        await m.stop()
        assert m.stats().accepted_tasks == 0
