"""Point 16 for a task that runs an event loop in its worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support import internals
from support.waiting import wait_until
from tasker import Context, DeadlockError, TaskManager

Way = Callable[[TaskManager[Any]], Awaitable[Any]]


def inner(ctx: Context, resource: Any) -> str:
    """A task that is waited for."""
    return "inner"


async def by_await(m: TaskManager[Any]) -> Any:
    return await m.submit(inner)


async def by_wrap_future(m: TaskManager[Any]) -> Any:
    return await asyncio.wrap_future(m.submit(inner))


async def by_gather(m: TaskManager[Any]) -> Any:
    return await asyncio.gather(asyncio.wrap_future(m.submit(inner)), by_await(m))


async def by_child(m: TaskManager[Any]) -> Any:
    return await asyncio.create_task(by_await(m))


async def by_wait(m: TaskManager[Any]) -> Any:
    done, _ = await asyncio.wait([asyncio.ensure_future(by_await(m)), asyncio.wrap_future(m.submit(inner))])
    return [one.result() for one in done]


async def by_wait_first(m: TaskManager[Any]) -> Any:
    futures = [asyncio.wrap_future(m.submit(inner)) for _ in range(2)]
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


async def by_shield(m: TaskManager[Any]) -> Any:
    return await asyncio.shield(asyncio.wrap_future(m.submit(inner)))


async def by_group(m: TaskManager[Any]) -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(by_await(m))
            group.create_task(by_shield(m))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def by_as_completed(m: TaskManager[Any]) -> Any:
    return [await one for one in asyncio.as_completed([by_await(m), by_shield(m)])]


async def by_wait_for(m: TaskManager[Any]) -> Any:
    return await asyncio.wait_for(asyncio.wrap_future(m.submit(inner)), None)


async def by_all_of_it(m: TaskManager[Any]) -> Any:
    return await asyncio.gather(asyncio.shield(asyncio.gather(by_group(m), by_wait(m))), by_as_completed(m))


WAYS = [by_await, by_wrap_future, by_gather, by_child, by_wait, by_wait_first, by_shield, by_group]
WAYS += [by_as_completed, by_wait_for, by_all_of_it]


def outer(ctx: Context, resource: Any, m: TaskManager[Any], way: Way) -> Any:
    """A task that waits for tasks of its own manager in a loop of its own."""
    return asyncio.run(way(m))  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
def test_an_await_in_the_only_worker(threads: Any, way: Way) -> None:
    """It raises DeadlockError in the task within a tick, and the manager works on."""
    m = threads.build(burst_interval=0.02)
    error = m.submit(outer, m, way).exception(20)
    assert isinstance(error, DeadlockError)
    assert "outer" in str(error)
    assert m.submit(inner).result(20) == "inner"
    assert m.submit(outer, m, way).exception(20) is not None  # again, in another loop


@pytest.mark.parametrize("way", WAYS)
def test_an_await_beside_a_free_worker(threads: Any, way: Way) -> None:
    """With a second worker, there or still to come, it is fine, and leaves no wait behind."""
    for config in ({"worker_count": 2}, {"max_worker_count": 2}):
        m = threads.build(burst_interval=0.02, **config)
        m.submit(outer, m, way).result(20)
        wait_until(lambda m=m: internals.workers_that_wait(m) == 0)


@pytest.mark.parametrize("way", WAYS)
def test_an_await_in_on_create_of_the_only_worker(threads: Any, way: Way) -> None:
    """It raises DeadlockError there within a tick."""
    errors: list[BaseException] = []
    made = threading.Event()

    def create() -> object:
        made.wait(20)
        if not errors:
            try:
                asyncio.run(way(m))  # type: ignore[arg-type]
            except BaseException as error:
                errors.append(error)
        return object()

    m = threads.build(burst_interval=0.02, on_create=create)
    made.set()
    assert m.submit(inner).result(20) == "inner"
    assert isinstance(errors[0], DeadlockError)
    assert "on_create" in str(errors[0])


@pytest.mark.parametrize("way", WAYS)
def test_an_await_in_on_create_beside_another_worker(threads: Any, way: Way) -> None:
    """It is fine where another worker serves, or is about to."""
    results: list[Any] = []
    first, made = iter([True]), threading.Event()

    def create() -> object:
        made.wait(20)
        if next(first, False):
            results.append(asyncio.run(way(m)))  # type: ignore[arg-type]
        else:
            ticks = internals.count_ticks(m)
            wait_until(lambda: len(ticks) >= 3)
        return object()

    m = threads.build(burst_interval=0.02, worker_count=2, on_create=create)
    made.set()
    wait_until(lambda: results)
    assert m.submit(inner).result(20) == "inner"
    assert m.stats().failing_creations == 0


async def wait_first(futures: list[Any]) -> Any:
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    return done.pop().result()


async def wait_all(futures: list[Any]) -> Any:
    done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_EXCEPTION)
    return done.pop().result()


async def gathered(futures: list[Any]) -> Any:
    return await asyncio.gather(*futures)


async def completed(futures: list[Any]) -> Any:
    return await next(iter(asyncio.as_completed(futures)))


@pytest.mark.parametrize("way", [wait_first, wait_all, gathered, completed])
def test_a_wait_that_another_thread_may_end(threads: Any, way: Any) -> None:
    """It is no deadlock, in whatever way a future of that thread is waited for beside a task of the manager."""

    async def waits(m: TaskManager[Any]) -> Any:
        loop = asyncio.get_running_loop()
        other: asyncio.Future[Any] = loop.create_future()

        def end() -> None:
            ticks = internals.count_ticks(m)
            wait_until(lambda: len(ticks) >= 3)
            loop.call_soon_threadsafe(other.set_exception, KeyError("other"))

        threading.Thread(target=end).start()
        return await way([asyncio.shield(asyncio.wrap_future(m.submit(inner))), other])

    m = threads.build(burst_interval=0.01)
    with pytest.raises(KeyError, match="other"):
        m.submit(outer, m, waits).result(20)


def test_the_awaiting_task_may_catch_it(threads: Any) -> None:
    """What was awaited runs later; its outcome finds no loop any more, and disturbs nothing."""
    inside: list[Any] = []

    async def way(m: TaskManager[Any]) -> str:
        inside.append(m.submit(inner))
        try:
            return str(await inside[0])
        except DeadlockError:
            return "did it itself"

    m = threads.build(burst_interval=0.02)
    assert m.submit(outer, m, way).result(20) == "did it itself"
    assert inside[0].result(20) == "inner"
    assert m.stats().user_errors == 0


def test_two_waits_that_may_end_one_another(threads: Any) -> None:
    """A loop of which one task still gets on is not blocked: a timer, another thread, a wait with a limit."""
    ended = threading.Event()

    async def way(m: TaskManager[Any]) -> str:
        loop = asyncio.get_running_loop()
        mine = m.submit(inner)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(mine), 0.1)
        other = loop.create_future()
        thread = threading.Timer(0.1, lambda: loop.call_soon_threadsafe(other.set_result, "other"))
        thread.start()
        waiting = {asyncio.ensure_future(by_await(m)), other}
        done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in rest:
            one.cancel()
        ended.set()
        return ",".join(one.result() for one in done)

    m = threads.build(burst_interval=0.01)
    assert m.submit(outer, m, way).result(20) == "other"
    assert ended.is_set()
