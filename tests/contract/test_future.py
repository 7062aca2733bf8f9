"""TaskFuture: its facts, and cancel."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import SLOWER, eventually
from tasker import Priority, TaskCancelled, TaskFuture, TaskKilled


async def test_it_is_a_concurrent_future(engine: Any, kit: Any) -> None:
    """submit returns a TaskFuture, which is a concurrent.futures.Future."""
    async with engine.manager() as m:
        future = await m.submit(kit.returns())
        assert isinstance(future.raw, TaskFuture)
        assert isinstance(future.raw, concurrent.futures.Future)


async def test_its_states(engine: Any, kit: Any) -> None:
    """Queued: neither running nor done; running: running; then done."""
    gate, second = engine.gate(), engine.gate()
    async with engine.manager() as m:
        first = await m.submit(kit.holds(gate))
        future = await m.submit(kit.holds(second, 1))
        await gate.arrivals(1)
        await eventually(first.running)  # a child may be there before that is noted here
        assert (first.running(), first.done()) == (True, False)
        assert (future.running(), future.done(), future.cancelled()) == (False, False, False)
        gate.open()
        await second.arrivals(1)
        await eventually(future.running)
        assert (future.running(), future.done()) == (True, False)
        second.open()
        assert await future.result() == 1
        assert (future.running(), future.done(), future.cancelled()) == (False, True, False)
        assert await future.exception() is None


async def test_ids_count_submissions_from_one(engine: Any, kit: Any) -> None:
    """id is 1, 2, 3 ... in the order of submission, whatever the priority."""
    async with engine.manager() as m:
        futures = [await m.submit(kit.returns(), priority=p) for p in list(Priority) * 3]
        assert [future.id for future in futures] == list(range(1, 10))


async def test_timestamps_are_in_order(engine: Any, kit: Any) -> None:
    """timestamps is None until the end, then queued <= started <= finished, on time.monotonic."""
    gate = engine.gate()
    before = time.monotonic()
    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        assert future.raw.timestamps is None
        middle = time.monotonic()
        gate.open()
        await future.result()
        stamps = future.timestamps
        after = time.monotonic()
        late = 0.5 * (SLOWER - 1)  # over Ray the start is derived from the end: two machines have two clocks
        assert before <= stamps.queued_at <= stamps.started_at <= middle + late
        assert middle <= stamps.finished_at <= after


async def test_the_worker_is_named(engine: Any, kit: Any) -> None:
    """worker is None while queued, then the name of the worker that ran the last attempt."""
    gate = engine.gate()
    async with engine.manager(name="named") as m:
        first = await m.submit(kit.holds(gate))
        future = await m.submit(kit.returns())
        await gate.arrivals(1)
        assert future.worker is None
        gate.open()
        await future.result()
        assert future.worker == "named-1"
        assert first.worker == "named-1"


async def test_attempts_count_starts(engine: Any, kit: Any) -> None:
    """attempts is 0 while queued and 1 after a plain run."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        future = await m.submit(kit.returns())
        await gate.arrivals(1)
        assert future.attempts == 0
        gate.open()
        await future.result()
        assert future.attempts == 1


async def test_result_timeout(engine: Any, kit: Any) -> None:
    """result(timeout) and exception(timeout) raise TimeoutError and leave the task alone."""
    gate = engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate, "later"))
        await gate.arrivals(1)
        with pytest.raises(TimeoutError):
            await future.result(0.05)
        with pytest.raises(TimeoutError):
            await future.exception(0.05)
        with pytest.raises(TimeoutError):
            await future.result(0)
        gate.open()
        assert await future.result() == "later"


async def test_cancel_of_a_queued_task(engine: Any, kit: Any) -> None:
    """cancel() is True, the task never starts, result() raises TaskCancelled, again True later."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        future = await m.submit(kit.records(log, "ran"))
        assert future.cancel() is True
        assert future.cancelled()
        assert future.done()
        assert future.cancel() is True
        with pytest.raises(TaskCancelled) as caught:
            await future.result()
        assert not isinstance(caught.value, TaskKilled)
        with pytest.raises(concurrent.futures.CancelledError):
            await future.exception()
        gate.open()
    assert log == []
    assert future.attempts == 0


async def test_cancel_of_a_running_task(engine: Any, kit: Any) -> None:
    """cancel() is False and cancels the context; a task that obeys ends with TaskCancelled."""
    gate = engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        assert future.cancel() is False
        with pytest.raises(TaskCancelled) as caught:
            await future.result()
        assert not isinstance(caught.value, TaskKilled)
        assert await m.queue_task(kit.returns("alive")) == "alive"


async def test_cancel_of_a_running_task_that_finishes_all_the_same(engine: Any, kit: Any) -> None:
    """A running task that ignores its context keeps its result."""
    gate = engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate, "kept"))
        await gate.arrivals(1)
        assert future.cancel() is False
        assert not future.done()
        gate.open()
        assert await future.result() == "kept"
        assert not future.cancelled()


async def test_cancel_touches_one_task_only(engine: Any, kit: Any) -> None:
    """Cancelling one running task leaves the context of another alone."""
    gate, other = engine.gate(), engine.gate()
    async with engine.manager(worker_count=2) as m:
        victim = await m.submit(kit.until_cancelled(gate))
        bystander = await m.submit(kit.watches(other))
        await gate.arrivals(1)
        await other.arrivals(1)
        victim.cancel()
        with pytest.raises(TaskCancelled):
            await victim.result()
        other.open()
        assert await bystander.result() is False


async def test_cancel_of_a_done_task(engine: Any, kit: Any) -> None:
    """cancel() of a finished task is False and changes nothing."""
    async with engine.manager() as m:
        future = await m.submit(kit.returns(1))
        await future.result()
        assert future.cancel() is False
        assert await future.result() == 1


async def test_cancel_between_attempts(engine: Any, kit: Any) -> None:
    """A task that waits for its retry can be cancelled and is not started again."""
    creation = engine.gate()
    resources = ScriptedResources(None, creation)
    async with engine.manager(resources=resources, check_health=kit.hook(lambda error: False)) as m:
        future = await m.submit(kit.script(OSError("sick"), "again"))
        await creation.arrivals(1)
        await eventually(lambda: not future.running())
        assert future.cancel() is True
        assert future.cancelled()
        creation.open()
        assert await m.queue_task(kit.returns("next")) == "next"
        assert future.attempts == 1


async def test_cancelled_tasks_leave_the_queue(engine: Any, kit: Any) -> None:
    """Many cancelled tasks neither run nor count as queued."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        futures = [await m.submit(kit.records(log, n)) for n in range(40)]
        assert all(future.cancel() for future in futures[::2])
        assert m.stats().queued_tasks == 20
        gate.open()
    assert log == list(range(1, 40, 2))


async def test_queue_task_is_not_cancelled_with_other_tasks(engine: Any, kit: Any) -> None:
    """queue_task returns its result while other tasks are cancelled."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        victim = await m.submit(kit.returns())
        call = asyncio.create_task(m.queue_task(kit.returns("mine")))
        await eventually(lambda: m.stats().queued_tasks == 2)
        victim.cancel()
        gate.open()
        assert await call == "mine"
