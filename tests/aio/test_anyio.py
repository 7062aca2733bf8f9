"""Scopes and task groups of anyio's: around calls of a manager, inside tasks, and held by resources."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from support.gates import Gate
from support.observers import RecordingLogger
from support.waiting import eventually, throughout
from tasker import Context, MaxRetriesExceeded, WorkerLost

from .tasks import left_over

anyio = pytest.importorskip("anyio")


async def sleeps(ctx: Context, resource: Any) -> None:
    """A task that sleeps for long."""
    await asyncio.sleep(30)


def waits(ctx: Context, resource: Any) -> None:
    """A plain function that waits until its context is cancelled."""
    assert ctx.wait(20)


async def quick(ctx: Context, resource: Any) -> Any:
    """A task that waits once; gives its resource."""
    await asyncio.sleep(0)
    return resource


# -- around ---------------------------------------------------------------------------------------------------------


async def running(m: Any) -> None:
    await m.queue_task(sleeps)


async def by_future(m: Any) -> None:
    await m.submit(sleeps)


async def queued(m: Any) -> None:
    m.submit(sleeps)
    await m.queue_task(sleeps)


async def plain(m: Any) -> None:
    await m.queue_task(waits)


async def inline(m: Any) -> None:
    await m.run_task(sleeps)


async def plain_inline(m: Any) -> None:
    await m.run_task(waits)


async def leaving(m: Any) -> None:
    async with m:
        m.submit(sleeps)


WAYS = [running, by_future, queued, plain, inline, plain_inline, leaving]


@pytest.mark.parametrize("way", WAYS)
async def test_a_scope_around_a_call(make: Any, way: Any) -> None:
    """move_on_after ends it, fail_after raises TimeoutError; nothing else gets out, and nothing is left."""
    for _ in range(2):
        m = await make(worker_count=2 if way is queued else 1)
        with anyio.move_on_after(0.02) as scope:
            await way(m)
        assert scope.cancelled_caught
        assert left_over() == 0
        await m.kill()
        m = await make()
        with pytest.raises(TimeoutError), anyio.fail_after(0.02):
            await way(m)
        assert left_over() == 0
        await m.kill()


async def test_a_scope_around_a_wait_for_a_slot(make: Any) -> None:
    """The same of submit_wait on a full queue."""
    async with make(max_queue_size=1) as m:
        future = m.submit(sleeps)
        await eventually(future.running)
        other = m.submit(sleeps)
        with anyio.move_on_after(0.02) as scope:
            await m.submit_wait(sleeps)
        assert scope.cancelled_caught
        other.cancel()
        future.cancel()


async def test_an_endpoint_with_a_time_limit(make: Any) -> None:
    """A Starlette endpoint that catches the TimeoutError of fail_after answers 504."""
    httpx = pytest.importorskip("httpx")
    applications, responses = pytest.importorskip("starlette.applications"), pytest.importorskip("starlette.responses")

    async with make() as m:

        async def endpoint(request: Any) -> Any:
            try:
                with anyio.fail_after(0.02):
                    await m.queue_task(sleeps)
            except TimeoutError:
                return responses.PlainTextResponse("too slow", 504)
            return responses.PlainTextResponse("done")

        app = applications.Starlette()
        app.add_route("/", endpoint)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
            assert (await client.get("/")).status_code == 504
        assert await m.queue_task(quick) is not None


async def test_the_task_gets_the_message_too(make: Any) -> None:
    """CancelledError has the message in the running task, in its caller and in a caller of a queued task."""
    seen: list[Any] = []
    begun = asyncio.Event()

    async def looks(ctx: Context, resource: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError as error:
            seen.append(error.args)
            raise

    async with make() as m:
        one, other = m.submit(looks), m.submit(looks)
        await begun.wait()
        assert other.cancel("never mind")
        assert one.cancel("a reason") is False
        for future, message in ((one, "a reason"), (other, "never mind")):
            with pytest.raises(asyncio.CancelledError) as caught:
                await future
            assert caught.value.args == (message,)
        assert seen == [("a reason",)]


# -- inside ---------------------------------------------------------------------------------------------------------


async def test_scopes_inside_a_task(make: Any) -> None:
    """A scope, a task group and a limit work in a task, and leave its worker in order."""

    async def limited(ctx: Context, resource: Any) -> str:
        with anyio.move_on_after(0.005) as scope:
            await asyncio.sleep(30)
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), anyio.fail_after(0.005):
            await m.run_task(sleeps)
        async with anyio.create_task_group() as group:
            group.start_soon(asyncio.sleep, 30)
            group.cancel_scope.cancel()
        return "in order"

    async with make() as m:
        for call in (m.queue_task, m.queue_task, m.run_task):
            assert await call(limited) == "in order"
        assert m.stats().resources.created == m.stats().resources.destroyed + 1


# -- resources ------------------------------------------------------------------------------------------------------


class Connection:
    """A resource with a background task that may fail."""

    def __init__(self) -> None:
        self.broken = asyncio.Event()

    async def listen(self) -> None:
        """The background task."""
        await self.broken.wait()
        raise ConnectionError("the peer has gone")


@asynccontextmanager
async def connect() -> AsyncIterator[Connection]:
    """Makes a connection that holds a task group."""
    async with anyio.create_task_group() as group:
        connection = Connection()
        group.start_soon(connection.listen)
        yield connection
        group.cancel_scope.cancel()


async def test_a_resource_that_dies_while_its_worker_is_idle(make: Any) -> None:
    """The worker is replaced, and the error is in the log."""
    logger = RecordingLogger()
    async with make(resource=connect, logger=logger) as m:
        connection = await m.queue_task(quick)
        connection.broken.set()
        await eventually(lambda: m.stats().lost_workers == 1)
        await eventually(lambda: m.stats().active_workers == 1)
        assert await m.queue_task(quick) is not connection
        assert m.stats().resources.alive == 1
    assert "the peer has gone" in logger.text("error")
    assert m.stats().resources.alive == 0


async def test_a_resource_that_dies_under_its_task(make: Any) -> None:
    """The task is tried again with another resource; a once task gets WorkerLost, and so does the last attempt."""
    attempts: list[Any] = []

    async def breaks_it(ctx: Context, connection: Connection, times: int) -> str:
        attempts.append(connection)
        if len(attempts) <= times:
            connection.broken.set()
            await asyncio.sleep(30)
        return "done"

    async with make(resource=connect, max_retries=1) as m:
        assert await m.queue_task(breaks_it, 1) == "done"
        assert len({*map(id, attempts)}) == 2
        attempts.clear()
        with pytest.raises(WorkerLost, match="cancel scope"):
            await m.queue_task(breaks_it, 1, once=True)
        attempts.clear()
        with pytest.raises(MaxRetriesExceeded, match="cancel scope"):
            await m.queue_task(breaks_it, 5)
        attempts.clear()
        assert await m.queue_task(breaks_it, 0) == "done"
        assert m.stats().resources.alive == 1
    assert m.stats().resources.alive == 0


async def test_a_resource_that_dies_under_a_task_that_is_cancelled(make: Any) -> None:
    """Its outcome is the cancellation, and the worker is replaced."""

    async def breaks_it(ctx: Context, connection: Connection) -> None:
        futures[0].cancel()
        connection.broken.set()
        await asyncio.sleep(30)

    async with make(resource=connect) as m:
        futures = [m.submit(breaks_it)]
        with pytest.raises(asyncio.CancelledError):
            await futures[0]
        await eventually(lambda: m.stats().lost_workers == 1)
        assert isinstance(await m.queue_task(quick), Connection)


async def test_a_resource_that_dies_under_a_task_that_swallows_it(make: Any) -> None:
    """The task keeps its result, and the worker is replaced."""

    async def swallows(ctx: Context, connection: Connection) -> str:
        connection.broken.set()
        for _ in range(5):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                pass
        return "kept"

    async with make(resource=connect) as m:
        assert await m.queue_task(swallows) == "kept"
        await eventually(lambda: m.stats().lost_workers == 1)
        assert isinstance(await m.queue_task(quick), Connection)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_end_waits_for_a_pooled_resource_that_has_died(make: Any, end: str) -> None:
    """A stop returns once its ``on_destroy`` has ended; a kill names it in the report, at its deadline."""
    gate = Gate()
    made = count()

    @asynccontextmanager
    async def slow() -> AsyncIterator[Connection]:
        number = next(made)
        try:
            async with connect() as connection:
                yield connection
        finally:
            if number == 0:
                await gate.apass_through()

    m = await make(resource=slow, resource_pool_size=1)
    connection = await m.run_task(quick)
    connection.broken.set()
    await gate.arrivals(1)
    await eventually(lambda: m.stats().available_resources == 1)
    await m.queue_task(quick)
    if end == "kill":
        assert (await m.kill(0.3)).abandoned == ("the pool of run_task (in on_destroy)",)
        gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)
        return
    stop = asyncio.create_task(m.stop())
    await eventually(lambda: m.stats().resources.destroyed == 2, what="all others")
    await throughout(lambda: not stop.done(), 0.05)
    gate.open()
    assert (await stop).abandoned == ()
    assert (m.stats().resources.alive, m.stats().resources.destroyed) == (0, 3)


async def test_a_pooled_resource_that_dies(make: Any) -> None:
    """It concerns neither the task that started the manager nor the callers: the pool is refilled."""
    async with make(resource=connect, resource_pool_size=1) as m:
        connection = await m.run_task(quick)
        connection.broken.set()
        await eventually(lambda: m.stats().resources.destroyed == 1)
        await eventually(lambda: m.stats().available_resources == 1)
        other = await m.run_task(quick)
        assert other is not connection
        gate = Gate()

        async def breaks_it(ctx: Context, connection: Connection) -> str:
            connection.broken.set()
            await gate.apass_through()
            return "done"

        caller = asyncio.create_task(m.run_task(breaks_it))
        await gate.arrivals(1)
        await eventually(lambda: m.stats().resources.destroyed == 2)
        gate.open()
        assert await caller == "done"
        await eventually(lambda: m.stats().available_resources == 1)
        assert await m.run_task(quick) is not other
        assert left_over() == 0
    assert m.stats().resources.alive == 0
