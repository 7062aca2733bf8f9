"""A caller of run_task that is cancelled, at whatever moment: the resource is seen to, and the cancellation is its."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.gates import Gate
from support.observers import RecordingLogger
from support.waiting import eventually, throughout
from tasker import Context, ResourceError, TaskCancelled, TaskKilled

from .tasks import cancelled_at, left_over, quick


async def fails(ctx: Context, resource: Any) -> None:
    """A task that leaves its resource unhealthy."""
    raise OSError("sick")


@pytest.mark.parametrize("calls", [1, 3])
async def test_on_destroy_of_a_temporary_resource_is_not_cut_short(make: Any, calls: int) -> None:
    """A caller that is cancelled while its resource is destroyed waits for that, and is cancelled then."""
    gate, destroyed = Gate(), []  # type: ignore[var-annotated]

    async def destroy(resource: Any) -> None:
        await gate.apass_through()
        destroyed.append(resource)

    async with make(on_destroy=destroy) as m:
        caller = asyncio.create_task(m.run_task(quick))
        await gate.arrivals(1)
        for _ in range(calls):
            caller.cancel("a reason")
            await asyncio.sleep(0)
        await throughout(lambda: not caller.done() and m.stats().resources.destroyed == 0, 0.05)
        gate.open()
        with pytest.raises(asyncio.CancelledError, match="a reason"):
            await caller
        assert len(destroyed) == m.stats().resources.destroyed == 1
        assert m.stats().user_errors == 0
        assert m.stats().done_tasks == 1


async def test_a_cancellation_while_check_health_is_asked(make: Any) -> None:
    """It is not taken for an answer: the sick resource does not return to the pool, and the caller is cancelled."""
    gate = Gate()

    async def check(error: BaseException) -> bool:
        await gate.apass_through()
        return False

    async with make(resource_pool_size=1, check_health=check) as m:
        sick = await m.run_task(quick)
        caller = asyncio.create_task(m.run_task(fails))
        await cancelled_at(gate, caller)
        await eventually(lambda: m.stats().available_resources == 1)
        assert await m.run_task(quick) is not sick
        assert m.stats().user_errors == 0


@pytest.mark.parametrize("limit", ["timeout", "wait_for"])
async def test_a_plain_function_under_a_time_limit(make: Any, limit: str) -> None:
    """The limit cancels its context, waits for its end and raises TimeoutError; nothing strikes the caller later."""
    ended: list[bool] = []

    def waits(ctx: Context, resource: Any) -> str:
        ended.append(ctx.wait(20))
        return "late"

    async def limited(m: Any) -> Any:
        if limit == "wait_for":
            return await asyncio.wait_for(m.run_task(waits), 0.02)
        async with asyncio.timeout(0.02):
            return await m.run_task(waits)

    async with make(resource_pool_size=1) as m:
        with pytest.raises(TimeoutError):
            await limited(m)
        assert ended == [True]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert left_over() == 0
        assert m.stats().available_resources == 1


async def test_a_plain_function_that_fails_after_the_cancellation(make: Any) -> None:
    """The caller is cancelled all the same; the error of the function decides about the resource."""
    seen: list[BaseException] = []
    error = OSError("sick")

    def breaks(ctx: Context, resource: Any) -> None:
        ctx.wait(20)
        raise error

    def obeys(ctx: Context, resource: Any) -> None:
        ctx.wait(20)
        ctx.raise_if_cancelled()

    def check(error: BaseException) -> bool:
        seen.append(error)
        return False

    async with make(resource_pool_size=1, check_health=check) as m:
        for task in (obeys, breaks):
            await eventually(lambda: m.stats().available_resources == 1)
            caller = asyncio.create_task(m.run_task(task))
            await eventually(lambda: m.stats().running_tasks == 1)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        obeyed, failed = seen
        assert isinstance(obeyed, TaskCancelled)
        assert failed is error


async def test_a_kill_that_the_task_swallows(make: Any) -> None:
    """The caller gets the result, and no request to cancel is left with it."""
    begun = asyncio.Event()

    async def swallows(ctx: Context, resource: Any) -> str:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "swallowed"
        return "slept"

    async def calls(m: Any) -> Any:
        return await m.run_task(swallows), left_over()

    async with make() as m:
        caller = asyncio.create_task(calls(m))
        await begun.wait()
        await m.kill()
        assert await caller == ("swallowed", 0)


@pytest.mark.parametrize("end", ["returns", "raises"])
async def test_a_kill_in_the_last_step_of_the_task(make: Any, end: str) -> None:
    """Nothing of it strikes the caller later."""

    async def kills(ctx: Context, resource: Any) -> str:
        m._engine.request_kill("the test wants it", 5)
        if end == "raises":
            raise ValueError
        return "ended"

    async def calls() -> Any:
        try:
            result = await m.run_task(kills)
        except ValueError:
            result = "ended"
        await asyncio.sleep(0)
        return result, left_over()

    async with make() as m:
        assert await asyncio.create_task(calls()) == ("ended", 0)


async def test_a_kill_while_a_temporary_resource_is_made(make: Any) -> None:
    """It cancels the creation, and the caller gets TaskKilled."""
    made, cancelled = Gate(), []  # type: ignore[var-annotated]

    async def create() -> object:
        if m.stats().resources.created:
            try:
                await made.apass_through()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise
        return object()

    async with make(on_create=create, cancel_grace=30) as m:
        await eventually(lambda: m.stats().resources.created == 1)
        caller = asyncio.create_task(m.run_task(quick))
        await made.arrivals(1)
        assert (await m.kill()).seconds < 10
        with pytest.raises(TaskKilled):
            await caller
        assert cancelled == [True]
        assert (m.metrics().total_tasks_cancelled, m.metrics().total_tasks_failed) == (1, 0)


async def test_a_cancellation_while_a_temporary_resource_is_made(make: Any) -> None:
    """The creation is cancelled, and has ended when the caller has."""
    made, cleaned = Gate(), []  # type: ignore[var-annotated]

    async def create() -> object:
        if m.stats().resources.created:
            try:
                await made.apass_through()
            finally:
                await asyncio.sleep(0)
                cleaned.append(True)
        return object()

    async with make(on_create=create) as m:
        await eventually(lambda: m.stats().resources.created == 1)
        caller = asyncio.create_task(m.run_task(quick))
        await made.arrivals(1)
        caller.cancel("a reason")
        with pytest.raises(asyncio.CancelledError, match="a reason"):
            await caller
        assert cleaned == [True]
        assert m.stats().done_tasks == 1
        assert (m.metrics().total_tasks_cancelled, m.metrics().total_tasks_failed) == (1, 0)


async def test_a_creation_in_a_thread_that_cannot_be_cancelled(make: Any) -> None:
    """What it has made is destroyed, and the caller is cancelled."""
    made, release, destroyed = Gate(), threading.Event(), []  # type: ignore[var-annotated]
    loops_thread = threading.current_thread()

    def create() -> object:
        assert threading.current_thread() is not loops_thread
        if m.stats().resources.created:
            made.arrive()
            release.wait(20)
        return object()

    async with make(on_create=create, on_destroy=destroyed.append) as m:
        await eventually(lambda: m.stats().resources.created == 1)
        caller = asyncio.create_task(m.run_task(quick))
        await made.arrivals(1)
        caller.cancel()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert len(destroyed) == 1
        assert m.stats().resources.alive == 1


async def test_on_create_that_raises_cancelled_error(make: Any) -> None:
    """The caller was not cancelled, so it gets a ResourceError."""

    async def create() -> object:
        if m.stats().resources.created:
            raise asyncio.CancelledError
        return object()

    async with make(on_create=create) as m:
        await eventually(lambda: m.stats().resources.created == 1)
        with pytest.raises(ResourceError):
            await m.run_task(quick)


def test_a_loop_that_ends_destroys_the_pool(make: Any) -> None:
    """Each resource of the pool is destroyed though asyncio.run cancels the tasks that keep them."""
    kept: list[Any] = []
    destroyed: list[Any] = []
    logger = RecordingLogger()

    async def destroy(resource: Any) -> None:
        await asyncio.sleep(0)
        destroyed.append(resource)

    async def main() -> None:
        kept.append(await make(resource_pool_size=3, on_destroy=destroy, logger=logger))
        await kept[0].run_task(quick)

    asyncio.run(main())
    assert len(destroyed) == kept[0].stats().resources.created
    assert kept[0].stats().resources.alive == 0
    assert logger.text("error") == ""


async def test_a_cancellation_while_an_unfit_resource_is_destroyed(make: Any) -> None:
    """A caller that is cancelled again, as a scope of anyio's does in each turn of the loop: the pool gets another resource."""
    checks, ends = Gate(), Gate()

    async def check(resource: Any) -> bool:
        await checks.apass_through()
        return False

    async def destroy(resource: Any) -> None:
        await ends.apass_through()

    async with make(resource_pool_size=1, check_resource=check, check_after_idle=0.0, on_destroy=destroy) as m:
        caller = asyncio.create_task(m.run_task(quick))
        for gate in (checks, ends):
            await gate.arrivals(1)
            caller.cancel()
            await asyncio.sleep(0)
            gate.open()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await eventually(lambda: m.stats().available_resources == 1)
        ledger = m.stats().resources
        assert (ledger.destroyed, ledger.lost) == (1, 0)


async def test_a_kill_while_the_cancellation_by_a_limit_is_taken_back(make: Any) -> None:
    """The limit strikes in the last step of the task, and the kill in the turn after it: no cancellation is left to the caller."""
    async with make(resource_pool_size=1) as m:

        async def task(ctx: Context, resource: Any) -> str:
            (run,) = m._engine.run_task._running.values()
            run.interrupt()
            asyncio.get_running_loop().call_soon(m._engine.run_task.interrupt_all)
            return "done"

        async def caller() -> str:
            value = await m.run_task(task)
            await asyncio.sleep(0)
            return str(value)

        calling = asyncio.create_task(caller())
        assert await calling == "done"
        assert calling.cancelling() == 0
