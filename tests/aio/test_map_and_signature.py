"""map over asynchronous inputs, bounded queues, and the two faces side by side."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tasker import AsyncTaskManager, Config, Context, DeadlockError, QueueFull, TaskManager

ONLY_THREADS = {"as_executor": "an Executor blocks its caller, which nothing in an event loop may do"}
ONLY_ASYNCIO = {"submit_wait": "submit can't wait for a place in an event loop"}
COROUTINES = {"stop", "kill", "pause", "queue_task", "run_task"}


def face(kind: type) -> dict[str, Any]:
    """The public methods and properties of a class, and its constructor."""
    names = (name for name in dir(kind) if not name.startswith("_") or name == "__init__")
    return {name: getattr(kind, name) for name in names}


def parameters(method: Any) -> list[tuple[str, Any, Any]]:
    """Names, kinds and defaults."""
    return [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]


def test_the_two_faces_have_the_same_names() -> None:
    """What one has, the other has, but for what has a reason."""
    assert face(TaskManager).keys() - face(AsyncTaskManager).keys() == ONLY_THREADS.keys()
    assert face(AsyncTaskManager).keys() - face(TaskManager).keys() == ONLY_ASYNCIO.keys()


@pytest.mark.parametrize("name", sorted(face(TaskManager).keys() - ONLY_THREADS.keys()))
def test_the_two_faces_have_the_same_signatures(name: str) -> None:
    """Parameters, kinds and defaults agree; four are coroutines."""
    threaded, native = face(TaskManager)[name], face(AsyncTaskManager)[name]
    if isinstance(threaded, property):
        assert isinstance(native, property)
        return
    assert parameters(native) == parameters(threaded)
    assert inspect.iscoroutinefunction(native) == (name in COROUTINES)
    assert not inspect.iscoroutinefunction(threaded)


async def double(ctx: Context, resource: Any, item: int) -> int:
    """A task of `map`."""
    await asyncio.sleep(0)
    return 2 * item


class Source:
    """An asynchronous counter that knows how far it was read, and that it was closed."""

    def __init__(self) -> None:
        self.read = 0

    async def count(self, end: int) -> AsyncIterator[int]:
        while self.read < end:
            await asyncio.sleep(0)
            self.read += 1
            yield self.read - 1


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_over_an_async_iterable(make: Any, ordered: bool) -> None:
    """It is read lazily, look_ahead items ahead at most."""
    source = Source()
    async with make(worker_count=2) as m:
        results = m.map(double, source.count(10_000), look_ahead=5, ordered=ordered)
        first = [await anext(results) for _ in range(20)]
        assert sorted(first) == [2 * n for n in range(20)] or not ordered
        assert source.read <= 26
        await results.aclose()


async def test_map_over_an_async_iterable_that_raises(make: Any) -> None:
    """Its error comes after the results before it."""

    async def broken() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise LookupError("input")

    got: list[int] = []
    async with make() as m:
        with pytest.raises(LookupError, match="input"):
            async for value in m.map(double, broken()):
                got.append(value)
    assert got == [2, 4]


async def test_map_waits_for_places(make: Any) -> None:
    """With a bounded queue map goes on as places become free."""
    async with make(max_queue_size=2) as m:
        assert [value async for value in m.map(double, range(50))] == [2 * n for n in range(50)]


async def test_submit_never_waits(make: Any) -> None:
    """On a full queue it raises QueueFull at once, whatever `block` says; submit_wait waits."""
    async with make(max_queue_size=1) as m:
        m.submit(double, 1)
        for options in ({}, {"block": True}, {"queue_timeout": 10}):
            with pytest.raises(QueueFull, match="submit_wait"):
                m.submit(double, 2, **options)
        with pytest.raises(QueueFull):
            await m.submit_wait(double, 2, block=False)
        assert await (await m.submit_wait(double, 3)) == 6


async def test_a_cancelled_wait_for_a_place_takes_none(make: Any) -> None:
    """Not even when the place was given at that very moment."""
    async with make(max_queue_size=1) as m:
        m.submit(double, 1)
        waiters = [asyncio.create_task(m.submit_wait(double, n)) for n in range(20)]
        await asyncio.sleep(0)
        for waiter in waiters[::2]:
            waiter.cancel()
        for waiter in waiters[1::2]:
            await (await waiter)
        assert await m.queue_task(double, 4, queue_timeout=5) == 8
        assert m.stats().accepted_tasks == 12


def test_a_config_is_wanted() -> None:
    """The constructor takes a Config, outside of a loop too."""
    with pytest.raises(ValueError, match="Config"):
        AsyncTaskManager(object())  # type: ignore[arg-type]
    assert AsyncTaskManager(Config(on_create=object, worker_count=1)).name == "tasker"


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_yields_while_the_next_input_is_waited_for(make: Any, ordered: bool) -> None:
    """A source whose next input depends on the result of the last one gets on."""
    received = asyncio.Event()

    async def inputs() -> AsyncIterator[int]:
        for number in range(3):
            yield number
            await received.wait()
            received.clear()

    got = []
    async with make() as m:
        async for value in m.map(double, inputs(), ordered=ordered):
            got.append(value)
            received.set()
    assert got == [0, 2, 4]


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_from_a_source_that_never_waits(make: Any, ordered: bool) -> None:
    """A synchronous source that takes its time lets the workers run, and yields the first result before it is read to
    its end."""
    read = []

    def inputs() -> Iterator[int]:
        for number in range(100):
            time.sleep(0.002)
            read.append(number)
            yield number

    async with make() as m:
        results = m.map(double, inputs(), ordered=ordered)
        assert await anext(results) == 0
        assert len(read) < 10
        await results.aclose()


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_over_failures_reports_one(make: Any, ordered: bool) -> None:
    """Errors of the tasks ahead, which are not wanted any more, are not reported as never retrieved."""
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, report: reports.append(report))

    async def fails(ctx: Context, resource: Any, number: int) -> None:
        await asyncio.sleep(0)
        raise LookupError(number)

    async with make(worker_count=4) as m:
        results = m.map(fails, range(100), ordered=ordered)
        with pytest.raises(LookupError):
            await anext(results)
        await results.aclose()
    del results
    gc.collect()
    assert reports == []


async def test_map_closes_its_reader(make: Any) -> None:
    """Closing the iterator ends a source that waits; what the source enters is left in the task that has entered it."""
    tasks: list[Any] = []

    async def inputs() -> AsyncIterator[int]:
        tasks.append(asyncio.current_task())
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            tasks.append(asyncio.current_task())

    async with make() as m:
        results = m.map(double, inputs())
        assert await anext(results) == 2
        await results.aclose()
        assert len(tasks) == 2
        assert tasks[0] is tasks[1]
        assert tasks[0].done()


async def test_stop_inside_a_source_of_map_inside_a_task(make: Any) -> None:
    """A source that stops the manager whose task reads it gets DeadlockError: it would wait for that task."""

    async def outer(ctx: Context, resource: Any) -> Any:
        async def inputs() -> AsyncIterator[int]:
            yield 1
            await asyncio.sleep(0.01)
            await m.stop()

        return [one async for one in m.map(double, inputs())]

    async with make(worker_count=2) as m:
        with pytest.raises(DeadlockError, match="stop"):
            await m.submit(outer)
