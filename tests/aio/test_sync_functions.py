"""Plain functions: in the worker's own thread, or inline."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from support.gates import Gate
from tasker import Context

user: ContextVar[str] = ContextVar("user", default="nobody")


def where(ctx: Context, resource: Any) -> threading.Thread:
    """The thread that the task runs in."""
    return threading.current_thread()


async def test_a_plain_task_runs_in_its_workers_thread(make: Any) -> None:
    """Always in the same one, named as the worker; it ends with the worker."""
    async with make(name="crew") as m:
        threads = {await m.queue_task(where) for _ in range(5)}
        (thread,) = threads
        assert thread is not threading.current_thread()
        assert thread.name == "crew-1"
    assert not thread.is_alive()


async def test_inline_it_runs_in_the_loops_thread(make: Any) -> None:
    """With sync_in_thread=False."""
    async with make(sync_in_thread=False) as m:
        assert await m.queue_task(where) is threading.current_thread()
        assert await m.run_task(where) is threading.current_thread()


async def test_a_resource_that_is_bound_to_its_thread(make: Any) -> None:
    """sqlite3 connections are made, used and closed in one thread, in workers and in run_task."""

    def ask(ctx: Context, db: sqlite3.Connection, number: int) -> int:
        return db.execute("SELECT ? + 1", (number,)).fetchone()[0]  # type: ignore[no-any-return]

    async with make(
        on_create=partial(sqlite3.connect, ":memory:"),
        on_destroy=sqlite3.Connection.close,
        worker_count=3,
        resource_pool_size=2,
    ) as m:
        assert [value async for value in m.map(ask, range(20))] == list(range(1, 21))
        assert await asyncio.gather(*[m.run_task(ask, n) for n in range(5)]) == list(range(1, 6))
    assert m.stats().user_errors == 0
    assert m.stats().resources.alive == 0


async def test_the_loop_is_free_meanwhile(make: Any) -> None:
    """A task that blocks does not hold the loop."""
    released = threading.Event()

    def blocks(ctx: Context, resource: Any) -> bool:
        return released.wait(20)

    async with make() as m:
        future = m.submit(blocks)
        await asyncio.sleep(0.02)
        released.set()
        assert await future


async def test_a_function_that_gives_a_coroutine(make: Any) -> None:
    """It is awaited in the loop; so are partials and objects with an async __call__."""

    async def work(ctx: Context, resource: Any, *more: Any) -> Any:
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread(), *more

    class Callable:
        async def __call__(self, ctx: Context, resource: Any) -> Any:
            return await work(ctx, resource, "object")

    async with make() as m:
        assert await m.queue_task(lambda ctx, resource: work(ctx, resource, "lambda")) == (True, "lambda")
        assert await m.queue_task(partial(work), "partial") == (True, "partial")
        assert await m.queue_task(Callable()) == (True, "object")
        assert await m.run_task(lambda ctx, resource: work(ctx, resource)) == (True,)


async def test_cancelling_a_plain_task_asks_its_context(make: Any) -> None:
    """The thread can't be ended: the context is cancelled, and the worker waits for the task."""
    begun = threading.Event()

    def obeys(ctx: Context, resource: Any) -> None:
        begun.set()
        assert ctx.wait(20)
        ctx.raise_if_cancelled()

    async with make() as m:
        for call in (m.queue_task, m.run_task):
            begun.clear()
            caller = asyncio.create_task(call(obeys))
            while not begun.is_set():
                await asyncio.sleep(0.001)
            if call == m.queue_task:
                caller.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await caller
        await m.kill()
        with pytest.raises(Exception, match="kill"):
            await caller


async def test_variables_of_the_submitter(make: Any) -> None:
    """Each task runs in its own copy, over its waits too; what it sets stays there."""

    async def looks(ctx: Context, resource: Any, name: str) -> tuple[str, str]:
        before = user.get()
        user.set(name)
        await asyncio.sleep(0.001)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        return before, user.get()

    async with make(worker_count=3) as m:
        futures = []
        for name in ("ann", "bob", "cid", "dora"):
            user.set(name)
            futures.append(m.submit(looks, name.upper()))
        assert await asyncio.gather(*futures) == [(name, name.upper()) for name in ("ann", "bob", "cid", "dora")]
        assert user.get() == "dora"


async def test_an_async_context_manager_as_resource(make: Any) -> None:
    """It is entered for each resource and left once."""
    log: list[str] = []

    @asynccontextmanager
    async def open_one() -> AsyncIterator[str]:
        await asyncio.sleep(0)
        log.append("open")
        yield "resource"
        await asyncio.sleep(0)
        log.append("close")

    async def gives(ctx: Context, resource: str) -> str:
        return resource

    async with make(resource=open_one, worker_count=2, resource_pool_size=1) as m:
        assert await m.queue_task(gives) == "resource"
        assert await m.run_task(gives) == "resource"
    assert sorted(log) == ["close"] * 3 + ["open"] * 3


async def test_wait_async(make: Any) -> None:
    """A sleep that a cancellation of the context ends, from any thread."""
    assert await Context().wait_async(0.01) is False
    assert await Context().with_timeout(0.01).wait_async() is True
    ctx = Context()
    threading.Timer(0.01, ctx.cancel).start()
    assert await ctx.child().wait_async(20) is True
    assert await ctx.wait_async(20) is True
    assert ctx._watchers is not None


async def test_cancelling_a_coroutine_that_follows_a_plain_task(make: Any) -> None:
    """It is the coroutine's own Context that is cancelled."""
    started, seen = asyncio.Event(), []

    async def nothing(ctx: Context, resource: Any) -> None:
        """Ends at once."""

    async def watches(ctx: Context, resource: Any) -> None:
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            seen.append(ctx.cancelled)

    async with make() as m:
        for task in (nothing, lambda ctx, resource: None):
            await m.queue_task(task)
        future = m.submit(watches)
        await started.wait()
        assert not future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
    assert seen == [True]


async def test_two_managers_of_the_same_name(make: Any) -> None:
    """The stack of a worker is that of its own thread."""
    gate = Gate()

    def secret(ctx: Context, resource: Any) -> None:
        gate.pass_through()

    async with make() as a, make() as b:
        await a.queue_task(lambda ctx, resource: None)
        future = b.submit(secret)
        await gate.arrivals(1)
        assert "secret" in b.worker_stack("tasker-1")
        assert a.worker_stack("tasker-1") == ""
        gate.open()
        await future
