"""Calls of run_task that say when they are tried again: as queued tasks are, by their caller, who waits for the pauses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import (
    Health,
    MaxRetriesExceeded,
    NoRetry,
    PoisonTask,
    Quarantined,
    RetryBudget,
    RetryPolicy,
    Snooze,
    TaskKilled,
    TaskTimeout,
)

LONG = 1e6
"""Seconds that no test waits for."""
BUSY = ConnectionError("busy, come again")
AGAIN = RetryPolicy(retry_on=ConnectionError)
UNHEALTHY = [ConnectionError(f"no {n}") for n in range(20)]


def pool(engine: Any, **config: Any) -> Any:
    """One resource for run_task."""
    return engine.manager(**{"resource_pool_size": 1, "name": "pool", **config})


def balanced(m: Any) -> bool:
    """Whether every call has its outcome, and every resource is accounted for."""
    stats, ledger = m.stats(), m.stats().resources
    known = ledger.created == ledger.destroyed + ledger.alive + ledger.lost
    return known and stats.running_tasks == 0 and stats.done_tasks == stats.accepted_tasks


async def test_an_error_of_its_own_is_retried(engine: Any, kit: Any) -> None:
    """With the same resource, which nothing is wrong with; it is one call, one task and one execution."""
    resources, logger = ScriptedResources(), RecordingLogger()
    async with pool(engine, resources=resources, logger=logger) as m:
        await eventually(lambda: len(resources.created) == 2)
        assert await m.run_task(kit.script(BUSY, BUSY, "value"), retry=AGAIN) == "value"
        assert len(resources.created) == 2
        metrics = m.metrics()
        assert (metrics.total_tasks_retried, metrics.total_tasks_failed, metrics.total_tasks_completed) == (2, 0, 1)
        assert m.stats().accepted_tasks == 1
        assert "in run_task failed (attempt 2) with ConnectionError: busy" in logger.text("warning")
        assert balanced(m)


async def test_only_where_the_call_says_so(engine: Any, kit: Any) -> None:
    """The policy of the manager is for the tasks of the queue."""
    async with pool(engine, retry=AGAIN, check_health=kit.hook(lambda error: False)) as m:
        with pytest.raises(ConnectionError):
            await m.run_task(kit.script(BUSY, "value"))
        assert m.metrics().total_tasks_retried == 0


async def test_the_last_error_is_the_outcome(engine: Any, kit: Any) -> None:
    """After max_retries further attempts the caller gets the task's own error, with a note of the earlier ones."""
    policy = RetryPolicy(retry_on=ConnectionError, max_retries=2)
    async with pool(engine) as m:
        with pytest.raises(ConnectionError, match="no 2") as caught:
            await m.run_task(kit.script(*UNHEALTHY), retry=policy)
        (note,) = caught.value.__notes__
        first, *lines = note.splitlines()
        assert first.startswith("pool: earlier attempts of task ") and first.endswith("in run_task:")
        assert [line.rpartition(": ")[2] for line in lines] == ["no 0", "no 1"]
        assert "1. on pool-run_task" in lines[0]
        assert m.metrics().total_tasks_failed == 1
        assert balanced(m)


@pytest.mark.parametrize("error", [ValueError("yours"), NoRetry("in vain")], ids=repr)
async def test_what_is_not_tried_again(engine: Any, kit: Any, error: Exception) -> None:
    """An error that the policy does not name, and one that says so itself."""
    async with pool(engine) as m:
        with pytest.raises(type(error)):
            await m.run_task(kit.script(error, "value"), retry=RetryPolicy(retry_on=(ConnectionError, NoRetry)))
        assert m.metrics().total_tasks_retried == 0


async def test_a_snooze_is_the_callers(engine: Any, kit: Any) -> None:
    """run_task never waits for it, whatever the policy."""
    async with pool(engine) as m:
        with pytest.raises(Snooze):
            await m.run_task(kit.script(Snooze(LONG), "value"), retry=RetryPolicy(retry_on=Exception))


async def test_unhealthy_errors(engine: Any, kit: Any) -> None:
    """Each attempt has another resource; when there were enough of them, that is MaxRetriesExceeded."""
    resources = ScriptedResources()
    hook = kit.hook(lambda error: not isinstance(error, ConnectionError))
    async with pool(engine, resources=resources, check_health=hook) as m:
        assert await m.run_task(kit.script(BUSY, BUSY, "value"), retry=RetryPolicy()) == "value"
        await eventually(lambda: m.stats().available_resources == 1)
        with pytest.raises(MaxRetriesExceeded, match=r"in run_task failed 3 times \(max_retries=2\)") as caught:
            await m.run_task(kit.script(*UNHEALTHY), retry=RetryPolicy(max_retries=2))
        assert caught.value.attempts == 3
        assert engine.same(caught.value.__cause__, UNHEALTHY[2])
        assert caught.value.__notes__[0].endswith("ConnectionError: no 1")
        await eventually(lambda: m.stats().available_resources == 1)
        assert balanced(m)


async def test_a_resource_that_cools_down(engine: Any, kit: Any) -> None:
    """It is kept, and the next attempt has another one."""
    hook = kit.hook(lambda error: Health.COOL_DOWN(60.0))
    async with pool(engine, check_health=hook) as m:
        assert await m.run_task(kit.script(BUSY, "value"), retry=RetryPolicy()) == "value"
        assert m.stats().available_resources == 0
        await eventually(lambda: balanced(m))


async def test_a_poison_task(engine: Any, kit: Any) -> None:
    """It ends with PoisonTask and its history, and on_quarantine gets the function and the arguments."""
    got: list[Quarantined] = []
    hook = kit.hook(lambda error: not isinstance(error, ConnectionError))
    task = kit.script(*UNHEALTHY)
    async with pool(engine, check_health=hook, quarantine_after=2, on_quarantine=got.append) as m:
        with pytest.raises(PoisonTask, match="has left 2 resources unhealthy") as caught:
            await m.run_task(task, "seven", retry=RetryPolicy())
        assert [one.verdict for one in caught.value.attempts] == ["try again", "quarantined"]
        assert caught.value.__notes__[0].endswith("ConnectionError: no 0")
        (info,) = got
        assert (info.args, info.error) == (("seven",), caught.value)
        assert m.stats().quarantined_tasks == 1
        await eventually(lambda: balanced(m))


async def test_a_pause(engine: Any, kit: Any) -> None:
    """The resource is back in the pool meanwhile, and the call counts as running."""
    async with pool(engine) as m:
        policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)
        call = asyncio.ensure_future(m.run_task(kit.script(BUSY, "value"), retry=policy))
        await eventually(lambda: m.metrics().total_tasks_retried == 1 and m.stats().available_resources == 1)
        assert m.stats().running_tasks == 1
        assert await m.run_task(kit.returns("another")) == "another"
        assert not call.done()
        report = await m.stop()
        assert await call == "value", "a stop waits for no pause, and for the call"
        assert not report.killed
        assert balanced(m)


async def test_a_pause_that_a_stop_reports(engine: Any, kit: Any) -> None:
    """With at_stop="report" there is no further attempt: the call ends with its last error."""
    async with pool(engine) as m:
        policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG, at_stop="report")
        call = asyncio.ensure_future(m.run_task(kit.script(BUSY, "value"), retry=policy))
        await eventually(lambda: m.metrics().total_tasks_retried == 1 and m.stats().available_resources == 1)
        await m.stop()
        with pytest.raises(ConnectionError):
            await call
        assert m.metrics().total_tasks_failed == 1
        assert balanced(m)


async def test_a_kill_ends_a_pause(engine: Any, kit: Any) -> None:
    """The call ends with TaskKilled, and counts as cancelled."""
    async with pool(engine) as m:
        policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)
        call = asyncio.ensure_future(m.run_task(kit.script(BUSY, "value"), retry=policy))
        await eventually(lambda: m.metrics().total_tasks_retried == 1 and m.stats().available_resources == 1)
        await m.kill()
        with pytest.raises(TaskKilled):
            await call
        assert m.metrics().total_tasks_cancelled == 1
        assert balanced(m)


async def test_a_deadline_ends_a_pause(engine: Any, kit: Any) -> None:
    """At that moment, and not when the pause is over."""
    async with pool(engine) as m:
        policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)
        with pytest.raises(TaskTimeout, match=r"has not started within deadline=1\.0") as caught:
            await asyncio.wait_for(m.run_task(kit.script(BUSY, "value"), retry=policy, deadline=1), 20)
        assert "busy" in caught.value.__notes__[0]
        assert (m.stats().timed_out_tasks, m.metrics().total_tasks_failed) == (1, 1)
        assert balanced(m)


async def test_max_elapsed(engine: Any, kit: Any) -> None:
    """No attempt follows that would begin too late."""
    async with pool(engine) as m:
        policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG, max_elapsed=0.001)
        with pytest.raises(ConnectionError):
            await m.run_task(kit.script(BUSY, "value"), retry=policy)


async def test_a_timeout_that_is_named(engine: Any, kit: Any) -> None:
    """Each attempt has the timeout; the next one begins when the last one has ended."""
    async with pool(engine, cancel_grace=60.0) as m:
        task = kit.until_cancelled(engine.gate())
        policy = RetryPolicy(retry_on=TaskTimeout, max_retries=1)
        with pytest.raises(TaskTimeout, match="has not ended within timeout") as caught:
            await m.run_task(task, retry=policy, timeout=0.1)
        assert "has not ended within timeout" in caught.value.__notes__[0]
        assert (m.metrics().total_tasks_retried, m.stats().timed_out_tasks) == (1, 1)
        assert balanced(m)


async def test_a_budget(engine: Any, kit: Any) -> None:
    """It pays for the retries of calls as for others: a success gives one back, a refused retry ends the call."""
    budget = RetryBudget(10, retry_cost=5)
    policy = RetryPolicy(retry_on=ConnectionError, max_retries=5, budget=budget)
    async with pool(engine) as m:
        with pytest.raises(ConnectionError, match="no 2"):
            await m.run_task(kit.script(*UNHEALTHY), retry=policy)
        assert (budget.available, m.stats().refused_retries) == (0, 1)
        for _ in range(5):
            await m.run_task(kit.returns(), retry=policy)
        assert budget.available == 5
        assert await m.run_task(kit.script(BUSY, "value"), retry=policy) == "value"
        assert budget.available == 5, "what the retry has cost is given back"


async def test_in_a_task(engine: Any, kit: Any) -> None:
    """A call in a queued task is tried again there, and the worker goes on."""
    if engine.elsewhere:
        pytest.skip("the manager is here")
    async with pool(engine) as m:
        inner = kit.script(BUSY, "inner")
        task = engine.inside_task(m, lambda own: own.run_task(inner, retry=AGAIN))
        assert await m.queue_task(task) == "inner"
        assert await m.queue_task(kit.returns("next")) == "next"
