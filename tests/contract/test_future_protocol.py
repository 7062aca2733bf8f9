"""TaskFuture among other futures: wait, as_completed, asyncio, done callbacks."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
from typing import Any

import pytest

from support.waiting import Call, eventually, throughout
from tasker import TaskCancelled


@pytest.fixture
def waiting(engine: Any) -> Any:
    """The blocking `concurrent.futures` functions, called beside the event loop."""

    def wait(futures: Any, **options: Any) -> Call:
        return Call(cf.wait, [future.raw for future in futures], **options)

    return wait


async def test_wait_all_completed(engine: Any, kit: Any, waiting: Any) -> None:
    """wait() returns when all are done."""
    gates = [engine.gate() for _ in range(3)]
    async with engine.manager(worker_count=3) as m:
        futures = [await m.submit(kit.holds(gate)) for gate in gates]
        call = waiting(futures)
        gates[0].open()
        gates[1].open()
        await futures[0].result()
        await futures[1].result()
        await throughout(lambda: not call.returned, 0.1)
        gates[2].open()
        done, pending = await call.aoutcome()
        assert (len(done), len(pending)) == (3, 0)


async def test_wait_first_completed(engine: Any, kit: Any, waiting: Any) -> None:
    """wait(FIRST_COMPLETED) returns with the first that is done."""
    gates = [engine.gate() for _ in range(3)]
    async with engine.manager(worker_count=3) as m:
        futures = [await m.submit(kit.holds(gate)) for gate in gates]
        call = waiting(futures, return_when=cf.FIRST_COMPLETED)
        await throughout(lambda: not call.returned, 0.05)
        gates[1].open()
        done, pending = await call.aoutcome()
        assert done == {futures[1].raw}
        assert pending == {futures[0].raw, futures[2].raw}
        for gate in gates:
            gate.open()


async def test_wait_first_exception(engine: Any, kit: Any, waiting: Any) -> None:
    """wait(FIRST_EXCEPTION) passes over results and returns with the first error."""
    gates = [engine.gate() for _ in range(3)]
    async with engine.manager(worker_count=3) as m:
        fine = await m.submit(kit.holds(gates[0]))
        failing = await m.submit(kit.fails_at(gates[1], ValueError()))
        stuck = await m.submit(kit.holds(gates[2]))
        call = waiting([fine, failing, stuck], return_when=cf.FIRST_EXCEPTION)
        gates[0].open()
        await fine.result()
        await throughout(lambda: not call.returned, 0.1)
        gates[1].open()
        done, pending = await call.aoutcome()
        assert done == {fine.raw, failing.raw}
        assert pending == {stuck.raw}
        gates[2].open()


async def test_wait_timeout(engine: Any, kit: Any, waiting: Any) -> None:
    """wait(timeout) returns what is done by then."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        stuck = await m.submit(kit.holds(gate))
        quick = await m.submit(kit.returns())
        await quick.result()
        done, pending = await waiting([stuck, quick], timeout=0.1).aoutcome()
        assert (done, pending) == ({quick.raw}, {stuck.raw})
        gate.open()


async def test_wait_sees_a_cancellation(engine: Any, kit: Any, waiting: Any) -> None:
    """wait() and as_completed() return when a queued task is cancelled or killed."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        victim, killed = [await m.submit(kit.returns()) for _ in range(2)]
        first = waiting([victim, killed], return_when=cf.FIRST_COMPLETED)
        everything = Call(lambda: len(list(cf.as_completed([victim.raw, killed.raw], 20))))
        victim.cancel()
        done, _ = await first.aoutcome()
        assert done == {victim.raw}
        await m.kill()
        assert await everything.aoutcome() == 2


async def test_as_completed_yields_in_order_of_completion(engine: Any, kit: Any) -> None:
    """as_completed() yields each future when it is done."""
    gates = [engine.gate() for _ in range(3)]
    order: list[int] = []
    async with engine.manager(worker_count=3) as m:
        futures = [await m.submit(kit.holds(gate, n)) for n, gate in enumerate(gates)]

        def collect() -> None:
            for future in cf.as_completed([f.raw for f in futures], timeout=20):
                order.append(future.result())

        call = Call(collect)
        for number in (2, 0, 1):
            gates[number].open()
            await eventually(lambda number=number: order[-1:] == [number])  # type: ignore[misc]
        await call.aoutcome()
    assert order == [2, 0, 1]


async def test_as_completed_timeout(engine: Any, kit: Any) -> None:
    """as_completed(timeout) raises TimeoutError while a task is not done."""
    gate = engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate))
        with pytest.raises(TimeoutError):
            await Call(lambda: list(cf.as_completed([future.raw], timeout=0.05))).aoutcome()
        gate.open()


async def test_mixed_with_plain_futures(engine: Any, kit: Any, waiting: Any) -> None:
    """wait() takes our futures and plain ones together."""
    plain: cf.Future[int] = cf.Future()
    async with engine.manager() as m:
        ours = await m.submit(kit.returns(1))
        call = Call(cf.wait, [ours.raw, plain])
        plain.set_result(2)
        done, _ = await call.aoutcome()
        assert {future.result() for future in done} == {1, 2}


async def test_await(engine: Any, kit: Any) -> None:
    """A future can be awaited, before and after its end, by several coroutines."""
    gate = engine.gate()

    async def wait_for(future: Any) -> Any:
        return await future

    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate, "value"))
        waiters = [asyncio.create_task(wait_for(future.raw)) for _ in range(3)]
        await gate.arrivals(1)
        gate.open()
        assert await asyncio.gather(*waiters) == ["value"] * 3
        assert await future.raw == "value"


async def test_await_raises_the_error(engine: Any, kit: Any) -> None:
    """Awaiting a failed task raises its error itself."""
    error = KeyError("own")
    async with engine.manager() as m:
        future = await m.submit(kit.raises(error))
        with pytest.raises(KeyError) as caught:
            await future.raw
        assert engine.same(caught.value, error)


async def test_await_of_a_cancelled_task(engine: Any, kit: Any) -> None:
    """Awaiting a cancelled task raises a cancellation and does not hang."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        future = await m.submit(kit.returns())
        await gate.arrivals(1)
        future.cancel()
        with pytest.raises((asyncio.CancelledError, TaskCancelled)):
            await future.raw
        gate.open()


async def test_wrap_future(engine: Any, kit: Any) -> None:
    """asyncio.wrap_future works for results and errors; gather and wait_for too."""
    async with engine.manager(worker_count=2) as m:
        futures = [await m.submit(kit.returns(n)) for n in range(5)]
        wrapped = [asyncio.wrap_future(future.raw) for future in futures]
        assert await asyncio.wait_for(asyncio.gather(*wrapped), 20) == list(range(5))
        failing = await m.submit(kit.raises(KeyError()))
        with pytest.raises(KeyError):
            await asyncio.wrap_future(failing.raw)


async def test_done_callbacks_in_order_and_late(engine: Any, kit: Any) -> None:
    """Callbacks come once, in the order they were added; one added later is called at once."""
    gate = engine.gate()
    calls: list[Any] = []
    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate))
        for number in range(20):
            future.add_done_callback(lambda f, number=number: calls.append((number, f.done())))
        gate.open()
        await future.result()
        await eventually(lambda: len(calls) == 20)
        assert calls == [(number, True) for number in range(20)]
        future.add_done_callback(lambda f: calls.append(f))
        assert calls[-1] is future.raw


async def test_done_callback_of_a_cancelled_task(engine: Any, kit: Any) -> None:
    """A cancelled task calls its done callbacks once."""
    gate = engine.gate()
    calls: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        future = await m.submit(kit.returns())
        future.add_done_callback(calls.append)
        future.cancel()
        future.cancel()
        await eventually(lambda: calls)
        gate.open()
    assert calls == [future.raw]


async def test_done_callback_that_raises_does_not_stop_the_rest(engine: Any, kit: Any) -> None:
    """What a late callback raises does not reach the caller that adds it."""

    def bad(future: Any) -> None:
        raise ValueError("in a callback")

    async with engine.manager() as m:
        future = await m.submit(kit.returns(1))
        await future.result()
        future.add_done_callback(bad)
        assert await future.result() == 1
