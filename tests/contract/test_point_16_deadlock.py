"""Point 16: a task that waits for its own saturated pool gets DeadlockError, and no other task does."""

from __future__ import annotations

from typing import Any

import pytest

from support import internals
from support.waiting import eventually, throughout
from tasker import DeadlockError, QueueFull


async def inner(own: Any) -> str:
    """A task that another one waits for."""
    return "inner"


async def waits(own: Any, future: Any) -> Any:
    """A task that waits for another one."""
    return await own.result(future)


def waiting_for_inner(engine: Any, m: Any) -> Any:
    """A task that submits `inner` and waits for it."""

    async def outer(own: Any) -> Any:
        return await own.queue_task(engine.inside_task(m, inner))

    return engine.inside_task(m, outer)


async def test_point_16_queue_task_inside_the_only_worker(engine: Any, kit: Any) -> None:
    """queue_task inside a task of a pool of one raises DeadlockError there, and the manager works on."""
    async with engine.manager() as m:
        future = await m.submit(waiting_for_inner(engine, m))
        with pytest.raises(DeadlockError):
            await future.result()
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_point_16_result_inside_the_only_worker(engine: Any, kit: Any) -> None:
    """Waiting for a future inside a task raises DeadlockError; the awaited task still runs later."""
    inside: list[Any] = []

    async def outer(own: Any) -> Any:
        inside.append(await own.submit(kit.returns("inner")))
        return await own.result(inside[0])

    async with engine.manager() as m:
        future = await m.submit(engine.inside_task(m, outer))
        with pytest.raises(DeadlockError):
            await future.result()
        await eventually(lambda: inside[0].done())
        assert inside[0].result() == "inner"


async def test_point_16_limits_of_tasks_are_no_way_out(engine: Any, kit: Any) -> None:
    """The error does not wait until the awaited task has missed its deadline, or the waiting one has had its time."""

    async def outer(own: Any) -> Any:
        return await own.result(await own.submit(kit.returns(), deadline=1000))

    async with engine.manager() as m:
        future = await m.submit(engine.inside_task(m, outer), timeout=1000)
        with pytest.raises(DeadlockError):
            await future.result()


async def test_point_16_exception_inside_the_only_worker(engine: Any, kit: Any) -> None:
    """future.exception() without a timeout waits just as result() does."""

    async def outer(own: Any) -> Any:
        return (await own.submit(kit.returns())).exception()

    async with engine.manager() as m:
        future = await m.submit(engine.inside_task(m, outer))
        with pytest.raises(DeadlockError):
            await future.result()


async def test_point_16_the_error_names_both_tasks(engine: Any) -> None:
    """The message names the waiting and the awaited task."""
    async with engine.manager() as m:
        future = await m.submit(waiting_for_inner(engine, m))
        error = await future.exception()
        assert "task #1" in str(error)
        assert "outer" in str(error)
        assert "task #2" in str(error)
        assert "inner" in str(error)


async def test_point_16_the_waiting_task_may_catch_it(engine: Any, kit: Any) -> None:
    """DeadlockError is raised in the task, which may go on."""

    async def outer(own: Any) -> str:
        try:
            return str(await own.queue_task(kit.returns("inner")))
        except DeadlockError:
            return "did it itself"

    async with engine.manager() as m:
        assert await m.queue_task(engine.inside_task(m, outer)) == "did it itself"


async def test_point_16_all_workers_wait(engine: Any, kit: Any) -> None:
    """When every worker waits for a queued task, at least one of them gets the error, and all come to an end."""
    begun, submitted = engine.gate(), engine.gate()

    async def outer(own: Any) -> Any:
        await own.pass_through(begun)  # so that no worker is free for what the others submit
        future = await own.submit(kit.returns("inner"))
        await own.pass_through(submitted)
        return await own.result(future)

    async with engine.manager(worker_count=3) as m:
        futures = [await m.submit(engine.inside_task(m, outer)) for _ in range(3)]
        for gate in (begun, submitted):
            await gate.arrivals(3)
            gate.open()
        errors = [error for future in futures if (error := await future.exception()) is not None]
    assert errors
    assert all(isinstance(error, DeadlockError) for error in errors)


async def test_point_16_two_tasks_wait_for_each_other(engine: Any) -> None:
    """Two running tasks that wait for each other's future do not hang."""
    both: list[Any] = []
    known = engine.gate()

    async def outer(own: Any, other: int) -> Any:
        await own.pass_through(known)
        return await own.result(both[other])

    async with engine.manager(worker_count=2) as m:
        for other in (1, 0):
            both.append(await m.submit(engine.inside_task(m, outer), other))
        await known.arrivals(2)
        known.open()
        errors = [await future.exception() for future in both]
    assert any(isinstance(error, DeadlockError) for error in errors)


async def test_point_16_a_task_that_waits_for_itself(engine: Any) -> None:
    """A task that waits for its own future gets the error, although another worker is free."""
    mine: list[Any] = []
    known = engine.gate()

    async def outer(own: Any) -> Any:
        await own.pass_through(known)
        return await own.result(mine[0])

    async with engine.manager(worker_count=2) as m:
        mine.append(await m.submit(engine.inside_task(m, outer)))
        known.open()
        assert isinstance(await mine[0].exception(), DeadlockError)


async def test_point_16_not_when_another_worker_is_free(engine: Any, kit: Any) -> None:
    """With a second, idle worker, waiting inside a task is fine."""

    async def outer(own: Any) -> Any:
        return await own.queue_task(kit.returns(1)), await own.result(await own.submit(kit.returns(2)))

    async with engine.manager(worker_count=2) as m:
        assert await m.queue_task(engine.inside_task(m, outer)) == (1, 2)


async def test_point_16_not_when_another_worker_is_busy(engine: Any, kit: Any) -> None:
    """A worker whose task does not wait will take the next task; so waiting is fine."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        future = await m.submit(waiting_for_inner(engine, m))
        await eventually(lambda: future.done() or internals.workers_that_wait(m) == 1)
        await throughout(lambda: not future.done(), 0.3)
        gate.open()
        assert await future.result() == "inner"


async def test_point_16_a_pool_that_may_grow_grows(engine: Any) -> None:
    """Where a burst worker is still allowed, it comes and runs the awaited task."""
    async with engine.manager(max_worker_count=2, burst_interval=0.02) as m:
        assert await m.queue_task(waiting_for_inner(engine, m)) == "inner"


async def test_point_16_a_pool_that_may_grow_grows_step_by_step(engine: Any) -> None:
    """A chain of waiting tasks grows the pool to its maximum; beyond that, the last link gets the error."""

    async def link(own: Any, depth: int) -> int:
        return 0 if depth == 0 else 1 + await own.queue_task(engine.inside_task(m, link), depth - 1)

    async with engine.manager(max_worker_count=4, burst_interval=0.02) as m:
        assert await m.queue_task(engine.inside_task(m, link), 3) == 3
    async with engine.manager(max_worker_count=4, burst_interval=0.02) as m:
        future = await m.submit(engine.inside_task(m, link), 9)
        assert isinstance(await future.exception(), DeadlockError)


async def test_point_16_without_scaling_it_cannot_grow(engine: Any) -> None:
    """With burst_interval=0, a pool below its maximum does not grow, so the task gets the error."""
    async with engine.manager(max_worker_count=2, burst_interval=0) as m:
        future = await m.submit(waiting_for_inner(engine, m))
        assert isinstance(await future.exception(), DeadlockError)


async def test_point_16_a_wait_with_a_timeout_is_no_deadlock(engine: Any, kit: Any) -> None:
    """A wait with a timeout inside a task ends with TimeoutError."""

    async def outer(own: Any) -> str:
        try:
            await own.result(await own.submit(kit.returns()), 0.1)
        except DeadlockError:
            return "deadlock"
        except TimeoutError:
            return "timeout"
        return "result"

    async with engine.manager() as m:
        assert await m.queue_task(engine.inside_task(m, outer)) == "timeout"


async def test_point_16_blocking_submit_on_a_full_queue(engine: Any, kit: Any) -> None:
    """A task that waits for a place in its own full queue gets the error."""

    async def outer(own: Any) -> None:
        for _ in range(3):
            await own.submit(kit.returns())

    async with engine.manager(max_queue_size=1) as m:
        future = await m.submit(engine.inside_task(m, outer))
        assert isinstance(await future.exception(), DeadlockError)


async def test_point_16_submit_without_blocking_is_full(engine: Any, kit: Any) -> None:
    """Inside a task, submit(block=False) on a full queue raises QueueFull as everywhere."""

    async def outer(own: Any) -> None:
        await own.submit(kit.returns())
        await own.submit(kit.returns(), block=False)

    async with engine.manager(max_queue_size=1) as m:
        future = await m.submit(engine.inside_task(m, outer))
        assert isinstance(await future.exception(), QueueFull)


async def test_point_16_waiting_for_another_manager_is_fine(engine: Any, kit: Any) -> None:
    """A task may wait for a task of another manager."""

    async def outer(own: Any) -> Any:
        return await own.queue_task(kit.returns("inner"))

    async with engine.manager() as m, engine.manager() as other:
        assert await m.queue_task(engine.inside_task(other, outer)) == "inner"


async def test_point_16_waiting_for_a_finished_task_is_fine(engine: Any, kit: Any) -> None:
    """A wait for a task that is done returns inside a task."""
    async with engine.manager() as m:
        done = await m.submit(kit.returns("inner"))
        await done.result()
        assert await m.queue_task(engine.inside_task(m, waits), done.raw) == "inner"


async def test_point_16_run_task_inside_a_task_is_fine(engine: Any, kit: Any) -> None:
    """run_task inside a task needs no worker."""

    async def outer(own: Any) -> Any:
        return await own.run_task(kit.returns("inner"))

    async with engine.manager(resource_pool_size=1) as m:
        assert await m.queue_task(engine.inside_task(m, outer)) == "inner"


@pytest.mark.parametrize("ordered", [True, False])
async def test_point_16_map_inside_the_only_worker(engine: Any, kit: Any, ordered: bool) -> None:
    """map inside a task of a saturated pool raises DeadlockError there, and cancels what it had submitted."""

    async def outer(own: Any) -> Any:
        return await own.map(kit.echo(), range(3), ordered=ordered)

    async with engine.manager() as m:
        future = await m.submit(engine.inside_task(m, outer))
        assert isinstance(await future.exception(), DeadlockError)
        assert await m.queue_task(kit.returns(5)) == 5
        await eventually(lambda: m.stats().done_tasks == m.stats().accepted_tasks)
        assert m.stats().accepted_tasks == 5
        assert m.metrics().total_tasks_completed == 1


@pytest.mark.parametrize("ordered", [True, False])
async def test_point_16_map_inside_a_task_beside_a_free_worker(engine: Any, kit: Any, ordered: bool) -> None:
    """With a second worker, map inside a task is fine, and leaves no wait behind."""

    async def outer(own: Any) -> Any:
        return await own.map(kit.echo(), range(20), ordered=ordered, look_ahead=3)

    async with engine.manager(worker_count=2) as m:
        assert sorted(await m.queue_task(engine.inside_task(m, outer))) == list(range(20))
        assert internals.workers_that_wait(m) == 0


async def test_point_16_not_after_a_resize_where_the_awaited_task_runs(engine: Any, kit: Any) -> None:
    """After a resize downwards, while more workers live than the new limit, waiting for tasks that run is no deadlock."""
    slow, go = engine.gate(), engine.gate()

    async def outer(own: Any) -> Any:
        sub = await own.submit(kit.holds(slow, "slow"))
        await own.pass_through(go)
        return await own.result(sub)

    async with engine.manager(worker_count=4, max_worker_count=4, burst_interval=0) as m:
        waiting = [await m.submit(engine.inside_task(m, outer)) for _ in range(2)]
        await go.arrivals(2)
        await slow.arrivals(2)
        m.resize(worker_count=2, max_worker_count=2)
        await eventually(lambda: m.explain().max_worker_count == 2)
        go.open()
        await eventually(lambda: any(f.done() for f in waiting) or internals.workers_that_wait(m) == 2)
        assert [await future.exception(5) for future in waiting if future.done()] == []
        slow.open()
        assert [await future.result() for future in waiting] == ["slow", "slow"]
        await eventually(lambda: m.stats().active_workers == 2)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_point_08_stop_inside_a_task_raises(engine: Any, kit: Any, end: str) -> None:
    """stop() and kill() inside a task raise DeadlockError, and the manager works on."""

    async def outer(own: Any) -> None:
        await own.end(end)

    async with engine.manager() as m:
        future = await m.submit(engine.inside_task(m, outer))
        assert isinstance(await future.exception(), DeadlockError)
        assert not m.closed
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_point_08_stop_inside_run_task_raises(engine: Any, kit: Any) -> None:
    """stop() inside run_task, for which stop() would wait, raises DeadlockError."""

    async def outer(own: Any) -> None:
        await own.end("stop")

    async with engine.manager(resource_pool_size=1) as m:
        with pytest.raises(DeadlockError):
            await m.run_task(engine.inside_task(m, outer))
        assert await m.queue_task(kit.returns("next")) == "next"
