"""Tasks that their callers begin: errors, cancellations and kills in the first step and right behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.internals import begun_by_caller
from support.observers import RecordingLogger
from support.waiting import eventually
from tasker import Context, TaskKilled

from .tasks import at_once, idle, left_over, me, quick

# -- how it ends --------------------------------------------------------------------------------------------------------

RAISED = [ValueError("own"), StopIteration("own"), KeyboardInterrupt("own"), SystemExit(3), GeneratorExit("own")]
RAISED += [asyncio.CancelledError("own"), StopAsyncIteration("own"), RecursionError("own")]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
async def test_errors(make: Any, raised: BaseException) -> None:
    """Whatever it raises in its first step is what callers of `submit` get, and the worker serves on."""

    async def fails(ctx: Context, resource: Any) -> None:
        raise raised

    async with make() as m:
        await idle(m)
        queued = m.submit(fails)
        await asyncio.wait([queued])
        await idle(m)
        begun = begun_by_caller(m, fails, ())
        await asyncio.wait([begun])
        expected, error = queued.exception(), begun.exception()
        assert type(error) is type(expected) and str(error).replace("#2", "#1") == str(expected)
        assert begun.attempts == 1 and begun.done()
        assert left_over() == 0
        await idle(m)
        assert await at_once(m.queue_task(quick)) is not None


async def test_an_unhealthy_error(make: Any) -> None:
    """The resource is replaced, and the task tried again with another one."""
    found: list[Any] = []

    async def fails_once(ctx: Context, resource: Any) -> str:
        found.append(resource)
        if len(found) == 1:
            raise OSError("sick")
        return "well"

    async with make(check_health=lambda error: False) as m:
        await idle(m)
        begun = begun_by_caller(m, fails_once, ())
        assert await begun == "well" and begun.attempts == 2
        assert found[0] is not found[1]
        assert m.stats().resources.destroyed == 1


async def test_a_fault_of_the_library(make: Any) -> None:
    """It costs the worker, as in its own step, and not the task."""
    log = RecordingLogger()

    def broken() -> Any:
        raise MemoryError("no room")
        yield

    async with make(logger=log) as m:
        await idle(m)
        worker = next(iter(m._engine.workers.values()))
        worker.runner.generator.close()
        worker.runner.generator = broken()
        assert await m.queue_task(quick) is not None
        assert any("MemoryError" in str(line) for line in log.lines)
        assert m.stats().resources.destroyed == 1


# -- cancellations ------------------------------------------------------------------------------------------------------


async def test_a_caller_that_was_cancelled_begins_nothing(make: Any) -> None:
    """As a queued task of a cancelled caller never starts."""
    ran: list[int] = []

    async def runs(ctx: Context, resource: Any) -> None:
        ran.append(1)

    async def caller() -> None:
        me().cancel("early")
        await m.queue_task(runs)

    async with make() as m:
        await idle(m)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(caller())
        assert not ran
        assert await at_once(m.queue_task(quick)) is not None


@pytest.mark.parametrize("when", ["in the step", "behind it"])
async def test_a_caller_that_is_cancelled(make: Any, when: str) -> None:
    """The task is cancelled where it waits first, with its context, and the caller gets its own cancellation."""
    seen: list[str] = []

    async def waits(ctx: Context, resource: Any) -> None:
        if when == "in the step":
            caller.cancel("enough")
        else:  # before the worker goes on
            asyncio.get_running_loop().call_soon(caller.cancel, "enough")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError as error:
            seen.append(f"{error.args[0]}, context {ctx.cancelled}")
            raise

    async with make() as m:
        await idle(m)
        caller = asyncio.create_task(m.queue_task(waits))
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await caller
        assert seen == ["enough, context True"]
        await idle(m)
        assert await at_once(m.queue_task(quick)) is not None


async def cancels(task: Any) -> None:
    task.cancel("self")


async def cancels_twice(task: Any) -> None:
    task.cancel("self")
    task.cancel("self")


async def cancels_and_takes_back(task: Any) -> None:
    task.cancel("self")
    task.uncancel()


async def cancels_soon(task: Any) -> None:
    asyncio.get_running_loop().call_soon(task.cancel, "self")


@pytest.mark.parametrize("how", [cancels, cancels_twice, cancels_and_takes_back, cancels_soon])
async def test_a_task_that_cancels_itself_in_its_first_step(make: Any, how: Any) -> None:
    """It finds at its first wait, and then, what it would find in a task of the loop of its own."""
    ended: list[str] = []

    async def body() -> None:
        await how(me())
        for _ in range(3):
            try:
                await asyncio.sleep(0.001)
                ended.append(f"slept, {left_over()} left")
            except asyncio.CancelledError as error:
                ended.append(f"cancelled {error}, {left_over()} left")

    async def task(ctx: Context, resource: Any) -> None:
        await body()

    await asyncio.create_task(body())
    expected, ended = ended, []
    async with make() as m:
        await idle(m)
        await begun_by_caller(m, task, ())
        assert ended == expected
        await idle(m)
        assert await at_once(m.queue_task(quick)) is not None


async def test_what_is_left_of_a_cancellation(make: Any) -> None:
    """It strikes neither the caller nor the next task."""

    async def cancels_and_ends(ctx: Context, resource: Any) -> str:
        me().cancel()
        return "ended"

    async def waits(ctx: Context, resource: Any) -> str:
        await asyncio.sleep(0)
        return f"waited, {left_over()} left"

    async with make() as m:
        await idle(m)
        assert await at_once(m.queue_task(cancels_and_ends)) == "ended"
        assert await m.queue_task(waits) == "waited, 0 left"
        assert left_over() == 0


@pytest.mark.parametrize("when", ["in the step", "behind it"])
async def test_a_kill(make: Any, when: str) -> None:
    """It strikes a task in its first step, or between that and the next, as it strikes any that runs."""
    seen: list[bool] = []

    async def waits(ctx: Context, resource: Any) -> None:
        if when == "in the step":
            m._engine.request_kill("by the test", 5)
        else:
            asyncio.get_running_loop().call_soon(m._engine.request_kill, "by the test", 5)
        try:
            await asyncio.sleep(30)
        finally:
            seen.append(ctx.cancelled)

    async with make() as m:
        await idle(m)
        with pytest.raises(TaskKilled, match="by the test"):
            await m.queue_task(waits)
        assert seen == [True]
        report = await m.kill()
        assert not report.abandoned
    assert m.stats().resources.alive == 0


async def test_a_stop_in_the_first_step(make: Any) -> None:
    """The task is run to its end, and the manager ends."""
    parent = Context()

    async def stops(ctx: Context, resource: Any) -> str:
        parent.cancel()
        return "stopped"

    async with make(ctx=parent) as m:
        await idle(m)
        assert await at_once(m.queue_task(stops)) == "stopped"
        await eventually(lambda: m.stats().resources.alive == 0)
