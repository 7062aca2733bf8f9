"""Calls of run_task with a timeout or a deadline: in the words, with the errors and in the counts of queued tasks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.limits import balanced, opens_when_cancelled
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import ResourceError, TaskTimeout

LIMIT = 0.1
LONG = 60.0
"""Seconds that no test waits for."""
CLOSED = OSError("closed")


def pool(engine: Any, **config: Any) -> Any:
    """One resource for run_task, and a long grace."""
    return engine.manager(**{"resource_pool_size": 1, "cancel_grace": LONG, **config})


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
async def test_a_task_that_obeys_its_cancellation(engine: Any, kit: Any, limit: str) -> None:
    """The call ends with TaskTimeout, which says which limit it was, and its resource serves the next one."""
    async with pool(engine) as m:
        with pytest.raises(
            TaskTimeout, match=rf"until_cancelled.* in run_task has not ended within {limit}=0\.3"
        ) as caught:
            await m.run_task(kit.until_cancelled(engine.gate()), **{limit: 3 * LIMIT})
        assert (caught.value.limit, caught.value.seconds) == (limit, 3 * LIMIT)
        assert await m.run_task(kit.returns("next")) == "next"
        assert m.stats().timed_out_tasks == m.metrics().total_tasks_failed == 1
        assert m.metrics().total_tasks_cancelled == m.stats().stuck_workers == 0
        await eventually(lambda: m.stats().available_resources == 1)
        assert balanced(m)


async def test_the_limits_of_the_configuration(engine: Any, kit: Any) -> None:
    """They are those of calls of which nothing is said; infinity lifts them."""
    async with pool(engine, task_timeout=LIMIT) as m:
        with pytest.raises(TaskTimeout, match=r"timeout=0\.1"):
            await m.run_task(kit.until_cancelled(engine.gate()))
        gate = engine.gate()
        call = asyncio.ensure_future(m.run_task(kit.holds(gate, "late"), timeout=float("inf")))
        await gate.arrivals(1)
        await asyncio.sleep(3 * LIMIT)  # beyond the limit that was lifted
        gate.open()
        assert await call == "late"


async def test_an_error_after_the_limit_is_the_cause(engine: Any, kit: Any) -> None:
    """A task may obey by having its connection closed: what that leads to is the cause of the TaskTimeout."""
    gate = engine.gate()
    async with pool(engine) as m:
        with pytest.raises(TaskTimeout) as caught:
            await m.run_task(kit.both(opens_when_cancelled(gate), kit.fails_at(gate, CLOSED)), timeout=LIMIT)
        assert isinstance(caught.value.__cause__, OSError)


async def test_a_result_after_the_limit_stands(engine: Any, kit: Any) -> None:
    """A task that is cancelled by its limit and returns all the same has its result; the next call is not struck."""
    gate = engine.gate()
    async with pool(engine) as m:
        assert await m.run_task(kit.both(opens_when_cancelled(gate), kit.watches(gate)), timeout=LIMIT) is True
        assert m.stats().timed_out_tasks == 0
        for number in range(10):
            assert await m.run_task(kit.returns(number), timeout=LONG) == number
        assert balanced(m)


async def test_the_resource_is_judged(engine: Any, kit: Any) -> None:
    """check_health is asked with the TaskTimeout; a resource that it blames is replaced, and the call is not repeated."""
    resources = ScriptedResources()
    async with pool(engine, resources=resources, check_health=kit.hook(lambda error: False)) as m:
        await eventually(lambda: len(resources.created) == 2)
        with pytest.raises(TaskTimeout):
            await m.run_task(kit.until_cancelled(engine.gate()), timeout=LIMIT)
        await eventually(lambda: len(resources.created) == 3)
        assert balanced(m)


async def test_a_task_that_goes_on_in_a_process(engine: Any, kit: Any) -> None:
    """It is ended by force after the grace; where there is no process, its caller is in it, and waits."""
    gate = engine.gate()
    async with pool(engine, cancel_grace=LIMIT) as m:
        call = asyncio.ensure_future(m.run_task(kit.holds(gate, "in the end"), timeout=LIMIT))
        await gate.arrivals(1)
        if engine.elsewhere:
            with pytest.raises(TaskTimeout, match="has not ended within timeout"):
                await call
            await eventually(lambda: m.stats().available_resources == 1, what="there is another one in its place")
        else:
            await asyncio.sleep(3 * LIMIT)  # beyond the limit and the grace
            gate.open()
            assert await call == "in the end"
        assert await m.run_task(kit.returns("next")) == "next"
        assert balanced(m)
        if engine.elsewhere:
            await m.kill(10)  # without which the audit allows no resource to be lost


async def test_a_deadline_that_passes_while_its_resource_is_made(engine: Any, kit: Any) -> None:
    """The task is not called, its execution is not measured, and the call ends with TaskTimeout."""
    gate, ran = engine.gate(), []
    resources = ScriptedResources(None, gate)
    async with engine.manager(resources=resources, resource_pool_size=0, cancel_grace=LONG) as m:
        await eventually(lambda: len(resources.created) == 1)
        call = asyncio.ensure_future(m.run_task(kit.records(ran), deadline=LIMIT))
        await gate.arrivals(1)
        await asyncio.sleep(2 * LIMIT)  # the deadline passes; without it the test would prove nothing
        gate.open()
        with pytest.raises(TaskTimeout, match=r"has not started within deadline=0\.1"):
            await call
        assert ran == []
        metrics = m.metrics()
        assert (metrics.total_tasks_failed, metrics.total_tasks_timed_out) == (1, 1)
        assert metrics.max_execution_time == 0.0
        await eventually(lambda: balanced(m))


@pytest.mark.parametrize(
    ("options", "error"),
    [({"timeout": 0}, ValueError), ({"deadline": "soon"}, TypeError), ({"retry": 3}, TypeError)],
    ids=repr,
)
async def test_wrong_options(engine: Any, kit: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """They are refused before anything is made or counted, with their names."""
    async with pool(engine) as m:
        with pytest.raises(error, match=next(iter(options))):
            await m.run_task(kit.returns(), **options)
        assert m.stats().accepted_tasks == 0


async def test_what_has_no_resource(engine: Any, kit: Any) -> None:
    """A call with limits that gets none fails as any does."""
    async with engine.manager(max_temporary_resources=0) as m:
        with pytest.raises(ResourceError, match="max_temporary_resources=0"):
            await m.run_task(kit.returns(), timeout=LONG)
        assert balanced(m)
