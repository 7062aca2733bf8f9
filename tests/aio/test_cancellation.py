"""Cancellation is asyncio's own: it hits one task, its worker lives, and nothing outlives the block."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.waiting import eventually
from tasker import Context, ShutdownError, TaskCancelled, TaskKilled

from .tasks import Sleeper


async def quick(ctx: Context, resource: Any) -> str:
    """A task that does not wait."""
    return "quick"


async def test_cancelling_the_caller_cancels_its_running_task(make: Any) -> None:
    """The task gets CancelledError with its context cancelled, the caller too, the worker and its resource live on."""
    async with make() as m:
        sleeper = Sleeper()
        caller = asyncio.create_task(m.queue_task(sleeper))
        await sleeper.begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert sleeper.ended == ["cancelled, context True"]
        assert await m.queue_task(quick) == "quick"
        assert m.stats().resources.created == 1
        assert m.metrics().total_tasks_cancelled == 1


async def test_cancelling_the_caller_takes_its_queued_task_back(make: Any) -> None:
    """The task never starts."""
    async with make() as m:
        first, second = Sleeper(), Sleeper()
        running = m.submit(first)
        await first.begun.wait()
        caller = asyncio.create_task(m.queue_task(second))
        await eventually(lambda: m.stats().queued_tasks == 1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert m.stats().queued_tasks == 0
        running.cancel()
    assert not second.begun.is_set()


async def test_a_time_limit_of_the_caller(make: Any) -> None:
    """asyncio.timeout and wait_for round a task raise TimeoutError, running or queued."""
    async with make() as m:
        for _ in range(2):
            sleeper = Sleeper()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await m.queue_task(sleeper)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(m.submit(Sleeper()), 0.02)
            blocker = m.submit(Sleeper())
            await eventually(blocker.running)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(m.submit(quick), 0.02)
            blocker.cancel()
        assert await m.queue_task(quick) == "quick"


async def test_a_time_limit_inside_a_task(make: Any) -> None:
    """asyncio.timeout, wait_for and TaskGroup work in a task, and leave the worker in order."""

    async def limited(ctx: Context, resource: Any) -> str:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await asyncio.sleep(30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(30), 0.005)
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(30))
                group.create_task(fail())
        return "in order"

    async def fail() -> None:
        raise ValueError

    async with make() as m:
        assert await m.queue_task(limited) == "in order"
        assert await m.queue_task(limited) == "in order"
        assert await m.run_task(limited) == "in order"


async def test_a_tasks_own_cancelled_error(make: Any) -> None:
    """A task that raises CancelledError by itself ends as cancelled; awaiting it raises TaskCancelled, since it
    is not the caller that was cancelled; the worker lives."""

    async def own(ctx: Context, resource: Any) -> None:
        raise asyncio.CancelledError("mine")

    async with make() as m:
        future = m.submit(own)
        with pytest.raises(TaskCancelled):
            await future
        assert future.cancelled()
        assert await m.queue_task(quick) == "quick"
        assert m.stats().resources.created == 1


async def test_a_task_that_cancels_its_own_loop_task(make: Any) -> None:
    """current_task().cancel() hits the task itself at its next wait, and never the next task."""

    async def waits(ctx: Context, resource: Any) -> None:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    async def leaves(ctx: Context, resource: Any) -> str:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        return "left"

    async def pauses(ctx: Context, resource: Any) -> str:
        await asyncio.sleep(0)
        return "paused"

    async with make() as m:
        futures = [m.submit(task) for task in (waits, pauses, leaves, pauses, leaves, quick, leaves)]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)  # gather's way to say that it was cancelled
        assert futures[0].cancelled()
        assert results[1:] == ["paused", "left", "paused", "left", "quick", "left"]
        assert await m.queue_task(pauses) == "paused"


async def test_a_swallowed_cancellation_does_not_hit_the_next_task(make: Any) -> None:
    """A task that swallows it and returns keeps its result; the next task is left alone."""

    async def swallows(ctx: Context, resource: Any) -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "swallowed"
        return "slept"

    async def counts(ctx: Context, resource: Any) -> int:
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    async with make() as m:
        future = m.submit(swallows)
        after = m.submit(counts)
        await eventually(future.running)
        assert future.cancel() is False
        assert await future == "swallowed"
        assert not future.cancelled()
        assert await after == 0


async def test_kill_cancels_what_runs(make: Any) -> None:
    """Tasks in workers and in run_task get CancelledError at once; their callers get TaskKilled."""
    async with make(cancel_grace=30) as m:
        one, other = Sleeper(), Sleeper()
        future, caller = m.submit(one), asyncio.create_task(m.run_task(other))
        await one.begun.wait()
        await other.begun.wait()
        report = await m.kill()
        assert report.seconds < 10
        assert report.abandoned == ()
        for ended in (future, caller):
            with pytest.raises(TaskKilled):
                await ended
        assert one.ended == other.ended == ["cancelled, context True"]


async def test_a_task_that_swallows_the_kill_is_abandoned(make: Any) -> None:
    """It is named in the report, its future ends with TaskKilled, its resource is destroyed when it returns."""
    release = asyncio.Event()

    async def stubborn(ctx: Context, resource: Any) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                pass

    async with make() as m:
        future = m.submit(stubborn)
        await eventually(future.running)
        report = await m.kill(0.1)
        assert len(report.abandoned) == 1
        assert "stubborn" in report.abandoned[0]
        with pytest.raises(TaskKilled):
            await future
        assert m.stats().resources.alive == 1
        release.set()
        await eventually(lambda: m.stats().resources.alive == 0)


async def test_leaving_the_block_by_a_cancellation_kills(make: Any) -> None:
    """Nothing outlives the block, also when the task that runs it is cancelled, inside or while it waits for the stop."""
    for where in ("inside", "leaving"):
        sleeper = Sleeper()

        async def use(sleeper: Sleeper = sleeper, where: str = where) -> None:
            async with make() as m:
                m.submit(sleeper)
                await sleeper.begun.wait()
                if where == "inside":
                    await asyncio.sleep(30)

        before = asyncio.all_tasks()
        user = asyncio.create_task(use())
        await sleeper.begun.wait()
        await asyncio.sleep(0.02)
        user.cancel()
        with pytest.raises(asyncio.CancelledError):
            await user
        assert sleeper.ended == ["cancelled, context True"]
        assert asyncio.all_tasks() == before


async def test_nothing_outlives_the_block(make: Any) -> None:
    """After a stop no task of the loop is left."""
    before = asyncio.all_tasks()
    async with make(worker_count=4, resource_pool_size=2) as m:
        await asyncio.gather(*[m.submit(quick) for _ in range(20)])
    assert asyncio.all_tasks() == before


def test_a_loop_that_ends_kills_the_manager(make: Any) -> None:
    """asyncio.run cancels all tasks when it ends: a manager that was not stopped destroys its resources then."""
    destroyed: list[Any] = []
    kept: list[Any] = []

    async def destroy(resource: Any) -> None:
        await asyncio.sleep(0)
        destroyed.append(resource)

    async def main() -> None:
        sleeper = Sleeper()
        m = await make(worker_count=2, on_destroy=destroy)
        kept.extend([m, sleeper, m.submit(sleeper), m.submit(sleeper), m.submit(quick)])
        await sleeper.begun.wait()

    asyncio.run(main())
    m, sleeper, *futures = kept
    assert len(destroyed) == m.stats().resources.created == 2
    assert m.stats().resources.alive == 0
    assert sleeper.ended
    assert all(future.done() for future in futures)


def test_a_loop_that_ends_at_once(make: Any) -> None:
    """Workers that have not had their first step yet do not hold it up."""
    kept: list[Any] = []

    async def main() -> None:
        kept.append(await make(worker_count=3))

    asyncio.run(asyncio.wait_for(main(), 20))
    assert kept[0].closed
    assert kept[0].stats().resources.alive == 0


async def test_a_cancelled_future_of_a_running_task_is_cancelled_natively(make: Any) -> None:
    """After cancel(), awaiting the future raises CancelledError with the reason."""
    async with make() as m:
        sleeper = Sleeper()
        future = m.submit(sleeper)
        await sleeper.begun.wait()
        future.cancel()
        with pytest.raises(asyncio.CancelledError, match="task #1"):
            await future


async def test_cancelling_run_task(make: Any) -> None:
    """Cancelling its caller cancels the task; the pooled resource is idle again."""
    async with make(resource_pool_size=1) as m:
        sleeper = Sleeper()
        caller = asyncio.create_task(m.run_task(sleeper))
        await sleeper.begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert m.stats().available_resources == 1
        assert await m.run_task(quick) == "quick"


async def test_a_creation_is_cancelled_by_kill(make: Any) -> None:
    """kill does not wait out an on_create that hangs."""

    async def hang() -> None:
        await asyncio.sleep(60)

    async with make(on_create=hang, cancel_grace=30) as m:
        await asyncio.sleep(0.01)
        report = await m.kill()
        assert report.seconds < 10
        assert report.abandoned == ()
        with pytest.raises(ShutdownError):
            m.submit(quick)


@pytest.mark.parametrize("last", ["result", "error", "cancelled"])
async def test_gather_that_is_cancelled_ends_whatever_its_last_task_does(make: Any, last: str) -> None:
    """`gather` asks its last future for the error of its own cancellation, even where that has another outcome."""

    async def ends(ctx: Context, resource: Any) -> str:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            if last == "cancelled":
                raise
            if last == "error":
                raise ValueError("of its own") from None
        return last

    begun = asyncio.Event()
    async with make(worker_count=1) as m:
        running = m.submit(ends)
        await begun.wait()
        queued = m.submit(quick)  # the one that is cancelled at once
        gathered = asyncio.gather(queued, running, return_exceptions=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wait_for(gathered, 0.01), 10)
        assert isinstance(gathered.exception(), asyncio.CancelledError)
        assert queued.cancelled() and running.done()
        await asyncio.wait([running])
        running.cancelled() or running.exception()
        assert m.stats().user_errors == 0


@pytest.mark.parametrize("outcome", ["result", "error", "killed", "handed back", "cancelled by itself", "cancelled"])
async def test_a_caller_is_cancelled_as_its_task_ends(make: Any, outcome: str) -> None:
    """In the turn between the outcome of its task and its next step: it gets the cancellation, once."""
    got: list[str] = []

    async def waits(future: Any) -> None:
        for one in (future, None):
            try:
                if one is not None:
                    await one
                await asyncio.sleep(0.01)
                got.append("nothing")
            except BaseException as error:
                got.append("cancelled" if isinstance(error, asyncio.CancelledError) else "other")

    async def ends(ctx: Context, resource: Any) -> None:
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_soon(caller.cancel)
        if outcome != "result":
            raise asyncio.CancelledError if outcome == "cancelled by itself" else ValueError("own")

    async with make() as m:
        if outcome in ("killed", "handed back", "cancelled"):
            m.submit(Sleeper())
        future = m.submit(ends)
        caller = asyncio.create_task(waits(future))
        await asyncio.sleep(0)
        if outcome == "cancelled":
            assert future.cancel() is future.cancel() is True
            caller.cancel()
        elif outcome in ("killed", "handed back"):
            end = asyncio.create_task(m.kill() if outcome == "killed" else m.stop(0.01, hand_back=True))
            asyncio.get_running_loop().call_soon(caller.cancel)
            await end
            assert future.cancelled()
            assert future.cancel() is False
        await asyncio.wait([caller])
        await m.kill()
    assert got == ["cancelled", "nothing"]
