"""RetryBudget: a broken dependency is not retried to death."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually
from tasker import RetryBudget, RetryPolicy

BUSY = ConnectionError("busy, come again")


def policy(budget: RetryBudget, **options: Any) -> RetryPolicy:
    """Errors of their own are retried as long as the budget lasts."""
    return RetryPolicy(**{"retry_on": OSError, "max_retries": 9, "budget": budget, **options})


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time."""
    return engine.manager(**{"worker_count": 1, "max_worker_count": 1, **config})


async def starts_of(m: Any, task: Any, **options: Any) -> int:
    """How often a task is started until it ends with its own error."""
    future = await m.submit(task, **options)
    with pytest.raises(OSError):
        await future
    return int(future.attempts)


async def test_used_up(engine: Any, kit: Any) -> None:
    """The task ends with its error; stats() and explain() tell of it."""
    budget = RetryBudget(10)
    async with pool(engine, retry=policy(budget)) as m:
        assert "budget" not in str(m.explain())
        assert await starts_of(m, kit.raises(BUSY)) == 3
        assert await starts_of(m, kit.raises(BUSY)) == 1
        assert (budget.available, m.stats().refused_retries) == (0, 2)
        assert "2 retries were not made, because the retry budget was used up" in str(m.explain())


async def test_timeouts_cost_more(engine: Any, kit: Any) -> None:
    """Nobody knows what they have set going over there."""
    budget = RetryBudget(20)
    async with pool(engine, retry=policy(budget)) as m:
        assert await starts_of(m, kit.raises(TimeoutError("no answer"))) == 3
        assert m.stats().refused_retries == 1


async def test_unhealthy_errors_are_paid_for_too(engine: Any, kit: Any) -> None:
    """The task ends with its own error: there were more retries to be had, if they could have been paid."""
    unhealthy = kit.hook(lambda error: False)
    async with pool(engine, retry=policy(RetryBudget(10)), check_health=unhealthy) as m:
        assert await starts_of(m, kit.raises(BUSY)) == 3


async def test_what_succeeds_gives_back(engine: Any, kit: Any) -> None:
    """What its last retry has cost, or one token if it succeeds at once."""
    budget = RetryBudget(10)
    async with pool(engine, retry=policy(budget)) as m:
        assert await starts_of(m, kit.raises(BUSY)) == 3
        assert budget.available == 0
        for _ in range(4):
            await m.queue_task(kit.returns())
        assert await starts_of(m, kit.raises(BUSY)) == 1
        assert budget.available == 4
        await m.queue_task(kit.returns())
        for _ in range(5):
            assert await m.queue_task(kit.script(BUSY, "value")) == "value"
            await eventually(lambda: budget.available == 4)  # and one for the success, once that is asked for
        assert await starts_of(m, kit.script(BUSY, BUSY)) == 2
        assert budget.available == 0


async def test_what_is_cancelled_gives_nothing(engine: Any, kit: Any) -> None:
    """Whether it was tried again or not."""
    budget = RetryBudget(5, timeout_cost=5)
    async with pool(engine, retry=policy(budget, backoff=1e6, max_backoff=1e6)) as m:
        future = await m.submit(kit.script(BUSY, "value"))
        await eventually(lambda: m.stats().delayed_tasks == 1)
        future.cancel()
        await eventually(future.done)
        assert await starts_of(m, kit.raises(BUSY)) == 1
        assert budget.available == 0


async def test_shared_by_managers(engine: Any, kit: Any) -> None:
    """What is used up by one of them is used up for the other, and the successes of both count."""
    budget = RetryBudget(10)
    async with pool(engine, retry=policy(budget)) as one, pool(engine, retry=policy(budget)) as other:
        assert await starts_of(one, kit.raises(BUSY)) == 3
        assert await starts_of(other, kit.raises(BUSY)) == 1
        for _ in range(5):
            await one.queue_task(kit.returns())
        assert await starts_of(one, kit.raises(BUSY)) == 2
        assert (one.stats().refused_retries, other.stats().refused_retries) == (2, 1)


async def test_of_one_task(engine: Any, kit: Any) -> None:
    """A budget in the policy of a task bounds the tasks that have it, and no others."""
    budget = RetryBudget(5, timeout_cost=5)
    async with pool(engine, retry=RetryPolicy(retry_on=OSError, max_retries=4)) as m:
        assert await starts_of(m, kit.raises(BUSY), retry=policy(budget)) == 2
        assert await starts_of(m, kit.raises(BUSY)) == 5
        assert budget.available == 0
