"""Point 16, where it is only after a wait has begun that nothing can end it any more; and where it only seems so."""

from __future__ import annotations

from typing import Any

import pytest

from support import internals
from support.resources import ScriptedResources
from support.waiting import eventually, throughout
from tasker import DeadlockError


def waiting_for(engine: Any, m: Any, inner: Any) -> Any:
    """A task that submits `inner` and waits for it."""

    async def outer(own: Any) -> Any:
        return await own.queue_task(inner)

    return engine.inside_task(m, outer)


async def shrink(m: Any, count: int) -> None:
    """Resize a pool that does not scale, and wait until the surplus workers are to retire."""
    m.resize(worker_count=count, max_worker_count=count)
    # Once the second one is seen, whatever the first one leads to is done.
    m.resize(max_worker_count=count + 1)
    await eventually(lambda: (m.explain().worker_count, m.explain().max_worker_count) == (count, count + 1))


async def test_point_16_a_resize_retires_the_other_workers(engine: Any, kit: Any) -> None:
    """Once the workers that do not wait have retired, one of those that wait gets the error, and all come to an end."""
    busy, begun = engine.gate(), engine.gate()

    async def outer(own: Any) -> Any:
        await own.pass_through(begun)
        return await own.queue_task(kit.returns("inner"))

    async with engine.manager(worker_count=4, max_worker_count=4, burst_interval=0) as m:
        others = [await m.submit(kit.holds(busy, "other")) for _ in range(2)]
        await busy.arrivals(2)
        waiting = [await m.submit(engine.inside_task(m, outer)) for _ in range(2)]
        await begun.arrivals(2)
        begun.open()
        await eventually(lambda: internals.workers_that_wait(m) == 2)
        await shrink(m, 2)
        await throughout(lambda: not any(future.done() for future in waiting), 0.1)
        busy.open()
        assert [await future.result() for future in others] == ["other", "other"]
        errors = [error for future in waiting if (error := await future.exception()) is not None]
        assert errors
        assert all(isinstance(error, DeadlockError) for error in errors)
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_point_16_a_refused_wait_leaves_the_awaited_task_alone(engine: Any, kit: Any) -> None:
    """The task for which a wait is refused after it has begun still runs."""
    inside: list[Any] = []
    busy = engine.gate()

    async def outer(own: Any) -> Any:
        inside.append(await own.submit(kit.returns("inner")))
        return await own.result(inside[0])

    async with engine.manager(worker_count=2, max_worker_count=2, burst_interval=0) as m:
        other = await m.submit(kit.holds(busy))
        await busy.arrivals(1)
        future = await m.submit(engine.inside_task(m, outer))
        await eventually(lambda: internals.workers_that_wait(m) == 1)
        await shrink(m, 1)
        busy.open()
        assert isinstance(await future.exception(), DeadlockError)
        await other.result()
        await eventually(lambda: inside[0].done())
        assert inside[0].result() == "inner"


@pytest.mark.parametrize("awaited", ["task", "slot", "map"])
async def test_point_16_a_burst_worker_that_cannot_be_made(engine: Any, kit: Any, awaited: str) -> None:
    """Where the pool may grow and its resource cannot be made within ready_timeout, the wait ends with the error, and
    the worker runs what was waited for."""

    async def outer(own: Any) -> Any:
        if awaited == "map":
            return await own.map(kit.echo(), range(3), ordered=False)
        futures = [await own.submit(kit.returns()) for _ in range(1 if awaited == "task" else 3)]
        return await own.result(futures[0])

    resources = ScriptedResources(None, then=OSError("no more of them"))
    config = {"max_queue_size": 1} if awaited == "slot" else {}
    async with engine.manager(
        max_worker_count=2,
        burst_interval=0.02,
        creation_backoff=0.01,
        ready_timeout=0.3,
        resources=resources,
        **config,
    ) as m:
        future = await m.submit(engine.inside_task(m, outer))
        error = await future.exception()
        assert isinstance(error, DeadlockError)
        assert "no more of them" in str(error)
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_point_16_a_creation_that_fails_and_then_succeeds(engine: Any, kit: Any) -> None:
    """A burst worker that is made at the second try runs the awaited task: one failure is no deadlock."""
    resources = ScriptedResources(None, OSError("not yet"))
    async with engine.manager(
        max_worker_count=2, burst_interval=0.02, creation_backoff=0.01, ready_timeout=20, resources=resources
    ) as m:
        assert await m.queue_task(waiting_for(engine, m, kit.returns("inner"))) == "inner"


async def test_point_16_stop_while_no_worker_can_be_made(engine: Any, kit: Any) -> None:
    """stop() does not wait for ever for a task that waits for a worker which cannot be made, also without a
    ready_timeout."""
    resources = ScriptedResources(None, then=OSError("no more of them"))
    async with engine.manager(max_worker_count=2, burst_interval=0.02, creation_backoff=0.01, resources=resources) as m:
        future = await m.submit(waiting_for(engine, m, kit.returns("inner")))
        await eventually(lambda: resources.attempts >= 2)
        assert (await m.stop()).killed is False
        assert isinstance(await future.exception(), DeadlockError)
        assert m.stats().done_tasks == m.stats().accepted_tasks == 2


async def test_point_16_not_after_a_resize_in_the_task_itself(engine: Any, kit: Any) -> None:
    """A task that lets its own pool grow and then waits is judged by the new bounds."""

    async def outer(own: Any, most: int) -> Any:
        own.raw.resize(worker_count=most, max_worker_count=most)
        return await own.queue_task(kit.returns("inner"))

    for burst_interval in (0, 0.02):
        async with engine.manager(burst_interval=burst_interval) as m:
            for most in range(2, 12):
                assert await m.queue_task(engine.inside_task(m, outer), most) == "inner"
                m.resize(worker_count=1, max_worker_count=1)
                await eventually(lambda m=m: m.stats().active_workers == 1)


async def test_point_16_two_tasks_that_wait_for_each_other_beside_a_free_worker(engine: Any, kit: Any) -> None:
    """A free worker does not help two tasks that wait for each other: one of them gets the error."""
    both: list[Any] = []
    known = engine.gate()

    async def outer(own: Any, other: int) -> Any:
        await own.pass_through(known)
        return await own.result(both[other])

    async with engine.manager(worker_count=3, burst_interval=0.02) as m:
        for other in (1, 0):
            both.append(await m.submit(engine.inside_task(m, outer), other))
        await known.arrivals(2)
        known.open()
        errors = [await future.exception() for future in both]
        assert any(isinstance(error, DeadlockError) for error in errors)
        assert await m.queue_task(kit.returns("next")) == "next"
