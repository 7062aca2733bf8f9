"""A call of run_task that obeys its cancellation: ``check_health`` decides whether its resource goes back to the pool."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.gates import Gate
from support.toy_session import ToyBackend
from support.waiting import eventually
from tasker import Context, DeadlockError, TaskCancelled

from .tasks import cancelled_at, quick


class Health:
    """``check_health``: keeps the errors, and returns what it is set to return."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.errors: list[BaseException] = []

    def check(self, error: BaseException) -> bool:
        self.errors.append(error)
        return self.answer


def waiting(gate: Gate, kind: str) -> Any:
    """A task that obeys its cancellation."""

    async def sleeps(ctx: Context, resource: Any) -> None:
        gate.arrive()
        await asyncio.Event().wait()

    def blocks(ctx: Context, resource: Any) -> None:
        gate.arrive()
        ctx.wait(30)
        ctx.raise_if_cancelled()

    return {"sleeps": sleeps, "blocks": blocks}[kind]


@pytest.mark.parametrize("kind", ["sleeps", "blocks"])
@pytest.mark.parametrize("answer", [False, True])
async def test_a_caller_that_is_cancelled(make: Any, kind: str, answer: bool) -> None:
    """It is asked about a TaskCancelled, and destroys the resource if the answer is False."""
    gate, health = Gate(), Health(answer)
    async with make(check_health=health.check, resource_pool_size=1) as m:
        before = await m.run_task(quick)
        caller = asyncio.create_task(m.run_task(waiting(gate, kind)))
        await gate.arrivals(1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await eventually(lambda: m.stats().available_resources == 1)
        assert (await m.run_task(quick) is before) is answer
        assert m.stats().resources.destroyed == (0 if answer else 1)
        (error,) = health.errors
        assert isinstance(error, TaskCancelled)
        if kind == "sleeps":
            assert isinstance(error.__cause__, asyncio.CancelledError)
        assert m.metrics().total_tasks_cancelled == 1


async def test_a_context_that_is_cancelled(make: Any) -> None:
    """It is asked about the error by which a task obeys the cancellation of its context."""
    health = Health(False)

    async def obeys(ctx: Context, resource: Any) -> None:
        ctx.cancel("enough")
        ctx.raise_if_cancelled()

    async with make(check_health=health.check, resource_pool_size=1) as m:
        with pytest.raises(TaskCancelled) as caught:
            await m.run_task(obeys)
        assert health.errors == [caught.value]


@pytest.mark.parametrize("kind", ["sleeps", "blocks"])
async def test_not_for_a_kill(make: Any, kind: str) -> None:
    """No task gets the resource after a kill, so nothing is asked."""
    gate, health = Gate(), Health(False)
    async with make(check_health=health.check, resource_pool_size=1) as m:
        caller = asyncio.create_task(m.run_task(waiting(gate, kind)))
        await gate.arrivals(1)
        await m.kill(10)
        with pytest.raises(TaskCancelled):
            await caller
        assert health.errors == []


async def test_not_about_a_function_that_returned(make: Any) -> None:
    """A function that returns although its caller was cancelled has done its work."""
    gate, health = Gate(), Health(False)
    called = threading.Event()

    def ignores(ctx: Context, resource: Any) -> None:
        gate.pass_through()
        called.set()

    async with make(check_health=health.check, resource_pool_size=1) as m:
        caller = asyncio.create_task(m.run_task(ignores))
        await cancelled_at(gate, caller)
        assert called.is_set()
        assert health.errors == []
        assert m.stats().available_resources == 1


async def test_not_about_a_deadlock(make: Any) -> None:
    """The library's own refusal is not the resource's fault."""
    health = Health(False)

    async def stops(ctx: Context, resource: Any) -> None:
        await m.stop()

    async with make(check_health=health.check, resource_pool_size=1) as m:
        with pytest.raises(DeadlockError):
            await m.run_task(stops)
        assert health.errors == []


async def test_with_a_backend(make: Any) -> None:
    """The same where the resource lives elsewhere."""
    gate, health = Gate(), Health(False)
    async with make(check_health=health.check, resource_pool_size=1, backend=ToyBackend()) as m:
        caller = asyncio.create_task(m.run_task(waiting(gate, "blocks")))
        await gate.arrivals(1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert [type(error) for error in health.errors] == [TaskCancelled]
        await eventually(lambda: m.stats().resources.destroyed == 1 and m.stats().available_resources == 1)
        assert await m.run_task(quick) is not None


async def test_with_a_backend_while_the_resource_is_destroyed(make: Any) -> None:
    """A caller that is cancelled then does not make the books of the pool wrong."""
    gate = Gate()

    def destroy(resource: Any) -> None:
        gate.pass_through()

    async with make(on_destroy=destroy, max_temporary_resources=1, backend=ToyBackend()) as m:
        caller = asyncio.create_task(m.run_task(quick))
        await cancelled_at(gate, caller)
        assert await m.run_task(quick) is not None
