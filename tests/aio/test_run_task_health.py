"""A call of run_task that obeys its cancellation: ``check_health`` decides whether its resource goes back to the pool."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.gates import Gate
from support.toy_session import ToyBackend
from support.waiting import eventually
from tasker import Context, DeadlockError, TaskCancelled, TaskKilled

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


def ended_by(end: Any) -> tuple[threading.Event, Any]:
    """A task that says when it has begun, and calls `end` when its context is cancelled."""
    begun = threading.Event()

    def task(ctx: Context, resource: Any) -> Any:
        begun.set()
        assert ctx.wait(30)
        return end(ctx)

    return begun, task


async def cancel_a_call(m: Any, end: Any) -> None:
    """Cancels the caller of such a task, which gets its CancelledError."""
    begun, task = ended_by(end)
    caller = asyncio.create_task(m.run_task(task))
    await asyncio.to_thread(begun.wait, 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


BACKENDS = pytest.mark.parametrize("backend", [None, ToyBackend()], ids=["threads", "backend"])


def raises(error: BaseException) -> Any:
    """What ends a task with the error."""

    def end(ctx: Context) -> None:
        raise error

    return end


@BACKENDS
async def test_about_the_error_of_a_cancelled_task(make: Any, backend: Any) -> None:
    """It is asked about the error that the task has raised after its caller was cancelled."""
    health = Health(False)
    async with make(check_health=health.check, resource_pool_size=1, backend=backend) as m:
        await cancel_a_call(m, raises(ConnectionError("gone")))
        assert [repr(error) for error in health.errors] == ["ConnectionError('gone')"]
        await eventually(lambda: m.stats().resources.destroyed == 1 and m.stats().available_resources == 1)


@BACKENDS
async def test_not_about_a_cancelled_task_that_returned(make: Any, backend: Any) -> None:
    """A task that returns although its caller was cancelled has done its work, and its resource goes back."""
    health = Health(False)
    async with make(check_health=health.check, resource_pool_size=1, backend=backend) as m:
        await cancel_a_call(m, lambda ctx: "done")
        assert (health.errors, m.stats().available_resources, m.stats().resources.destroyed) == ([], 1, 0)
        assert m.metrics().total_tasks_cancelled == 1


@BACKENDS
async def test_not_about_a_deadlock_of_a_cancelled_task(make: Any, backend: Any) -> None:
    """The library's own refusal is not the resource's fault, whatever becomes of the caller."""
    health = Health(False)
    async with make(check_health=health.check, resource_pool_size=1, backend=backend) as m:
        await cancel_a_call(m, raises(DeadlockError("refused")))
        assert (health.errors, m.stats().available_resources) == ([], 1)


async def begin_and_kill(m: Any, end: Any) -> asyncio.Task[Any]:
    """Kills the manager while run_task runs such a task. Returns its caller."""
    begun, task = ended_by(end)
    caller = asyncio.create_task(m.run_task(task))
    await asyncio.to_thread(begun.wait, 30)
    await m.kill(30)
    return caller


@BACKENDS
@pytest.mark.parametrize("error", [None, KeyError("own")], ids=repr)
async def test_a_task_with_an_outcome_of_its_own_at_a_kill(make: Any, backend: Any, error: KeyError | None) -> None:
    """A caller that nobody has cancelled gets the outcome of its task, as the future of a task in a worker does."""
    async with make(resource_pool_size=1, backend=backend) as m:
        caller = await begin_and_kill(m, raises(error) if error else lambda ctx: "done")
        if error is None:
            assert await caller == "done"
        else:
            with pytest.raises(KeyError, match="own"):
                await caller
        assert caller.cancelling() == 0


async def test_a_coroutine_that_a_kill_strikes_in_a_backend(make: Any) -> None:
    """Its caller gets TaskKilled, and it is struck once."""
    begun, strikes = threading.Event(), []

    async def cleans_up(ctx: Context, resource: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            strikes.append(1)
            for _ in range(20):
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    strikes.append(1)
            raise

    async with make(resource_pool_size=1, backend=ToyBackend()) as m:
        caller = asyncio.create_task(m.run_task(cleans_up))
        await asyncio.to_thread(begun.wait, 30)
        await m.kill(30)
        with pytest.raises(TaskKilled):
            await caller
    assert strikes == [1]


async def test_with_a_backend_while_the_resource_is_destroyed(make: Any) -> None:
    """A caller that is cancelled then does not make the books of the pool wrong."""
    gate = Gate()

    def destroy(resource: Any) -> None:
        gate.pass_through()

    async with make(on_destroy=destroy, max_temporary_resources=1, backend=ToyBackend()) as m:
        caller = asyncio.create_task(m.run_task(quick))
        await cancelled_at(gate, caller)
        assert await m.run_task(quick) is not None


async def test_a_pool_that_is_closed_right_after_a_loss(make: Any) -> None:
    """An idle resource goes by itself, and in the same turn of the loop the pool begins to close: that waits until the resource
    is destroyed."""
    gate = Gate()

    async def end(resource: object) -> None:
        await gate.apass_through()

    async with make(on_destroy=end, resource_pool_size=1) as m:
        pool = m._engine.pool
        closing = asyncio.create_task(pool.close())  # its first step comes before anything that the loss starts
        assert pool.lost(pool._idle[0])
        await gate.arrivals(1)
        assert not closing.done()
        gate.open()
        await closing
        ledger = m.stats().resources
        assert (ledger.created, ledger.destroyed) == (2, 1)
