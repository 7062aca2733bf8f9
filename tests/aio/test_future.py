"""AsyncTaskFuture among asyncio's own."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar
from typing import Any

import pytest

from support.waiting import eventually
from tasker import AsyncTaskFuture, Context, TaskCancelled, TaskKilled


async def echo(ctx: Context, resource: Any, value: Any) -> Any:
    """Returns its argument."""
    return value


async def sleep(ctx: Context, resource: Any, seconds: float = 30) -> float:
    """Sleeps."""
    await asyncio.sleep(seconds)
    return seconds


async def fail(ctx: Context, resource: Any) -> None:
    """Raises."""
    raise KeyError("own")


async def test_it_is_a_future_of_the_loop(make: Any) -> None:
    """submit returns a future of the running loop, which asyncio accepts as one."""
    async with make() as m:
        future = m.submit(echo, 1)
        assert isinstance(future, AsyncTaskFuture)
        assert future.get_loop() is asyncio.get_running_loop()
        assert asyncio.isfuture(future)
        with pytest.raises(asyncio.InvalidStateError):
            future.result()
        assert await future == 1 == future.result()


async def test_the_outcome_is_the_managers(make: Any) -> None:
    """set_result and set_exception are refused."""
    async with make() as m:
        future = m.submit(echo, 1)
        with pytest.raises(asyncio.InvalidStateError):
            future.set_result(2)
        with pytest.raises(asyncio.InvalidStateError):
            future.set_exception(KeyError())
        assert await future == 1


async def test_gather_wait_and_as_completed(make: Any) -> None:
    """asyncio's functions take it."""
    async with make(worker_count=2) as m:
        assert await asyncio.gather(*[m.submit(echo, n) for n in range(5)]) == list(range(5))
        futures = [m.submit(sleep, 0.02), m.submit(echo, 0)]
        done, pending = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        assert (done, pending) == ({futures[1]}, {futures[0]})
        assert [await one for one in asyncio.as_completed([futures[0], m.submit(sleep, 0.001)])] == [0.001, 0.02]
        assert await asyncio.wait_for(asyncio.shield(m.submit(echo, 3)), 5) == 3
        with pytest.raises(KeyError):
            await asyncio.gather(m.submit(fail), m.submit(echo, 1))


async def test_gather_of_a_killed_task_raises_task_killed(make: Any) -> None:
    """The type of a kill survives gather."""
    async with make() as m:
        m.submit(sleep)
        both = asyncio.gather(m.submit(echo, 1), m.submit(echo, 2))
        await m.kill()
        with pytest.raises(TaskKilled):
            await both


async def test_done_callbacks_in_order_and_removed(make: Any) -> None:
    """The loop calls them in order, also late ones; a removed one is not called; one that raises is counted."""
    calls: list[Any] = []

    def gone(future: Any) -> None:
        calls.append("gone")

    def bad(future: Any) -> None:
        raise SystemExit(3)

    async with make() as m:
        future = m.submit(sleep, 0.01)
        future.add_done_callback(gone)
        future.add_done_callback(bad)
        for number in range(5):
            future.add_done_callback(lambda future, number=number: calls.append((number, future.done())))
        assert future.remove_done_callback(gone) == 1
        await future
        future.add_done_callback(lambda future: calls.append("late"))
        await eventually(lambda: calls[-1:] == ["late"])
        assert calls == [(number, True) for number in range(5)] + ["late"]
        assert m.stats().user_errors == 1


async def test_an_error_that_is_never_retrieved_is_reported_by_the_loop(make: Any) -> None:
    """As with every future; but not where a callback got it, nor for a cancellation."""
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    async with make() as m:
        handled = m.submit(fail, callback=lambda result, error: None)
        cancelled = m.submit(echo, 1)
        cancelled.cancel()
        lost = m.submit(fail)
        await eventually(lost.done)
        del handled, cancelled, lost
        gc.collect()
    assert [type(report) for report in reports] == [KeyError]


async def test_a_callback_may_be_asynchronous(make: Any) -> None:
    """It is awaited, a stop waits for it, and what it raises is logged and counted."""
    calls: list[Any] = []

    async def callback(result: Any, error: Any) -> None:
        await asyncio.sleep(0.02)
        calls.append((result, error))
        raise SystemExit(3)

    async with make() as m:
        m.submit(echo, 1, callback=callback)
        await m.stop()
        assert calls == [(1, None)]
        assert m.stats().user_errors == 1


async def test_an_asynchronous_callback_that_hangs_is_cancelled_by_a_kill(make: Any) -> None:
    """At the deadline; the report names it."""

    async def callback(result: Any, error: Any) -> None:
        await asyncio.sleep(60)

    async with make() as m:
        await m.submit(echo, 1, callback=callback)
        report = await m.kill(0.1)
        assert report.abandoned == ("the callback of task #1",)


async def test_a_callback_may_submit(make: Any) -> None:
    """A chain of callbacks, each of which submits, runs."""
    chain: list[int] = []
    async with make() as m:

        def callback(result: int, error: Any) -> None:
            chain.append(result)
            if result < 2000:
                m.submit(echo, result + 1, callback=callback)

        m.submit(echo, 1, callback=callback)
        await eventually(lambda: len(chain) == 2000)


async def test_stop_iteration(make: Any) -> None:
    """A plain task that raises StopIteration fails with RuntimeError, as a coroutine does."""

    def stops(ctx: Context, resource: Any) -> None:
        raise StopIteration("over")

    async with make() as m:
        with pytest.raises(RuntimeError) as caught:
            await m.submit(stops)
        assert isinstance(caught.value.__cause__, StopIteration)


async def test_asking_again_does_not_grow_the_traceback(make: Any) -> None:
    """Each asking raises the error from where the task raised it."""
    async with make() as m:
        future = m.submit(fail)
        lengths = []
        for _ in range(3):
            with pytest.raises(KeyError) as caught:
                await future
            lengths.append(len(caught.traceback))
            with pytest.raises(KeyError) as caught:
                future.result()
            lengths.append(len(caught.traceback))
        assert max(lengths[2:]) <= lengths[0]


async def test_a_failed_future_is_in_no_cycle(make: Any) -> None:
    """It goes with its last reference, and so does what its error holds."""
    async with make() as m:
        future = m.submit(fail)
        for ask in (future.result, future.__await__().__next__):
            with pytest.raises((KeyError, asyncio.InvalidStateError, StopIteration)):
                await asyncio.wait([future])
                ask()
        gone = weakref.ref(future)
        del future, ask
        gc.disable()
        try:
            await asyncio.sleep(0)
            assert gone() is None
        finally:
            gc.enable()


async def test_shield_and_wait_for(make: Any) -> None:
    """A shielded task survives its waiter; one that is waited for with a limit is cancelled."""
    async with make() as m:
        shielded = m.submit(sleep, 0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(shielded), 0.001)
        assert not shielded.cancelled()
        queued = m.submit(echo, 1)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queued, 0.001)
        assert queued.cancelled()
        await shielded


async def test_a_shielded_task_that_is_killed(make: Any) -> None:
    """Its caller gets TaskKilled, running or queued, and is not cancelled; so it is with a CancelledError of its own."""

    async def own(ctx: Context, resource: Any) -> None:
        raise asyncio.CancelledError

    async with make() as m:
        with pytest.raises(TaskCancelled):
            await asyncio.shield(m.submit(own))
        one, other = m.submit(sleep, 30), m.submit(sleep, 30)
        shielded = [asyncio.create_task(through_shield(future)) for future in (one, other)]
        await eventually(one.running)
        await m.kill()
        for caller in shielded:
            with pytest.raises(TaskKilled):
                await caller
        assert one.cancelled()
        assert other.cancelled()


async def test_a_shielded_task_that_is_cancelled(make: Any) -> None:
    """Its caller gets CancelledError, as from any future."""
    async with make() as m:
        future = m.submit(sleep, 30)
        caller = asyncio.create_task(through_shield(future))
        await eventually(future.running)
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller


async def through_shield(future: Any) -> Any:
    """Awaits a task that this does not cancel."""
    return await asyncio.shield(future)


async def test_a_removed_done_callback_is_not_called(make: Any) -> None:
    """remove_done_callback takes back all of a function, and counts them."""
    called: list[str] = []

    def first(future: Any) -> None:
        called.append("first")

    def second(future: Any) -> None:
        called.append("second")

    async with make() as m:
        future = m.submit(echo, 1)
        assert future.remove_done_callback(first) == 0
        for fn in (first, second, first):
            future.add_done_callback(fn)
        assert future.remove_done_callback(first) == 2
        await future
        future.add_done_callback(first)
        assert future.remove_done_callback(first) == 0
        await asyncio.sleep(0)
    assert called == ["second", "first"]


async def test_it_waits_in_its_own_loop_only(make: Any) -> None:
    """Awaiting it in another loop raises, as with every future."""
    async with make() as m:
        future = m.submit(sleep, 0.05)

        async def elsewhere() -> None:
            await future

        with pytest.raises(RuntimeError, match="different loop"):
            await asyncio.to_thread(asyncio.run, elsewhere())
        await future


@pytest.mark.parametrize("how", ["queue_task", "submit", "plain", "returned"])
async def test_an_idle_worker_keeps_no_variables(make: Any, how: str) -> None:
    """Neither those of the submitter of its last task, nor what is in them."""

    class Request:
        """What a variable may hold."""

    current: ContextVar[Request | None] = ContextVar("current", default=None)

    async def request() -> weakref.ref[Request]:
        made = Request()
        current.set(made)
        if how == "plain":
            await m.submit(lambda ctx, resource: None)
        elif how == "returned":
            await m.submit(lambda ctx, resource: asyncio.sleep(0))
        else:
            await getattr(m, how)(echo, 1)
        return weakref.ref(made)

    async with make(sync_in_thread=False) as m:
        await m.queue_task(echo, 1)
        kept = await asyncio.create_task(request())
        await asyncio.sleep(0)  # the present step of the loop has the task of the request
        await eventually(lambda: len(m._engine.queue.idle) == 1)
        gc.collect()
        assert kept() is None
