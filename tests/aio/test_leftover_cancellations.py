"""A cancellation strikes the task that it is for, at whatever moment it comes, and no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from tasker import Context, TaskCancelled


def cancel_the_future(future: Any) -> None:
    """Cancels a task by its future."""
    assert future.cancel() is False


def cancel_the_loops_task(future: Any) -> None:
    """Cancels the loop's task, as code does that knows nothing of a manager."""
    loops_task = asyncio.current_task()
    assert loops_task is not None
    loops_task.cancel()


def cancel_and_take_back(future: Any) -> None:
    """Cancels the loop's task and takes that back, as a scope does that ends before it has waited."""
    loops_task = asyncio.current_task()
    assert loops_task is not None
    loops_task.cancel()
    loops_task.uncancel()


WAYS = [cancel_the_future, cancel_the_loops_task, cancel_and_take_back]


async def waits(ctx: Context, resource: Any) -> str:
    """Waits once."""
    await asyncio.sleep(0)
    return "waited"


async def quick(ctx: Context, resource: Any) -> str:
    """Does not wait."""
    return "quick"


async def test_a_task_that_is_cancelled_in_its_first_step(make: Any) -> None:
    """CancelledError is raised where it waits first; its context is cancelled, and its outcome is the cancellation."""
    futures: list[Any] = []
    seen: list[bool] = []

    async def cancels_itself(ctx: Context, resource: Any) -> None:
        futures[0].cancel()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append(ctx.cancelled)
            raise

    async with make() as m:
        futures.append(m.submit(cancels_itself))
        with pytest.raises(asyncio.CancelledError):
            await futures[0]
        assert seen == [True]
        assert await m.queue_task(waits) == "waited"
        assert m.stats().resources.created == 1


async def test_a_first_step_that_ends_the_task(make: Any) -> None:
    """A task that is cancelled in its only step keeps its result or its error."""
    futures: list[Any] = []

    async def returns(ctx: Context, resource: Any, number: int) -> str:
        futures[number].cancel()
        return "returned"

    async def raises(ctx: Context, resource: Any, number: int) -> None:
        futures[number].cancel()
        ctx.raise_if_cancelled()

    async with make() as m:
        futures += [m.submit(returns, 0), m.submit(raises, 1), m.submit(waits)]
        assert await futures[0] == "returned"
        with pytest.raises(asyncio.CancelledError):
            await futures[1]
        assert await futures[2] == "waited"


async def test_a_callback_that_cancels_what_runs(make: Any) -> None:
    """Whatever code is called in a first step can cancel the task, a callback that it causes, too."""
    futures: list[Any] = []

    async def ends_another(ctx: Context, resource: Any) -> None:
        futures[1].cancel()
        await asyncio.sleep(30)

    async with make() as m:
        futures.append(m.submit(ends_another))
        futures.append(m.submit(quick, callback=lambda result, error: futures[0].cancel()))
        with pytest.raises(asyncio.CancelledError):
            await futures[0]
        assert await m.queue_task(waits) == "waited"


@pytest.mark.parametrize("cancel", WAYS)
@pytest.mark.parametrize("first", ["at once", "after a wait"])
@pytest.mark.parametrize("end", ["returns", "raises"])
async def test_what_is_left_of_a_cancellation_strikes_no_other_task(
    make: Any, cancel: Callable[[Any], None], first: str, end: str
) -> None:
    """A task that is cancelled in its last step, or cancelled and not, leaves nothing to the task after it."""
    futures: list[Any] = []

    async def leaves_one(ctx: Context, resource: Any) -> str:
        if first == "after a wait":
            await asyncio.sleep(0)
        cancel(futures[0])
        if end == "raises":
            raise ValueError
        return "left one"

    async def counts(ctx: Context, resource: Any) -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        loops_task = asyncio.current_task()
        assert loops_task is not None
        return loops_task.cancelling()

    async with make() as m:
        futures += [m.submit(leaves_one), m.submit(counts), m.submit(quick), m.submit(counts)]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert results[1:] == [0, "quick", 0]
        assert results[0] == "left one" if end == "returns" else type(results[0]) is ValueError
        assert m.stats().resources.created == 1


@pytest.mark.parametrize("cancel", WAYS)
async def test_a_plain_function_that_is_cancelled_in_the_loop(make: Any, cancel: Callable[[Any], None]) -> None:
    """The same of a plain function that runs in the thread of the loop."""
    futures: list[Any] = []

    def leaves_one(ctx: Context, resource: Any) -> str:
        cancel(futures[0])
        return "left one"

    async with make(sync_in_thread=False) as m:
        futures += [m.submit(leaves_one), m.submit(waits)]
        assert await asyncio.gather(*futures) == ["left one", "waited"]


async def test_a_cancelled_error_without_a_request_is_no_cancellation_of_the_next(make: Any) -> None:
    """The future that a task waits for is cancelled, not the task: that ends it, and the next one runs."""
    async with make() as m:
        waited = asyncio.get_running_loop().create_future()

        async def waits_for_it(ctx: Context, resource: Any) -> None:
            await waited

        future, after = m.submit(waits_for_it), m.submit(waits)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waited.cancel()
        with pytest.raises(TaskCancelled):
            await future
        assert await after == "waited"


@pytest.mark.parametrize("swallows", [True, False], ids=["swallowed", "still to be thrown"])
async def test_what_is_left_of_a_cancellation_in_on_create(make: Any, swallows: bool) -> None:
    """It strikes no task, and is not counted in one, as a scope that knows no `uncancel` leaves it behind."""

    async def create() -> object:
        cancel_the_loops_task(None)
        if swallows:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
        return object()

    async def requests(ctx: Context, resource: Any) -> int:
        loops_task = asyncio.current_task()
        assert loops_task is not None
        before = loops_task.cancelling()
        await asyncio.sleep(0)
        return before

    async with make(on_create=create) as m:
        assert await m.queue_task(requests) == 0
