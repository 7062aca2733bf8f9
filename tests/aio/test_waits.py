"""Which waits inside a task are found to last for ever, and which may end by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from support import internals
from support.gates import Gate
from support.waiting import eventually
from tasker import Context, DeadlockError
from tasker.aio.timers import timed_by


async def inner(ctx: Context, resource: Any) -> str:
    """A task that is waited for."""
    return "inner"


async def by_shield(m: Any) -> Any:
    return await asyncio.shield(m.submit(inner))


async def by_shield_of_a_coroutine(m: Any) -> Any:
    return await asyncio.shield(m.queue_task(inner))


async def by_as_completed(m: Any) -> Any:
    return [await one for one in asyncio.as_completed([m.submit(inner), m.submit(inner)])]


async def by_as_completed_of_coroutines(m: Any) -> Any:
    return [await one for one in asyncio.as_completed([m.queue_task(inner), m.queue_task(inner)])]


async def by_wait_for_the_first(m: Any) -> Any:
    return await asyncio.wait([m.submit(inner), m.submit(inner)], return_when=asyncio.FIRST_COMPLETED)


async def by_wait_beside_others(m: Any) -> Any:
    never = asyncio.get_running_loop().create_future()
    return await asyncio.wait([m.submit(inner), never])


async def by_wait_for_without_limit(m: Any) -> Any:
    return await asyncio.wait_for(m.submit(inner), None)


async def by_group_of_many(m: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(m.queue_task(inner))


async def by_nested_gather(m: Any) -> Any:
    return await asyncio.gather(asyncio.shield(asyncio.gather(m.submit(inner))), m.queue_task(inner))


async def after_a_timeout(m: Any) -> Any:
    async with asyncio.timeout(30):
        await asyncio.sleep(0)
    return await m.queue_task(inner)


async def by_tasks_that_share_what_they_wait_for(m: Any) -> Any:
    level: list[Any] = [asyncio.create_task(m.queue_task(inner)), m.submit(inner)]
    for number in range(20):
        wait: Any = asyncio.gather if number % 2 else waits_for_all
        level = [asyncio.create_task(awaits(wait, level)) for _ in range(2)]
    await asyncio.wait(level)


async def awaits(wait: Any, level: list[Any]) -> None:
    await (wait(level) if wait is waits_for_all else wait(*level))


async def waits_for_all(level: list[Any]) -> None:
    await asyncio.wait(level)


WAYS = [
    by_tasks_that_share_what_they_wait_for,
    by_shield,
    by_shield_of_a_coroutine,
    by_as_completed,
    by_as_completed_of_coroutines,
    by_wait_for_the_first,
    by_wait_beside_others,
    by_wait_for_without_limit,
    by_group_of_many,
    by_nested_gather,
    after_a_timeout,
]


@pytest.mark.parametrize("way", WAYS)
async def test_a_wait_that_would_never_end(make: Any, way: Any) -> None:
    """It raises DeadlockError in the task; what it waited for still runs, and the manager works on."""

    async def outer(ctx: Context, resource: Any) -> Any:
        return await way(m)

    async with make(burst_interval=0.02) as m:
        error = await asyncio.wait_for(failure_of(m.submit(outer)), 20)
        assert isinstance(error, DeadlockError)
        assert "outer" in str(error)
        assert await m.queue_task(inner) == "inner"
        await eventually(lambda: m.stats().done_tasks == m.stats().accepted_tasks)
        assert m.metrics().total_tasks_failed == 1


async def failure_of(future: Any) -> BaseException | None:
    """The error of a task; a result is None."""
    await asyncio.wait([future])
    error: BaseException | None = future.exception()
    return error


async def in_a_long_chain(m: Any) -> Any:
    last: Any = asyncio.create_task(asyncio.sleep(0.1))
    for _ in range(600):
        last = asyncio.create_task(awaits(asyncio.gather, [last]))
    await last


async def first_with_a_timer(m: Any) -> Any:
    mine, timer = m.submit(inner), asyncio.create_task(asyncio.sleep(0.1))
    done, _ = await asyncio.wait([mine, timer], return_when=asyncio.FIRST_COMPLETED)
    assert done == {timer}


async def in_a_timeout(m: Any) -> Any:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await m.submit(inner)


async def in_a_timeout_indirectly(m: Any) -> Any:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.gather(m.submit(inner))


async def child_in_a_timeout(m: Any) -> Any:
    await asyncio.gather(in_a_timeout(m))


async def with_a_limit(m: Any) -> Any:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(m.submit(inner), 0.1)


async def as_completed_with_a_limit(m: Any) -> Any:
    with contextlib.suppress(TimeoutError):
        for one in asyncio.as_completed([m.submit(inner)], timeout=0.1):
            await one


async def gather_with_one_that_fails(m: Any) -> Any:
    async def fails() -> None:
        await asyncio.sleep(0.1)
        raise LookupError

    with contextlib.suppress(LookupError):
        await asyncio.gather(m.submit(inner), fails())


async def cancelled_later(m: Any) -> Any:
    mine = m.submit(inner)
    asyncio.get_running_loop().call_later(0.1, mine.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await mine


async def in_a_cancel_scope(m: Any) -> Any:
    anyio = pytest.importorskip("anyio")
    with anyio.move_on_after(0.1):
        await asyncio.wait([m.submit(inner)])


FINE = [
    in_a_long_chain,
    first_with_a_timer,
    in_a_timeout,
    in_a_timeout_indirectly,
    child_in_a_timeout,
    with_a_limit,
    as_completed_with_a_limit,
    gather_with_one_that_fails,
    cancelled_later,
    in_a_cancel_scope,
]


@pytest.mark.parametrize("way", FINE)
async def test_a_wait_that_ends_by_itself(make: Any, way: Any) -> None:
    """A timer, a timeout or another task that may end the wait makes it none, however often it is looked at."""

    async def outer(ctx: Context, resource: Any) -> str:
        await way(m)
        return "fine"

    async with make(burst_interval=0.01) as m:
        assert await m.submit(outer) == "fine"
        assert m.stats().user_errors == 0


async def test_two_tasks_that_wait_for_each_other_by_gather(make: Any) -> None:
    """They are found although nothing is queued, and another worker is free."""
    gate, futures = Gate(), []  # type: ignore[var-annotated]

    async def waits(ctx: Context, resource: Any, other: int) -> Any:
        await gate.apass_through()
        return await asyncio.gather(futures[other])

    async with make(worker_count=3, max_worker_count=3, burst_interval=0.01) as m:
        futures += [m.submit(waits, 1), m.submit(waits, 0)]
        await gate.arrivals(2)
        gate.open()
        await eventually(lambda: all(future.done() for future in futures))
        errors = [future.exception() for future in futures]
        assert all(isinstance(error, DeadlockError) for error in errors)


async def test_two_workers_that_wait_by_gather(make: Any) -> None:
    """A gather of which one task is done still waits: two such workers are stuck together."""
    begun = Gate()

    async def outer(ctx: Context, resource: Any) -> Any:
        done = m.submit(inner)
        await begun.apass_through()
        await done
        return await asyncio.gather(done, helper(), m.submit(inner))

    async def helper() -> None:
        await asyncio.sleep(0.03)

    async with make(worker_count=3, burst_interval=0.01) as m:
        waiting = [m.submit(outer) for _ in range(2)]
        await begun.arrivals(2)
        await eventually(lambda: m.stats().queued_tasks == 0)
        gate = Gate()
        last = m.submit(holding(gate))
        await gate.arrivals(1)
        begun.open()
        ticks = internals.count_ticks(m)
        await eventually(lambda: len(ticks) > 10)
        m.resize(worker_count=2, max_worker_count=2)
        gate.open()
        errors = [await failure_of(future) for future in waiting]
        assert any(isinstance(error, DeadlockError) for error in errors)
        assert await last == "held"


def holding(gate: Gate) -> Any:
    """A task that passes a gate."""

    async def task(ctx: Context, resource: Any) -> str:
        await gate.apass_through()
        return "held"

    return task


async def test_timers_that_lead_to_a_task() -> None:
    """Found are the tasks and futures that a timer of the loop may end, and no others."""
    loop = asyncio.get_running_loop()
    future, other = loop.create_future(), loop.create_future()
    handles = [loop.call_later(60, lambda: future.cancel()), loop.call_later(60, other.cancel)]
    handles[1].cancel()

    async def timed() -> None:
        async with asyncio.timeout(60):
            await other

    task = asyncio.create_task(timed())
    await asyncio.sleep(0)
    found = timed_by(loop)
    assert found is not None
    assert id(future) in found
    assert id(other) not in found
    assert id(task) in found
    for one in (task, handles[0]):
        one.cancel()


async def test_a_loop_that_does_not_show_its_timers(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, any wait may end by itself, and none is refused."""
    monkeypatch.setattr("tasker.aio.timers._calls_of", lambda loop: None)

    async def outer(ctx: Context, resource: Any) -> str:
        mine = m.submit(inner)
        asyncio.get_running_loop().call_later(0.1, mine.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await mine
        return "fine"

    async with make(burst_interval=0.01) as m:
        assert await m.submit(outer) == "fine"


async def test_a_cancelled_wait_is_none(make: Any) -> None:
    """A task that is cancelled as it begins to wait gets the cancellation, and not DeadlockError."""

    async def outer(ctx: Context, resource: Any) -> Any:
        await asyncio.sleep(0)
        mine.cancel()
        return await m.submit(inner)

    async with make(burst_interval=0.02) as m:
        mine = m.submit(outer)
        with pytest.raises(asyncio.CancelledError):
            await mine
        assert mine.cancelled()
