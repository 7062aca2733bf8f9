"""Point 9: kill() ends everything now, and every waiting caller learns of it."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from typing import Any

import pytest

from support import internals
from support.waiting import eventually, throughout
from tasker import ShutdownError, TaskCancelled, TaskKilled


async def test_point_09_queued_tasks_end_at_once(engine: Any, kit: Any) -> None:
    """Queued tasks end with TaskKilled while the running one still runs, and none starts."""
    gate = engine.gate()
    started: list[Any] = []
    async with engine.manager(cancel_grace=30) as m:
        held = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        queued = [await m.submit(kit.records(started, n)) for n in range(50)]
        kill = asyncio.create_task(m.kill())
        for future in queued:
            with pytest.raises(TaskKilled):
                await future.result()
            assert future.cancelled()
            assert future.attempts == 0
        assert not kill.done()
        gate.open()
        report = await kill
        assert report.killed
        assert report.killed_tasks == 50
        assert report.abandoned == ()
        assert held.done()
    assert started == []


async def test_point_09_running_contexts_are_cancelled(engine: Any, kit: Any) -> None:
    """A running task sees its context cancelled with TaskKilled as the cause."""
    gate = engine.gate()
    causes: list[Any] = []
    async with engine.manager(worker_count=2, cancel_grace=50) as m:
        obeying = [await m.submit(kit.until_cancelled(gate)) for _ in range(2)]
        await gate.arrivals(2)
        report = await m.kill()
        assert report.abandoned == ()
        assert report.seconds < 40, "kill does not wait longer than the tasks take"
        for future in obeying:
            with pytest.raises(TaskKilled) as caught:
                await future.result()
            causes.append(caught.value)
    assert len(causes) == 2


async def test_point_09_the_cause_is_task_killed(engine: Any, kit: Any) -> None:
    """ctx.cause is a TaskKilled under kill, and hooks on the context are called."""
    gate = engine.gate()
    seen: list[Any] = []

    def watch(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(lambda: seen.append(ctx.cause))
        gate.arrive()

    async with engine.manager() as m:
        await m.submit(kit.both(watch, kit.until_cancelled(gate)))
        await gate.arrivals(2)
        await m.kill()
    assert [type(cause) for cause in seen] == [TaskKilled]


@pytest.mark.parametrize("how", ["timeout", "grace"])
async def test_point_09_it_does_not_wait_for_tasks_that_ignore_it(engine: Any, kit: Any, how: str) -> None:
    """kill(timeout), or kill() after cancel_grace, returns, and its report names the workers it has abandoned."""
    gate = engine.gate()
    async with engine.manager(cancel_grace=0.2) as m:
        for _ in range(2):
            await m.queue_task(kit.returns())
        stuck = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        report = await (m.kill(0.2) if how == "timeout" else m.kill())
        assert not gate.is_open
        assert report.killed
        assert report.seconds < 15
        (line,) = report.abandoned
        assert re.fullmatch(rf"{re.escape(m.name)}-1 \(task #3 \S+\)", line), line
        assert "holding" in line
        (stack,) = report.stacks
        assert stack.startswith(f"{m.name}-1 is at\n")
        assert "in holding" in stack
        assert stuck.id == 3
        assert m.stats().abandoned_workers == 1


async def test_point_09_an_abandoned_task_has_its_outcome(engine: Any, kit: Any) -> None:
    """The future of an abandoned task ends with TaskKilled, once; its late result is dropped."""
    gate = engine.gate()
    calls: list[Any] = []
    async with engine.manager() as m:
        stuck = await m.submit(kit.holds(gate, "late"))
        stuck.add_done_callback(calls.append)
        await gate.arrivals(1)
        await m.kill(0.2)
        assert isinstance(await outcome_error(stuck), TaskKilled)
        gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)
        assert isinstance(await outcome_error(stuck), TaskKilled)
        assert len(calls) == 1


async def outcome_error(future: Any) -> BaseException | None:
    """Return the error that a caller of result() gets."""
    try:
        await future.result()
    except TaskCancelled as error:
        return error
    return None


async def test_point_09_an_abandoned_resource_is_destroyed_when_its_task_ends(engine: Any, kit: Any) -> None:
    """The resource of an abandoned worker is not destroyed under its task, but right after it."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.kill(0.1)
        assert m.resources.destroyed == []
        assert m.stats().resources.alive == 1
        gate.open()
        await eventually(lambda: len(m.resources.destroyed) == 1)


async def test_point_09_kill_escalates_a_stop(engine: Any, kit: Any) -> None:
    """A kill during a stop cancels what runs and ends both calls."""
    gate = engine.gate()
    async with engine.manager() as m:
        running = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        queued = await m.submit(kit.returns())
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.closed)
        await throughout(lambda: not stop.done(), 0.1)
        report = await m.kill()
        assert report.killed
        assert (await stop).killed
        assert isinstance(await outcome_error(running), TaskKilled)
        assert isinstance(await outcome_error(queued), TaskKilled)


async def test_point_09_stop_with_a_timeout_escalates(engine: Any, kit: Any) -> None:
    """stop(timeout) kills at its deadline."""
    gate = engine.gate()
    async with engine.manager() as m:
        running = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        queued = [await m.submit(kit.returns()) for _ in range(3)]
        # A fifth of it is for the task to obey, which a child on a busy machine may not do in less than a tenth of a second.
        report = await m.stop(2 if engine.elsewhere else 0.3)
        assert report.killed
        assert report.killed_tasks == 3
        assert isinstance(await outcome_error(running), TaskKilled)
        for future in queued:
            assert isinstance(await outcome_error(future), TaskKilled)


async def test_point_09_stop_with_a_timeout_leaves_a_stuck_task_behind(engine: Any, kit: Any) -> None:
    """stop(timeout) returns although a task ignores its context, and names it."""
    gate = engine.gate()
    async with engine.manager(cancel_grace=0.2) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        report = await m.stop(0.2)
        assert report.killed
        assert len(report.abandoned) == 1


async def test_point_09_stop_with_a_timeout_in_time_is_graceful(engine: Any, kit: Any) -> None:
    """stop(timeout) of a manager that is done in time kills nothing."""
    async with engine.manager() as m:
        futures = [await m.submit(kit.returns(n)) for n in range(10)]
        report = await m.stop(30)
        assert not report.killed
        assert [await future.result() for future in futures] == list(range(10))


async def test_point_09_it_is_idempotent(engine: Any, kit: Any) -> None:
    """Kills at once and later all return, and the manager stays closed."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        for report in await asyncio.gather(*[m.kill() for _ in range(4)]):
            assert report.killed
        assert (await m.kill()).killed
        assert (await m.stop()).killed
        with pytest.raises(ShutdownError):
            await m.submit(kit.returns())


async def test_point_09_every_resource_is_destroyed(engine: Any, kit: Any) -> None:
    """kill() destroys the resources of workers and pool."""
    async with engine.manager(worker_count=3, resource_pool_size=2) as m:
        await eventually(lambda: len(m.resources.created) == 5)
        await m.kill()
        m.resources.check_all_ended_once()


async def test_point_09_blocked_callers_get_task_killed(engine: Any, kit: Any) -> None:
    """queue_task callers whose task is queued get TaskKilled instead of hanging."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        callers = [asyncio.create_task(m.queue_task(kit.returns())) for _ in range(10)]
        await eventually(lambda: m.stats().queued_tasks == 10)
        await m.kill()
        for caller in callers:
            with pytest.raises(TaskKilled):
                await caller


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("timeout", [math.inf, 1e10, threading.TIMEOUT_MAX * 2], ids=repr)
async def test_point_09_an_endless_timeout(engine: Any, kit: Any, end: str, timeout: float) -> None:
    """A timeout longer than any timer of the system is a long one, and nothing else."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=1) as m:
        future = await m.submit(kit.holds(gate, "value"))
        await gate.arrivals(1)
        call = asyncio.create_task(getattr(m, end)(timeout))
        await eventually(lambda: m.closed)
        gate.open()
        report = await call
        assert (report.killed, report.abandoned) == (end == "kill", ())
        assert await future.result() == "value"
        assert m.stats().resources.alive == 0


@pytest.mark.parametrize("grace", [1e10, threading.TIMEOUT_MAX * 2], ids=repr)
async def test_point_09_an_endless_grace(engine: Any, kit: Any, grace: float) -> None:
    """The same goes for cancel_grace, in kill() and in the stop() after it."""
    async with engine.manager(cancel_grace=grace) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        assert (await m.kill()).killed is True
        assert (await m.stop()).killed is True


async def test_point_09_the_report_of_a_kill_that_gave_up(engine: Any, kit: Any) -> None:
    """Its `seconds` are the timeout, and little more."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        report = await m.kill(0.2)
        assert 0.19 <= report.seconds < 20
        gate.open()


async def test_point_09_kill_without_time(engine: Any, kit: Any) -> None:
    """kill(0) returns at once, and every task has its outcome then."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        futures = [await m.submit(kit.holds(gate)) for _ in range(5)]
        await gate.arrivals(2)
        report = await m.kill(0)
        assert [future.done() for future in futures] == [True] * 5
        assert report.killed_tasks == 5
        gate.open()


@pytest.mark.parametrize("call", ["kill", "stop"])
async def test_point_09_more_queued_tasks_than_there_is_time_for(engine: Any, kit: Any, call: str) -> None:
    """The call returns at its deadline, and says when that was; the tasks end all the same, a moment later."""
    gate = engine.gate()
    async with engine.manager() as m:
        ended = await m.submit(kit.returns())
        await ended.result()
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        queued = [await m.submit(kit.returns()) for _ in range(3)]
        go_on = internals.drop_without_end(m.raw, ended.raw)
        report = await (m.kill(0.3) if call == "kill" else m.stop(0.3))
        assert 0.29 <= report.seconds < 30
        assert not any(future.done() for future in queued)
        go_on()
        gate.open()
        for future in queued:
            assert isinstance(await outcome_error(future), TaskKilled)
        assert (await m.stop()).killed_tasks == 4
