"""`stop(hand_back=True)` runs what has begun, and hands back what has not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Health, MaxRetriesExceeded, Priority, RetryPolicy, Snooze, TaskHandedBack, TaskKilled

BOOM = OSError("no")


async def test_what_has_not_started_comes_back(engine: Any, kit: Any) -> None:
    """The running task ends well; the others are in the report, most urgent first, and their futures say so."""
    gate = engine.gate()
    async with engine.manager() as m:
        running = await m.submit(kit.holds(gate, "ran"))
        await gate.arrivals(1)
        echo, policy = kit.echo(), RetryPolicy(max_retries=7)
        low = await m.submit(echo, 1, priority=Priority.LOW)
        normal = await m.submit(echo, 2, once=True, retry=policy, timeout=50, deadline=60)
        high = await m.submit(echo, 3, priority=Priority.HIGH)
        stopping = asyncio.ensure_future(m.stop(hand_back=True))
        await eventually(lambda: low.done() and normal.done() and high.done())
        assert not stopping.done()
        gate.open()
        report = await stopping
        assert await running == "ran"
        back = report.handed_back
        assert [one.args for one in back] == [(3,), (2,), (1,)]
        assert [one.priority for one in back] == [Priority.HIGH, Priority.NORMAL, Priority.LOW]
        assert [(one.once, one.retry, one.attempts) for one in back] == [
            (False, None, 0),
            (True, policy, 0),
            (False, None, 0),
        ]
        assert [(one.timeout, one.deadline) for one in back] == [(None, None), (50, 60), (None, None)]
        assert [one.future.id for one in back] == [future.id for future in (high, normal, low)]
        assert (report.killed, report.killed_tasks, report.completed_tasks, report.cancelled_tasks) == (False, 0, 1, 3)
        for future in (low, normal, high):
            assert future.cancelled()
            with pytest.raises(TaskHandedBack, match="handed back"):
                await future.result()
        stats = m.stats()
        assert (stats.done_tasks, stats.accepted_tasks, stats.queued_tasks, stats.priority_tasks) == (4, 4, 0, 0)


async def test_it_can_be_submitted_elsewhere(engine: Any, kit: Any) -> None:
    """`resubmit` gives another manager the task with its options."""
    async with engine.manager() as other:
        async with engine.manager() as m:
            await m.pause()
            for n in range(5):
                await m.submit(kit.echo(), n, once=n % 2 == 0)
            report = await m.stop(hand_back=True)
        futures = [one.resubmit(other.raw) for one in report.handed_back]
        await eventually(lambda: all(future.done() for future in futures))
        assert [future.result() for future in futures] == [*range(5)]


async def test_without_it_everything_is_run(engine: Any, kit: Any) -> None:
    """The default is what it was."""
    async with engine.manager() as m:
        futures = [await m.submit(kit.returns(n)) for n in range(5)]
        report = await m.stop()
        assert report.handed_back == ()
        assert [await future for future in futures] == [*range(5)]


async def test_a_delayed_retry_comes_back(engine: Any, kit: Any) -> None:
    """A task that waits for its next attempt does not get it; one that would be tried again during the stop neither."""
    gate = engine.gate()
    policy = RetryPolicy(retry_on=OSError, backoff=1000, max_backoff=1000, at_stop="report")
    async with engine.manager(worker_count=2, retry=policy) as m:
        delayed = await m.submit(kit.raises(BOOM))
        await eventually(lambda: m.stats().delayed_tasks == 1)
        failing = await m.submit(kit.fails_at(gate, BOOM), retry=RetryPolicy(retry_on=OSError))
        await gate.arrivals(1)
        stopping = asyncio.ensure_future(m.stop(hand_back=True))
        await eventually(delayed.done)
        gate.open()
        report = await stopping
        assert report.handed_back[0].attempts == 1
        assert len(report.handed_back) in (1, 2)
        assert failing.done() and delayed.cancelled()


@pytest.mark.parametrize("error", [Snooze(60.0), BOOM], ids=["snooze", "retry"])
async def test_a_running_task_that_would_wait_comes_back(engine: Any, kit: Any, error: Exception) -> None:
    """One that snoozes, or is to be tried again after a pause, is for who goes on with the work, whatever `at_stop` says."""
    policy, gate = RetryPolicy(retry_on=OSError, backoff=60.0, max_backoff=60.0, at_stop="report"), engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kit.fails_at(gate, error), retry=policy)
        await gate.arrivals(1)
        queued = await m.submit(kit.returns(1))
        stopping = asyncio.ensure_future(m.stop(hand_back=True))
        await eventually(queued.done)
        gate.open()
        report = await stopping
        assert [one.future.id for one in report.handed_back] == [queued.id, future.id]
        assert report.delayed_tasks == 0
        with pytest.raises(TaskHandedBack):
            await future.result()


async def test_beside_a_worker_that_cools_down(engine: Any, kit: Any) -> None:
    """It starts none of the tasks, and its resource is asked for nothing."""
    verdict = engine.kit.hook(lambda error: Health.COOL_DOWN(60.0))
    async with engine.manager(max_worker_count=1, max_retries=0, check_health=verdict) as m:
        with pytest.raises(MaxRetriesExceeded):
            await m.queue_task(kit.raises(BOOM))
        await eventually(lambda: m.stats().cooling_workers == 1)
        futures = [await m.submit(kit.returns(n)) for n in range(5)]
        report = await m.stop(hand_back=True)
        assert [one.future.id for one in report.handed_back] == [future.id for future in futures]


async def test_many_under_load(engine: Any, kit: Any) -> None:
    """Each task is either run or handed back, never both, and none is lost."""
    log: list[int] = []
    task = kit.calls(lambda ctx, resource, n: log.append(n) or n)
    async with engine.manager(worker_count=3) as m:
        futures = [await m.submit(task, n) for n in range(600)]
        report = await m.stop(hand_back=True)
        back = [one.args[0] for one in report.handed_back]
        assert sorted([*back, *log]) == [*range(600)]
        assert all(future.done() for future in futures)
        assert [n for n, future in enumerate(futures) if future.cancelled()] == sorted(back)


async def test_a_paused_manager(engine: Any, kit: Any) -> None:
    """It hands back in place of resuming."""
    log: list[Any] = []
    async with engine.manager(worker_count=2) as m:
        await m.pause()
        for n in range(10):
            await m.submit(kit.records(log), n)
        report = await m.stop(hand_back=True)
        assert [one.args for one in report.handed_back] == [(n,) for n in range(10)]
        assert not log


async def test_a_timeout_kills_what_runs(engine: Any, kit: Any) -> None:
    """What was handed back stays so."""
    gate = engine.gate()
    async with engine.manager() as m:
        running = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        await m.submit(kit.returns(1))
        report = await m.stop(0.5, hand_back=True)
        assert report.killed
        assert len(report.handed_back) == 1
        with pytest.raises(TaskKilled):
            await running.result()


async def test_while_a_stop_is_under_way(engine: Any, kit: Any) -> None:
    """A second stop that asks for it hands back what the first one has not started yet."""
    gate = engine.gate()
    async with engine.manager() as m:
        running = await m.submit(kit.holds(gate, "ran"))
        await gate.arrivals(1)
        queued = await m.submit(kit.returns(1))
        first = asyncio.ensure_future(m.stop())
        await eventually(lambda: m.closed)
        second = asyncio.ensure_future(m.stop(hand_back=True))
        await eventually(queued.done)
        gate.open()
        assert len((await second).handed_back) == len((await first).handed_back) == 1
        assert await running == "ran"


async def test_waiting_callers_hear_of_it(engine: Any, kit: Any) -> None:
    """`queue_task`, `map` and a `callback` get the error."""
    heard: list[Any] = []
    async with engine.manager() as m:
        await m.pause()
        waiting = asyncio.ensure_future(m.queue_task(kit.returns(1)))
        await m.submit(kit.returns(2), callback=lambda result, error: heard.append(error))

        async def collect() -> None:
            async for _ in m.map(kit.echo(), range(20), look_ahead=5):
                raise AssertionError("nothing may come")

        collecting = asyncio.ensure_future(collect())
        await eventually(lambda: m.stats().queued_tasks >= 4)
        await m.stop(hand_back=True)
        for call in (waiting, collecting):
            with pytest.raises(TaskHandedBack):
                await call
        assert [type(error) for error in heard] == [TaskHandedBack]
