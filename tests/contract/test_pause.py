"""`pause` holds the start of tasks, with the resources kept, until `resume`, `stop` or `kill`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import SLOWER, eventually, throughout
from tasker import DeadlockError, PausedError, Priority, QueueFull, RetryPolicy, ShutdownError, TaskKilled, TaskTimeout

BOOM = OSError("no")
RESUMED = 0.15
"""Seconds in which something would start if it could."""


async def test_no_task_starts_during_a_pause(engine: Any, kit: Any) -> None:
    """Tasks are accepted and wait; after `resume` they run in the order of their priorities, with the same resources."""
    log: list[Any] = []
    resources = ScriptedResources()
    async with engine.manager(resources=resources) as m:
        assert await m.queue_task(kit.returns(1)) == 1
        assert await m.pause() is True
        futures = [await m.submit(kit.records(log, n), priority=p) for n, p in enumerate([Priority.LOW, 1, 0, 1])]
        await throughout(lambda: not log, RESUMED)
        assert (m.stats().queued_tasks, m.stats().priority_tasks, m.stats().running_tasks) == (3, 1, 0)
        m.resume()
        assert [await future for future in futures] == [0, 1, 2, 3]
        assert log == [2, 1, 3, 0]
        assert len(resources.created) == 1


async def test_it_waits_for_the_running_tasks(engine: Any, kit: Any) -> None:
    """`pause` returns when the last running task has ended, which is not cancelled; what is queued does not follow it."""
    log: list[Any] = []
    gates = [engine.gate(), engine.gate()]
    async with engine.manager(worker_count=2) as m:
        running = [await m.submit(kit.holds(gate, n)) for n, gate in enumerate(gates)]
        for gate in gates:
            await gate.arrivals(1)
        queued = await m.submit(kit.records(log, "queued"))
        pausing = asyncio.ensure_future(m.pause())
        await eventually(lambda: m.stats().paused)
        gates[0].open()
        assert await running[0] == 0
        await throughout(lambda: not pausing.done() and not log, RESUMED)
        gates[1].open()
        assert await pausing is True
        assert await running[1] == 1
        await throughout(lambda: not log, RESUMED)
        m.resume()
        assert await queued == "queued"


async def test_its_timeout_ends_the_wait_and_not_the_pause(engine: Any, kit: Any) -> None:
    """After `timeout` seconds it returns False; the pause lasts, and a second call waits for the rest of it."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        held = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        assert await m.pause(0) is False
        assert await m.pause(0.05) is False
        queued = await m.submit(kit.records(log, 1))
        gate.open()
        await held
        assert await m.pause(20) is True
        await throughout(lambda: not log, RESUMED)
        m.resume()
        await queued


async def test_it_begins_while_a_resource_is_checked_for_a_task(engine: Any, kit: Any) -> None:
    """The task starts after `resume`, not as soon as the check is over."""
    gate = engine.gate()
    log: list[Any] = []

    def check(resource: Any) -> None:
        gate.pass_through()

    async def acheck(resource: Any) -> None:
        await gate.apass_through()

    limits = {"max_worker_count": 1, "check_after_idle": 0.0, "check_timeout": 60}
    limits["check_resource"] = acheck if engine.name.startswith("asyncio") and not engine.elsewhere else check
    async with engine.manager(resources=ScriptedResources(), **limits) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        future = await m.submit(kit.records(log, 1))
        await gate.arrivals(1)
        assert await m.pause(0) is False
        gate.open()
        assert await m.pause(20) is True
        await throughout(lambda: not log, RESUMED)
        assert m.stats().queued_tasks == 1
        m.resume()
        assert await future == 1


async def test_twice(engine: Any, kit: Any) -> None:
    """Pausing twice is pausing once, and so is resuming; `resume` without a pause does nothing."""
    async with engine.manager(worker_count=3) as m:
        m.resume()
        for _ in range(3):
            assert await m.pause() is True
            assert await m.pause() is True
            future = await m.submit(kit.returns("later"))
            m.resume()
            m.resume()
            assert await future == "later"
            assert sum([await m.queue_task(kit.returns(1)) for _ in range(5)]) == 5


async def test_resume_ends_the_wait_of_pause(engine: Any, kit: Any) -> None:
    """A `pause` that is still waiting returns False when it is resumed; queued tasks start."""
    gate = engine.gate()
    async with engine.manager() as m:
        held = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        pausing = asyncio.ensure_future(m.pause())
        await eventually(lambda: m.stats().paused)
        m.resume()
        assert await pausing is False
        queued = await m.submit(kit.returns("queued"))
        gate.open()
        await held
        assert await queued == "queued"


async def test_many_pauses_under_load(engine: Any, kit: Any) -> None:
    """Whenever `pause` has returned True no task runs, whatever was sent ahead; and none is lost."""
    log: list[int] = []
    task = kit.calls(lambda ctx, resource, n: log.append(n) or n)
    async with engine.manager(worker_count=3) as m:
        futures = []
        for turn in range(12):
            futures += [await m.submit(task, turn * 40 + n) for n in range(40)]
            assert await m.pause() is True
            seen = len(log)
            assert m.stats().running_tasks == 0
            await throughout(lambda seen=seen: len(log) == seen and m.stats().running_tasks == 0, 0.01)
            m.resume()
        assert sorted([await future for future in futures]) == [*range(480)]
        assert len(log) == 480


async def test_what_was_sent_ahead_comes_back(engine: Any, kit: Any) -> None:
    """Short tasks that wait behind a long one, wherever, do not start when that one ends."""
    gate = engine.gate()
    log: list[int] = []
    async with engine.manager() as m:
        for n in range(50):  # so that a session gets tasks ahead of their turn
            await m.queue_task(kit.returns(n))
        futures = [await m.submit(kit.holds_if(gate, 0), n) for n in range(30)]
        behind = [await m.submit(kit.records(log), n) for n in range(30)]
        await gate.arrivals(1)
        pausing = asyncio.ensure_future(m.pause())
        await eventually(lambda: m.stats().paused)
        gate.open()
        assert await pausing is True
        done = sum(future.done() for future in futures)
        assert done < 30 and not log
        await throughout(lambda: sum(future.done() for future in futures) == done and not log, RESUMED)
        m.resume()
        assert [await future for future in [*futures, *behind]] == [*range(30), *range(30)]
        assert log == [*range(30)]


async def test_a_cancelled_task_does_not_start(engine: Any, kit: Any) -> None:
    """A task that is cancelled during the pause is gone after it."""
    log: list[Any] = []
    async with engine.manager() as m:
        await m.pause()
        first, second = [await m.submit(kit.records(log, n)) for n in (1, 2)]
        assert first.cancel()
        m.resume()
        assert await second == 2
        assert log == [2]


async def test_the_bound_of_the_queue_holds(engine: Any, kit: Any) -> None:
    """A full queue refuses, and `queue_timeout` runs on."""
    async with engine.manager(max_queue_size=2) as m:
        await m.pause()
        futures = [await m.submit(kit.returns(n)) for n in range(2)]
        with pytest.raises(QueueFull):
            await m.submit(kit.returns(), queue_timeout=0.05)
        waiting = asyncio.ensure_future(m.submit(kit.returns("waited")))
        await throughout(lambda: not waiting.done(), 0.05)
        m.resume()
        assert await (await waiting) == "waited"
        assert [await future for future in futures] == [0, 1]


async def test_run_task_is_refused(engine: Any, kit: Any) -> None:
    """`run_task` never waits: it raises PausedError, and works again after the pause."""
    async with engine.manager(resource_pool_size=1) as m:
        await m.pause()
        with pytest.raises(PausedError, match="paused"):
            await m.run_task(kit.returns(1))
        m.resume()
        assert await m.run_task(kit.returns(1)) == 1
        assert m.stats().running_tasks == 0


async def test_it_waits_for_run_task(engine: Any, kit: Any) -> None:
    """A call of `run_task` that runs is a running task."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=1) as m:
        running = asyncio.ensure_future(m.run_task(kit.holds(gate, "inline")))
        await gate.arrivals(1)
        assert await m.pause(0.05) is False
        gate.open()
        assert await m.pause(20) is True
        assert await running == "inline"


async def test_map_goes_on_afterwards(engine: Any, kit: Any) -> None:
    """`map` waits during the pause, and yields everything after it."""
    async with engine.manager(worker_count=2) as m:
        results: list[int] = []

        async def collect() -> None:
            async for value in m.map(kit.echo(), range(50), look_ahead=10):
                results.append(value)

        await m.pause()
        collecting = asyncio.ensure_future(collect())
        await throughout(lambda: not results, RESUMED)
        m.resume()
        await collecting
        assert results == [*range(50)]


async def test_it_waits_for_a_task_that_goes_on(engine: Any, kit: Any) -> None:
    """A task whose timeout has passed has ended for its caller, and still uses its resource: nothing is quiet before it returns."""
    if engine.elsewhere:
        pytest.skip("it is ended by force there")
    async with engine.manager(max_worker_count=1, cancel_grace=0.05) as m:
        gate = engine.gate()
        future = await m.submit(kit.holds(gate), timeout=0.05)
        await gate.arrivals(1)
        with pytest.raises(TaskTimeout):
            await future
        await eventually(lambda: m.stats().stuck_workers == 1)
        assert await m.pause(0.2) is False
        pausing = asyncio.ensure_future(m.pause())
        gate.open()
        assert await asyncio.wait_for(pausing, 20 * SLOWER) is True
        m.resume()
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_it_does_not_wait_for_a_check_that_hangs(engine: Any, kit: Any) -> None:
    """A worker that is stuck in check_resource runs no task, and never will."""
    if engine.name not in ("threads", "asyncio, plain functions"):
        pytest.skip("it is ended by force there")
    gate = engine.gate()

    def check(resource: Any) -> None:
        if resource.number == 1:
            gate.pass_through()

    limits = {"max_worker_count": 1, "check_after_idle": 0.0, "check_timeout": 0.2}
    async with engine.manager(resources=ScriptedResources(), check_resource=check, **limits) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        future = await m.submit(kit.returns("value"))
        await gate.arrivals(1)
        assert await asyncio.wait_for(m.pause(), 20 * SLOWER) is True
        m.resume()
        assert await future == "value"
        gate.open()


async def test_stop_resumes(engine: Any, kit: Any) -> None:
    """`stop` runs what was accepted during the pause."""
    async with engine.manager(worker_count=2) as m:
        await m.pause()
        futures = [await m.submit(kit.returns(n)) for n in range(10)]
        report = await m.stop()
        assert [await future for future in futures] == [*range(10)]
        assert not report.killed
        with pytest.raises(ShutdownError):
            await m.pause()
        m.resume()
        assert not m.stats().paused


async def test_stop_of_a_busy_worker(engine: Any, kit: Any) -> None:
    """A `stop` that finds its last task running during a pause ends when that one does."""
    gate = engine.gate()
    async with engine.manager() as m:
        running = await m.submit(kit.holds(gate, "ran"))
        await gate.arrivals(1)
        assert await m.pause(0) is False
        stopping = asyncio.ensure_future(m.stop())
        await eventually(lambda: m.closed and not m.stats().paused)
        gate.open()
        assert not (await stopping).killed
        assert await running == "ran"


async def test_kill_drops(engine: Any, kit: Any) -> None:
    """`kill` ends the queued tasks as ever, and a `pause` that still waits."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        pausing = asyncio.ensure_future(m.pause())
        await eventually(lambda: m.stats().paused)
        queued = await m.submit(kit.returns(1))
        await m.kill()
        assert await pausing is False
        with pytest.raises(TaskKilled):
            await queued.result()


async def test_a_lost_resource_is_replaced(engine: Any, kit: Any) -> None:
    """A resource that a running task leaves unhealthy is replaced during the pause."""
    gate = engine.gate()
    resources = ScriptedResources()
    unhealthy = kit.hook(lambda error: False)
    async with engine.manager(resources=resources, check_health=unhealthy) as m:
        failing = await m.submit(kit.fails_at(gate, BOOM), once=True)
        await gate.arrivals(1)
        pausing = asyncio.ensure_future(m.pause())
        await eventually(lambda: m.stats().paused)
        gate.open()
        assert await pausing is True
        assert type(await failing.exception()) is OSError
        await eventually(lambda: [one.number for one in resources.alive] == [2] and m.stats().active_workers == 1)
        queued = await m.submit(kit.returns("after"))
        await throughout(lambda: not queued.done(), RESUMED)
        m.resume()
        assert await queued == "after"


async def test_refresh_in_a_pause(engine: Any, kit: Any) -> None:
    """The resources are replaced while nothing runs: the first task after the pause gets a new one."""
    resources = ScriptedResources()
    async with engine.manager(worker_count=2, max_worker_count=3, resources=resources) as m:
        await eventually(lambda: m.stats().active_workers == 2)
        await m.pause()
        m.refresh()
        await eventually(
            lambda: len(resources.created) == 4 and len(resources.alive) == 2 and m.stats().active_workers == 2
        )
        future = await m.submit(kit.calls(lambda ctx, resource: resource.number))
        await throughout(lambda: not future.done(), 0.05)
        m.resume()
        assert await future in (3, 4)


async def test_refresh_of_workers_that_a_pause_has_found_starting(engine: Any, kit: Any) -> None:
    """They take no task on their way, however many wait."""
    resources = ScriptedResources()
    async with engine.manager(worker_count=2, max_worker_count=2, resources=resources) as m:
        assert await m.pause(20) is True
        await eventually(lambda: m.stats().active_workers == 2)
        futures = [await m.submit(kit.returns(n)) for n in range(200)]
        for made in (4, 6):
            m.refresh()
            await eventually(lambda made=made: len(resources.created) == made and m.stats().active_workers == 2)
        await throughout(lambda: m.stats().paused and not any(future.done() for future in futures), 0.05)
        m.resume()
        assert [await future for future in futures] == [*range(200)]


async def test_a_delayed_retry_waits_for_the_end(engine: Any, kit: Any) -> None:
    """A retry whose pause ends meanwhile is queued, and starts after `resume`."""
    policy = RetryPolicy(retry_on=OSError, backoff=0.001)
    async with engine.manager(retry=policy) as m:
        gate = engine.gate()
        future = await m.submit(kit.fails_at(gate, BOOM))
        await gate.arrivals(1)
        pausing = asyncio.ensure_future(m.pause())
        await eventually(lambda: m.stats().paused)
        gate.open()
        assert await pausing is True
        await eventually(lambda: m.stats().delayed_tasks == 0)
        await throughout(lambda: gate.arrived == 1, RESUMED)
        m.resume()
        assert type(await future.exception()) is OSError
        assert gate.arrived == 4


async def test_ready_timeout_does_not_count_the_pause(engine: Any, kit: Any) -> None:
    """A task fails only if no worker was ready for so long outside of pauses."""
    gate = engine.gate()
    async with engine.manager(resources=ScriptedResources(gate), ready_timeout=0.2 * SLOWER) as m:
        await m.pause(0)
        future = await m.submit(kit.returns(1))
        await throughout(lambda: not future.done(), 0.5 * SLOWER)
        gate.open()
        m.resume()
        assert await future == 1


async def test_the_pool_keeps_its_size(engine: Any, kit: Any) -> None:
    """Waiting tasks start no burst worker, and idle ones do not end; `explain` says why."""
    async with engine.manager(worker_count=1, max_worker_count=4, burst_interval=0.01) as m:
        await m.pause()
        futures = [await m.submit(kit.pauses(0.01)) for _ in range(40)]
        assert m.explain().paused and "paused" in str(m.explain())
        await throughout(lambda: m.stats().active_workers + m.stats().starting_workers == 1, RESUMED)
        m.resume()
        for future in futures:
            await future
        assert not m.stats().paused and not m.explain().paused


async def test_no_deadlock_is_found_in_a_pause(engine: Any, kit: Any) -> None:
    """A task that waits for a queued one waits until the end of the pause."""
    if engine.elsewhere:
        pytest.skip("tasks run where no manager is")
    if engine.name == "asyncio, plain functions":
        pytest.skip("a function in a worker's thread can't wait for the manager of a loop")
    async with engine.manager(worker_count=2) as m:
        gate, started = engine.gate(), engine.gate()

        async def outer(own: Any) -> Any:
            started.arrive()
            await own.pass_through(gate)
            return await own.queue_task(kit.returns("inner"))

        waiting = await m.submit(engine.inside_task(m, outer))
        held = engine.gate()
        other = await m.submit(kit.holds(held))
        await started.arrivals(1)
        await held.arrivals(1)
        assert await m.pause(0.05) is False
        gate.open()
        held.open()
        await other
        await throughout(lambda: not waiting.done(), RESUMED)
        m.resume()
        assert await waiting == "inner"


async def test_inside_a_task(engine: Any, kit: Any) -> None:
    """`pause` in a task would wait for itself; `pause(0)` does not wait, and the task goes on, `run_task` included."""
    if engine.elsewhere:
        pytest.skip("tasks run where no manager is")
    async with engine.manager(resource_pool_size=1) as m:

        async def pausing(own: Any) -> Any:
            with pytest.raises(DeadlockError, match="pause"):
                await own.pause()
            with pytest.raises(DeadlockError, match="pause"):
                await own.pause(0.01)
            assert await own.pause(0) is False
            return await own.run_task(kit.returns("inline"))

        future = await m.submit(engine.inside_task(m, pausing))
        assert await future == "inline"
        assert await m.pause(20) is True
        m.resume()


@pytest.mark.parametrize("timeout", [-1, "soon", True, float("nan")])
async def test_a_wrong_timeout(engine: Any, timeout: Any) -> None:
    """It is refused before anything happens."""
    async with engine.manager() as m:
        with pytest.raises(ValueError, match="timeout"):
            await m.pause(timeout)
        assert not m.stats().paused
