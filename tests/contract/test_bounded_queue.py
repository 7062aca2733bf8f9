"""max_queue_size: submit waits for a place, or is refused at once or after a time."""

from __future__ import annotations

import asyncio
import math
import queue
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support import internals
from support.waiting import eventually, throughout
from tasker import MaxRetriesExceeded, QueueFull, ShutdownError, TaskStats
from tasker.control.events import AttemptFailed


@asynccontextmanager
async def full(engine: Any, **config: Any) -> Any:
    """A manager whose worker is held and whose queue of one is full; yields it and the gate."""
    gate = engine.gate()
    async with engine.manager(max_queue_size=1, **config) as m:
        await m.submit(engine.kit.holds(gate))
        await gate.arrivals(1)
        m.queued = await m.submit(engine.kit.returns("queued"))
        yield m, gate
        gate.open()


async def test_block_false_raises_queue_full(engine: Any, kit: Any) -> None:
    """submit(block=False) on a full queue raises QueueFull, a queue.Full that names the bound."""
    async with full(engine) as (m, _):
        with pytest.raises(QueueFull) as caught:
            await m.submit(kit.returns(), block=False)
        assert isinstance(caught.value, queue.Full)
        assert "1" in str(caught.value)
        with pytest.raises(QueueFull):
            await m.queue_task(kit.returns(), block=False)
        assert m.stats().accepted_tasks == 2


async def test_queue_timeout_raises_queue_full(engine: Any, kit: Any) -> None:
    """submit(queue_timeout=s) on a queue that stays full raises QueueFull after s."""
    async with full(engine) as (m, _):
        with pytest.raises(QueueFull):
            await m.submit(kit.returns(), queue_timeout=0.1)
        with pytest.raises(QueueFull):
            await m.queue_task(kit.returns(), queue_timeout=0.1)


async def test_blocked_submit_goes_on_when_there_is_room(engine: Any, kit: Any) -> None:
    """A submit that blocks on a full queue returns when a place is free, and its task runs."""
    async with full(engine) as (m, gate):
        call = asyncio.create_task(m.submit(kit.returns("late")))
        await throughout(lambda: not call.done(), 0.2)
        gate.open()
        assert await (await call).result() == "late"


async def test_queue_timeout_is_not_reached_when_there_is_room(engine: Any, kit: Any) -> None:
    """submit(queue_timeout=) succeeds when a place becomes free in time."""
    async with full(engine) as (m, gate):
        call = asyncio.create_task(m.submit(kit.returns("late"), queue_timeout=25))
        await throughout(lambda: not call.done(), 0.1)
        gate.open()
        assert await (await call).result() == "late"


async def test_cancel_frees_a_place(engine: Any, kit: Any) -> None:
    """Cancelling a queued task frees its place for a blocked and for a later submit."""
    async with full(engine) as (m, gate):
        call = asyncio.create_task(m.submit(kit.returns("next")))
        await throughout(lambda: not call.done(), 0.1)
        assert m.queued.cancel()
        future = await call
        assert future.cancel()
        last = await m.submit(kit.returns("last"), block=False)
        gate.open()
        assert await last.result() == "last"


async def test_a_timed_out_submit_takes_no_place(engine: Any, kit: Any) -> None:
    """A submit that gave up does not swallow the place that becomes free later."""
    async with full(engine) as (m, gate):
        with pytest.raises(QueueFull):
            await m.submit(kit.returns(), queue_timeout=0.05)
        gate.open()
        await m.queued.result()
        for number in range(20):
            assert await m.queue_task(kit.returns(number), queue_timeout=20) == number


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_blocked_submit_is_refused_at_the_end(engine: Any, kit: Any, end: str) -> None:
    """A submit that blocks while the manager is stopped or killed raises ShutdownError."""
    async with full(engine) as (m, gate):
        calls = [asyncio.create_task(m.submit(kit.returns())) for _ in range(3)]
        await throughout(lambda: not any(call.done() for call in calls), 0.1)
        ending = asyncio.create_task(getattr(m, end)())
        for call in calls:
            with pytest.raises(ShutdownError):
                await call
        gate.open()
        await ending


async def test_blocked_submit_with_a_callback_at_the_end(engine: Any, kit: Any) -> None:
    """With a callback, a submit that blocks while the manager stops returns a failed future."""
    calls: list[Any] = []
    async with full(engine) as (m, gate):
        call = asyncio.create_task(m.submit(kit.returns(), callback=lambda result, error: calls.append(error)))
        await throughout(lambda: not call.done(), 0.1)
        ending = asyncio.create_task(m.stop())
        future = await call
        assert isinstance(await future.exception(), ShutdownError)
        gate.open()
        await ending
    assert [type(error) for error in calls] == [ShutdownError]


async def test_never_more_queued_than_allowed(engine: Any, kit: Any) -> None:
    """With 16 submitters the queue never holds more than its bound, and every task runs."""
    log: list[Any] = []

    def check(stats: TaskStats) -> str | None:
        waiting = stats.queued_tasks + stats.priority_tasks
        return f"{waiting} queued" if waiting > 3 else None

    async with engine.manager(worker_count=2, max_queue_size=3) as m:

        async def feed(submitter: int) -> None:
            for number in range(40):
                await m.submit(kit.records(log, (submitter, number)))

        async with engine.watching(m, check) as watch:
            await asyncio.gather(*[feed(submitter) for submitter in range(16)])
            await eventually(lambda: len(log) == 640, 60)
        assert watch.violations == []
        assert watch.looks > 20


async def test_an_unbounded_queue_never_blocks(engine: Any, kit: Any) -> None:
    """Without max_queue_size block=False always succeeds."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        futures = [await m.submit(kit.returns(n), block=False) for n in range(200)]
        gate.open()
        assert [await future.result() for future in futures] == list(range(200))


async def test_a_refused_submit_keeps_no_place(engine: Any, kit: Any) -> None:
    """Refused or timed out, a submit leaves the number of places as it was."""
    gate, second = engine.gate(), engine.gate()
    async with engine.manager(max_queue_size=2) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.submit(kit.holds(second))
        await m.submit(kit.returns())
        for options in ({"block": False}, {"queue_timeout": 0.0}, {"queue_timeout": 0.01}):
            with pytest.raises(QueueFull):
                await m.submit(kit.returns(), **options)
        gate.open()
        await second.arrivals(1)
        await m.submit(kit.returns(), block=False)  # the place of the one that runs now
        with pytest.raises(QueueFull):
            await m.submit(kit.returns(), block=False)
        second.open()


async def test_an_attempt_that_failed_for_good_is_not_queued_again(engine: Any, kit: Any) -> None:
    """With max_retries=0, a task on its way from its worker to its error does not count as queued beyond the bound."""
    gate = engine.gate()
    seen: list[int] = []

    def count(handle: Any, event: Any, now: float) -> Any:
        if isinstance(event, AttemptFailed):
            stats = m.stats()
            seen.append(stats.queued_tasks + stats.priority_tasks)
        return handle(event, now)

    async with engine.manager(max_queue_size=1, max_retries=0, check_health=kit.hook(lambda error: False)) as m:
        future = await m.submit(kit.fails_at(gate, OSError()))
        await gate.arrivals(1)
        waiting = await m.submit(kit.returns("next"))
        internals.wrap_handle(m, count)
        gate.open()
        assert isinstance(await future.exception(), MaxRetriesExceeded)
        assert await waiting.result() == "next"
    assert seen == [1]


@pytest.mark.parametrize("options", [{"priority": 99}, {"priority": True}, {"callback": "not callable"}], ids=repr)
async def test_the_place_of_a_submit_that_raises_goes_to_the_next(engine: Any, kit: Any, options: Any) -> None:
    """A submit that waits for a place and then raises for a wrong argument passes the place on to the next waiter."""
    async with full(engine) as (m, gate):
        wrong = [asyncio.create_task(m.submit(kit.returns("wrong"), **options)) for _ in range(2)]
        await asyncio.wait(wrong, timeout=0.05)  # some engines look at the arguments before they wait
        right = [asyncio.create_task(m.submit(kit.returns(number))) for number in range(2)]
        await throughout(lambda: not any(call.done() for call in right), 0.05)
        gate.open()
        for call in wrong:
            with pytest.raises((TypeError, ValueError)):
                await call
        assert [await (await call).result() for call in right] == [0, 1]


async def test_the_place_of_a_waiter_that_is_cancelled_goes_to_the_next(engine: Any, kit: Any) -> None:
    """So does a submit that is cancelled in the moment in which it gets its place."""
    if engine.blocking:
        pytest.skip("a thread that waits in submit cannot be cancelled")
    async with full(engine) as (m, gate):
        calls = [asyncio.create_task(m.submit(kit.returns(number))) for number in range(3)]
        await throughout(lambda: not any(call.done() for call in calls), 0.05)
        m.queued.cancel()  # gives its place to the first waiter, which has not woken up yet
        calls[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        gate.open()
        assert [await (await call).result() for call in calls[1:]] == [1, 2]


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (math.nan, ValueError), ("1", TypeError)])
async def test_a_wrong_queue_timeout(engine: Any, kit: Any, value: Any, error: type) -> None:
    """It is refused, also where there is a place, and nothing is queued."""
    async with engine.manager(max_queue_size=1) as m:
        for call in (m.submit, m.queue_task):
            with pytest.raises(error, match="queue_timeout must be"):
                await call(kit.returns(), queue_timeout=value)
        assert m.stats().accepted_tasks == 0
