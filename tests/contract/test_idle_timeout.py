"""idle_timeout: burst workers that are idle for so long give their resources back; with worker_count=0, all of them."""

from __future__ import annotations

from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import SLOWER, eventually
from tasker import DeadlockError, RatePolicy, ResourceError

LIMIT = 0.3
CLINGS = RatePolicy(hold=1000.0, hold_most=1000.0)
"""Lets no worker go for long."""


async def test_idle_burst_workers_go(engine: Any, kit: Any) -> None:
    """They end although the policy would hold them; the base stays, and the explanation says why."""
    gate = engine.gate()
    async with engine.manager(
        resources=ScriptedResources(),
        worker_count=1,
        max_worker_count=3,
        burst_interval=0.02,
        scaling=CLINGS,
        idle_timeout=LIMIT,
    ) as m:
        futures = [await m.submit(kit.holds(gate)) for _ in range(3)]
        await gate.arrivals(3)
        gate.open()
        for future in futures:
            await future
        assert m.stats().active_workers == 3
        await eventually(lambda: m.stats().active_workers == 1)
        assert "the idle_timeout" in str(m.explain())
        assert (m.stats().replaced_workers, m.stats().lost_workers) == (0, 0)
        assert await m.queue_task(kit.returns("served")) == "served"


async def test_down_to_nothing_and_back(engine: Any, kit: Any) -> None:
    """With worker_count=0 nothing is made before the first task, and the resource is given back when it was idle for so long;
    the next task gets another one."""
    resources = ScriptedResources()
    async with engine.manager(
        resources=resources, worker_count=0, max_worker_count=1, burst_interval=0.02, idle_timeout=LIMIT
    ) as m:
        assert resources.attempts == 0
        assert "no worker is kept" in str(m.explain())
        assert await m.queue_task(kit.returns(1)) == 1
        assert (m.stats().active_workers, m.stats().base_workers) == (1, 0)
        await eventually(lambda: len(resources.destroyed) == 1)
        assert m.stats().active_workers == 0
        assert await m.queue_task(kit.returns(2)) == 2
        assert len(resources.created) == 2


async def test_without_a_base_more_are_made_for_a_backlog(engine: Any, kit: Any) -> None:
    """Tasks that wait have further workers made, as ever."""
    gate = engine.gate()
    async with engine.manager(
        resources=ScriptedResources(), worker_count=0, max_worker_count=3, burst_interval=0.02, idle_timeout=5
    ) as m:
        futures = [await m.submit(kit.holds(gate, n)) for n in range(3)]
        await gate.arrivals(3)
        gate.open()
        assert [await future for future in futures] == [0, 1, 2]


async def test_a_stop_runs_what_is_queued_before_there_was_a_worker(engine: Any, kit: Any) -> None:
    """Accepted tasks are run, though none had a worker yet."""
    gate = engine.gate()
    resources = ScriptedResources(then=gate)
    async with engine.manager(resources=resources, worker_count=0, max_worker_count=1, burst_interval=0.02) as m:
        futures = [await m.submit(kit.returns(n)) for n in range(3)]
        gate.open()
        report = await m.stop()
        assert [await future for future in futures] == [0, 1, 2]
        assert report.completed_tasks == 3


async def test_a_stop_without_a_task(engine: Any, kit: Any) -> None:
    """It ends at once, and nothing was made."""
    resources = ScriptedResources()
    async with engine.manager(resources=resources, worker_count=0, max_worker_count=1) as m:
        await m.stop()
    assert resources.attempts == 0


async def test_without_a_base_a_creation_that_fails_is_tried_again(engine: Any, kit: Any) -> None:
    """The task waits for it; with ready_timeout, not for ever."""
    resources = ScriptedResources(OSError("no route"), OSError("no route"))
    options = {"worker_count": 0, "max_worker_count": 1, "burst_interval": 0.02, "creation_backoff": 0.01}
    async with engine.manager(resources=resources, **options) as m:
        assert await m.queue_task(kit.returns(1)) == 1
    down = ScriptedResources(then=OSError("no route"))
    async with engine.manager(resources=down, ready_timeout=0.6 * SLOWER, **options) as m:
        with pytest.raises(ResourceError, match="no route"):
            await m.queue_task(kit.returns(1))


async def test_run_task_without_a_base(engine: Any, kit: Any) -> None:
    """It makes its own resource, and starts no worker."""
    resources = ScriptedResources()
    async with engine.manager(resources=resources, worker_count=0, max_worker_count=1, burst_interval=0.02) as m:
        assert await m.run_task(kit.returns(1)) == 1
        assert len(resources.created) == 1
        assert m.stats().active_workers == 0


async def test_resized_to_nothing(engine: Any, kit: Any) -> None:
    """A manager that was made with workers gives them back as well."""
    resources = ScriptedResources()
    async with engine.manager(
        resources=resources, worker_count=1, max_worker_count=2, burst_interval=0.02, idle_timeout=LIMIT
    ) as m:
        assert await m.queue_task(kit.returns(1)) == 1
        m.resize(worker_count=0)
        await eventually(lambda: m.stats().active_workers == 0)
        assert await m.queue_task(kit.returns(2)) == 2


async def test_tasks_of_tasks_without_a_base(engine: Any, kit: Any) -> None:
    """A task that waits for another one has a second worker made, and is told where there is no room for one."""
    if engine.elsewhere:
        pytest.skip("a task there has no manager")

    async def outer(own: Any) -> Any:
        return await own.queue_task(kit.returns("inner"))

    options = {"worker_count": 0, "burst_interval": 0.02, "idle_timeout": 5}
    async with engine.manager(max_worker_count=2, **options) as m:
        assert await m.queue_task(engine.inside_task(m, outer)) == "inner"
    async with engine.manager(max_worker_count=1, **options) as m:
        with pytest.raises(DeadlockError):
            await m.queue_task(engine.inside_task(m, outer))
