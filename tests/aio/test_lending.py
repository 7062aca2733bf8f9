"""Tasks that `queue_task` begins in the caller's own turn of the loop: which ones, and what they find there."""

from __future__ import annotations

import asyncio
import contextvars
import runpy
import sys
from typing import Any

import pytest

from support.internals import begun_by_caller
from support.waiting import eventually, failure
from tasker import Context
from tasker.aio import current

from .tasks import at_once, idle, left_over, me, quick

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("lending", default="unset")


# -- what is begun, and what is not -------------------------------------------------------------------------------------


async def test_a_task_that_ends_at_once(make: Any) -> None:
    """The loop has no turn, the books are right within the task and behind it, and workers take their turns."""
    seen: list[Any] = []

    async def looks(ctx: Context, resource: Any, *args: int) -> Any:
        stats = m.stats()
        seen.append(
            (stats.running_tasks, stats.queued_tasks, [one.task is not None for one in m.workers()].count(True))
        )
        return args

    async with make(worker_count=2) as m:
        await idle(m, 2)
        assert await at_once(m.queue_task(looks, 1, 2)) == (1, 2)
        assert seen == [(1, 0, 1)]
        resources = [await at_once(m.queue_task(quick)) for _ in range(4)]
        assert resources[0] is resources[2] is not resources[1] is resources[3]
        stats = m.stats()
        assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks, stats.queued_tasks) == (5, 5, 0, 0)
        assert m.metrics().total_tasks_completed == 5


async def test_a_task_that_waits(make: Any) -> None:
    """It begins at once as well, and its worker goes on with it; the next ones of that function are queued."""
    begun: list[bool] = []

    async def waits(ctx: Context, resource: Any) -> str:
        begun.append(True)
        await asyncio.sleep(0.001)
        return "waited"

    async with make() as m:
        await idle(m)
        call = m.queue_task(waits)
        call.send(None)
        assert begun
        call.close()
        assert await m.queue_task(waits) == "waited"
        assert await m.queue_task(quick) is not None
        assert m.stats().done_tasks == 3


async def test_nothing_overtakes(make: Any) -> None:
    """A task is queued behind those that are, behind orders, and during a pause."""
    order: list[str] = []

    async def notes(ctx: Context, resource: Any, name: str) -> None:
        order.append(name)

    async with make(worker_count=2) as m:
        await idle(m, 2)
        m.submit(notes, "first")
        assert begun_by_caller(m, notes, ("too early",)) is None
        await m.queue_task(notes, "second")
        assert order == ["first", "second"]
        await idle(m, 2)
        assert await m.pause()
        waiting = asyncio.create_task(m.queue_task(notes, "third"))
        await asyncio.sleep(0.01)
        assert order == ["first", "second"]
        m.resume()
        await waiting
        assert order == ["first", "second", "third"]


@pytest.mark.parametrize(
    "options",
    [
        {"max_queue_size": 5},
        {"on_return": lambda resource: None},
        {"max_tasks_per_resource": 100},
        {"max_resource_lifetime": 60.0},
        {"check_resource": lambda resource: True},
        {"task_timeout": 30.0},
    ],
    ids=lambda options: next(iter(options)),
)
async def test_managers_that_queue_all_tasks(make: Any, options: dict[str, Any]) -> None:
    """Where there is more to do for a task than to run it, the worker does it."""
    async with make(sync_in_thread=False, **options) as m:
        await idle(m)
        assert begun_by_caller(m, quick, ()) is None
        assert await m.queue_task(quick) is not None


async def test_tasks_with_options_and_other_functions_are_queued(make: Any) -> None:
    """They do as ever."""

    class Functor:
        async def __call__(self, ctx: Context, resource: Any) -> str:
            return "called"

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            raise LookupError(name)

        def __call__(self, ctx: Context, resource: Any) -> str:
            return "proxy"

    async with make(sync_in_thread=False) as m:
        await idle(m)
        assert await m.queue_task(quick, once=True) is not None
        assert await m.queue_task(Functor()) == "called"
        assert await m.queue_task(Proxy()) == "proxy"
        assert await m.queue_task(lambda ctx, resource: "plain") == "plain"
        with pytest.raises(TypeError, match="callable"):
            await m.queue_task("no function")
        for what in (Functor(), Proxy(), "no function"):
            assert begun_by_caller(m, what, ()) is None


async def test_what_no_task_of_the_loop_calls_is_queued(make: Any) -> None:
    """As in a callback of the loop."""
    found: list[Any] = []
    async with make() as m:
        await idle(m)
        asyncio.get_running_loop().call_soon(lambda: found.append(begun_by_caller(m, quick, ())))
        await eventually(lambda: found)
        assert found == [None]


# -- what the task finds ------------------------------------------------------------------------------------------------


async def test_the_current_task(make: Any) -> None:
    """It is the worker's, from its first step on; the caller's is the current one again behind it."""
    seen: list[asyncio.Task[Any]] = []

    async def looks(ctx: Context, resource: Any, *, waits: int) -> None:
        for _ in range(waits):
            seen.append(me())
            await asyncio.sleep(0)
        seen.append(me())

    async def looks_thrice(ctx: Context, resource: Any) -> None:
        await looks(ctx, resource, waits=2)

    async def looks_once(ctx: Context, resource: Any) -> None:
        await looks(ctx, resource, waits=0)

    async with make() as m:
        await idle(m)
        worker = next(iter(m._engine.workers.values())).task
        await at_once(m.queue_task(looks_once))
        caller = me()
        await m.queue_task(looks_thrice)
        assert seen == [worker] * 4 and caller is me() is not worker

        async def fails(ctx: Context, resource: Any) -> None:
            raise KeyError

        await failure(m.queue_task(fails))
        assert caller is me()


async def test_scopes_that_are_entered_in_the_first_step(make: Any) -> None:
    """They bind to the task of the loop that goes on with the task, and strike it there and nobody else."""

    async def limited(ctx: Context, resource: Any) -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(30)
        except TimeoutError:
            return f"timed out, {left_over()} left"
        return "slept"

    async def expired(ctx: Context, resource: Any) -> str:
        try:
            async with asyncio.timeout(-1):
                await asyncio.sleep(30)
        except TimeoutError:
            return f"timed out, {left_over()} left"
        return "slept"

    async def grouped(ctx: Context, resource: Any) -> str:
        async def child() -> None:
            raise KeyError("child")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                await asyncio.sleep(30)
        except ExceptionGroup:
            return f"failed, {left_over()} left"
        return "slept"

    async with make() as m:
        await idle(m)
        for task, end in ((limited, "timed out"), (expired, "timed out"), (grouped, "failed")):
            begun = begun_by_caller(m, task, ())
            assert await begun == f"{end}, 0 left"
            assert left_over() == 0
            assert await m.queue_task(quick) is not None
            await idle(m)


async def test_scopes_of_anyio_that_are_entered_in_the_first_step(make: Any) -> None:
    """So do anyio's."""
    anyio = pytest.importorskip("anyio")

    async def moves_on(ctx: Context, resource: Any) -> bool:
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(30)
        return bool(scope.cancelled_caught)

    async def cancels_itself(ctx: Context, resource: Any) -> bool:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep(30)
        return bool(scope.cancelled_caught)

    async def group(ctx: Context, resource: Any) -> bool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 30)
            tasks.cancel_scope.cancel()
        return bool(tasks.cancel_scope.cancel_called)

    async with make() as m:
        await idle(m)
        for task in (moves_on, cancels_itself, group):
            begun = begun_by_caller(m, task, ())
            assert begun is not None and await begun is True
            with anyio.fail_after(20):
                assert await m.queue_task(quick) is not None
            await idle(m)
        assert left_over() == 0


async def test_context_variables(make: Any) -> None:
    """The task has the caller's, in all of its steps, and what it sets is its own."""

    async def sets(ctx: Context, resource: Any, *, waits: bool) -> list[str]:
        found = [VARIABLE.get()]
        VARIABLE.set("the task's")
        if waits:
            await asyncio.sleep(0)
        return [*found, VARIABLE.get()]

    async def once(ctx: Context, resource: Any) -> list[str]:
        return await sets(ctx, resource, waits=False)

    async def waits(ctx: Context, resource: Any) -> list[str]:
        return await sets(ctx, resource, waits=True)

    async with make() as m:
        await idle(m)
        VARIABLE.set("the caller's")
        assert await at_once(m.queue_task(once)) == ["the caller's", "the task's"]
        assert await m.queue_task(waits) == ["the caller's", "the task's"]
        assert VARIABLE.get() == "the caller's"


async def test_a_future_for_which_others_wait_too(make: Any) -> None:
    """Between the first step and the worker's next one, another task of the loop may wait for the same future."""
    shared: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    class OwnFuture(asyncio.Future[str]):
        """A subclass, which the loop treats in another way."""

    own = OwnFuture()

    async def waits(ctx: Context, resource: Any, future: Any) -> str:
        asyncio.get_running_loop().call_soon(others.append, asyncio.create_task(wait(future)))
        return str(await future)

    async def wait(future: Any) -> str:
        return str(await future)

    others: list[asyncio.Task[str]] = []
    async with make() as m:
        for future in (shared, own):
            await idle(m)
            begun = begun_by_caller(m, waits, (future,))
            await eventually(lambda: others)
            await asyncio.sleep(0.01)
            future.set_result("shared")
            assert await begun == "shared" == await others.pop()


class Yields:
    """An awaitable that yields what no loop takes."""

    def __await__(self) -> Any:
        yield 42


async def test_what_the_loop_does_not_take(make: Any) -> None:
    """It is refused in the task, as in any task of the loop."""

    async def wrong(ctx: Context, resource: Any) -> None:
        await Yields()

    async def unmarked(ctx: Context, resource: Any) -> None:
        class Bare:
            def __await__(self) -> Any:
                yield asyncio.get_running_loop().create_future()

        await Bare()

    async with make() as m:
        for task, text in ((wrong, "bad yield"), (unmarked, "yield was used instead")):
            await idle(m)
            error = await failure(begun_by_caller(m, task, ()))
            assert type(error) is RuntimeError and text in str(error)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython 3.11 has no such function, and has no need of it")
async def test_where_asyncio_cannot_change_the_current_task(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks are queued."""
    monkeypatch.delattr(asyncio.tasks, "_swap_current_task")
    found = runpy.run_path(current.__file__)
    monkeypatch.setattr("tasker.aio.lending.current_task", found["current_task"])
    async with make() as m:
        await idle(m)
        assert begun_by_caller(m, quick, ()) is None
        assert await m.queue_task(quick) is not None


async def test_a_task_behind_a_refresh(make: Any) -> None:
    """It is not begun by its caller with the resource of before."""
    made: list[int] = []

    def create() -> int:
        made.append(len(made))
        return made[-1]

    async def resource_of(ctx: Context, resource: int) -> int:
        return resource

    async with make(on_create=create, worker_count=1, max_worker_count=1, resource_pool_size=0) as m:
        assert await m.queue_task(resource_of) == 0
        await eventually(lambda: m._engine.lending.offers)
        m.refresh()
        assert await m.queue_task(resource_of) == 1
