"""Deadlocks that are found, threads and loops that are refused, a loop that is held."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from support import internals
from support.gates import Gate
from support.observers import RecordingLogger
from support.waiting import eventually, in_thread
from tasker import Context, DeadlockError, ShutdownError


async def inner(ctx: Context, resource: Any) -> str:
    """A task that is waited for."""
    return "inner"


async def direct(m: Any) -> Any:
    return await m.queue_task(inner)


async def by_future(m: Any) -> Any:
    return await m.submit(inner)


async def by_gather(m: Any) -> Any:
    return await asyncio.gather(m.submit(inner), m.submit(inner))


async def by_gather_of_coroutines(m: Any) -> Any:
    return await asyncio.gather(m.queue_task(inner), m.queue_task(inner))


async def by_group(m: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(m.queue_task(inner))


async def by_wait(m: Any) -> Any:
    return await asyncio.wait([m.submit(inner)])


async def by_child(m: Any) -> Any:
    return await asyncio.create_task(m.queue_task(inner))


async def by_map(m: Any) -> Any:
    return [one async for one in m.map(inner_of, range(3))]


async def inner_of(ctx: Context, resource: Any, item: int) -> int:
    """A task of `map`."""
    return item


WAYS = [direct, by_future, by_gather, by_gather_of_coroutines, by_group, by_wait, by_child, by_map]


@pytest.mark.parametrize("way", WAYS)
async def test_point_16_waiting_for_the_own_saturated_pool(make: Any, way: Any) -> None:
    """It raises DeadlockError in the task, however it waits, and the manager works on."""

    async def outer(ctx: Context, resource: Any) -> Any:
        return await way(m)

    async with make(burst_interval=0.02) as m:
        with pytest.raises((DeadlockError, ExceptionGroup)) as caught:
            await m.submit(outer)
        text = repr(caught.value)
        assert "outer" in text or caught.type is ExceptionGroup
        assert await m.queue_task(inner) == "inner"


@pytest.mark.parametrize("way", WAYS)
async def test_point_16_not_while_a_worker_is_free_or_may_come(make: Any, way: Any) -> None:
    """With a second worker, there or still to come, waiting is fine."""

    async def outer(ctx: Context, resource: Any) -> Any:
        await way(m)
        return "fine"

    async with make(worker_count=2, burst_interval=0.02) as m:
        assert await m.submit(outer) == "fine"
    async with make(max_worker_count=2, burst_interval=0.02) as m:
        assert await m.submit(outer) == "fine"


async def test_point_16_not_after_a_resize_where_the_awaited_tasks_run(make: Any) -> None:
    """While more workers live than the limit that a resize has set, waiting by gather for tasks that run is no deadlock."""
    gate, begun = Gate(), Gate()
    subs: list[Any] = []

    async def sub(ctx: Context, resource: Any) -> str:
        await gate.apass_through()
        return "sub"

    async def outer(ctx: Context, resource: Any) -> Any:
        mine = m.submit(sub)
        subs.append(mine)
        await begun.apass_through()
        return await asyncio.gather(mine)

    async with make(worker_count=4, max_worker_count=4, burst_interval=0.01) as m:
        waiting = [m.submit(outer) for _ in range(2)]
        await begun.arrivals(2)
        await gate.arrivals(2)
        m.resize(worker_count=2, max_worker_count=2)
        m.submit(inner)
        ticks = internals.count_ticks(m)
        begun.open()
        await eventually(lambda: len(ticks) >= 5 or any(future.done() for future in waiting))
        gate.open()
        assert await asyncio.gather(*waiting) == [["sub"], ["sub"]]


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("where", ["task", "child", "run_task", "callback"])
async def test_point_08_stopping_from_inside(make: Any, end: str, where: str) -> None:
    """stop() and kill() inside a task, a child of it, run_task or a callback raise DeadlockError."""
    errors: list[str] = []

    async def attempt(*_: Any) -> None:
        try:
            await getattr(m, end)()
        except DeadlockError as error:
            errors.append(str(error))

    async def child(*_: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(attempt())

    async with make() as m:
        if where == "callback":
            await m.submit(inner, callback=attempt)
        elif where == "run_task":
            await m.run_task(attempt)
        else:
            await m.submit(attempt if where == "task" else child)
        await eventually(lambda: errors)
        assert not m.closed
        assert await m.queue_task(inner) == "inner"


async def test_another_thread_is_refused(make: Any) -> None:
    """The error names run_coroutine_threadsafe, which works."""
    async with make() as m:
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
            await in_thread(m.submit, inner)
        assert m.stats().accepted_tasks == 0

        def proper() -> Any:
            return asyncio.run_coroutine_threadsafe(m.queue_task(inner), loop).result(10)

        assert await in_thread(proper) == "inner"
        with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
            await in_thread(lambda: asyncio.run(m.queue_task(inner)))


async def test_before_it_is_started(make: Any) -> None:
    """A manager that was never entered refuses, says how to start it, and shows zeros."""
    m = make()
    with pytest.raises(ShutdownError, match="async with"):
        m.submit(inner)
    with pytest.raises(ShutdownError, match="async with"):
        await m.queue_task(inner)
    assert m.stats().accepted_tasks == 0
    assert m.metrics().total_tasks_completed == 0
    assert not m.closed


async def test_it_can_be_awaited_instead(make: Any) -> None:
    """manager = await AsyncTaskManager(config) starts it; stop ends it."""
    m = await make()
    assert await m.queue_task(inner) == "inner"
    assert not (await m.stop()).killed


async def test_a_held_loop_is_named(make: Any) -> None:
    """The log names the task and the worker; before and after a wait, and for plain tasks inline."""

    async def at_once(ctx: Context, resource: Any) -> None:
        time.sleep(0.06)

    async def later(ctx: Context, resource: Any) -> None:
        await asyncio.sleep(0)
        time.sleep(0.06)

    def plain(ctx: Context, resource: Any) -> None:
        time.sleep(0.06)

    for task in (at_once, later, plain):
        logger = RecordingLogger()
        async with make(slow_callback=0.05, logger=logger, name="crew", sync_in_thread=False) as m:
            await m.queue_task(inner)
            await m.queue_task(task)
        text = logger.text("warning")
        assert task.__name__ in text
        assert "crew-1" in text
        assert "inner" not in text


async def test_a_free_loop_is_not_complained_of(make: Any) -> None:
    """Waiting is not holding; nor is a plain task in its thread; and 0 turns it off."""

    async def waits(ctx: Context, resource: Any) -> None:
        await asyncio.sleep(0.06)

    def blocks(ctx: Context, resource: Any) -> None:
        time.sleep(0.06)

    async def holds(ctx: Context, resource: Any) -> None:
        time.sleep(0.06)

    logger = RecordingLogger()
    async with make(slow_callback=0.05, logger=logger) as m:
        await m.queue_task(waits)
        await m.queue_task(blocks)
    async with make(slow_callback=0, logger=logger) as m:
        await m.queue_task(holds)
    assert "held" not in logger.text("warning")


async def test_signals(make: Any) -> None:
    """The first stops, the second kills, and the former handlers are back after."""
    import os
    import signal

    async def sleeps(ctx: Context, resource: Any) -> None:
        await asyncio.sleep(30)

    before = signal.getsignal(signal.SIGTERM)
    async with make() as m:
        with m.stop_on_signals(signal.SIGTERM) as received:
            future = m.submit(sleeps)
            await eventually(future.running)
            os.kill(os.getpid(), signal.SIGTERM)
            await eventually(lambda: m.closed)
            assert not future.done()
            os.kill(os.getpid(), signal.SIGTERM)
            assert (await m.stop()).killed
            assert received.signals == [signal.SIGTERM] * 2
        assert signal.getsignal(signal.SIGTERM) is before
        with pytest.raises(ValueError, match="main thread"):
            await in_thread(lambda: asyncio.run(elsewhere(make)))


async def elsewhere(make: Any) -> None:
    """stop_on_signals off the main thread."""
    async with make() as m:
        with m.stop_on_signals():
            pass


async def test_no_thread_without_need(make: Any) -> None:
    """Asynchronous tasks and hooks start none."""

    async def create() -> object:
        return object()

    before = threading.active_count()
    async with make(on_create=create, worker_count=4, resource_pool_size=2) as m:
        await m.queue_task(inner)
        await m.run_task(inner)
        assert threading.active_count() == before


async def test_stats_in_another_thread(make: Any) -> None:
    """The numbers are of one moment there, too, whatever the loop counts meanwhile."""
    import sys

    wrong: list[Any] = []
    enough, looks = threading.Event(), []  # type: ignore[var-annotated]

    async def fails(ctx: Context, resource: Any) -> None:
        raise KeyError

    def sample() -> None:
        while not enough.is_set():
            stats = m.stats()
            looks.append(None)
            parts = (stats.queued_tasks, stats.priority_tasks, stats.running_tasks, stats.done_tasks)
            if min(parts) < 0 or sum(parts) != stats.accepted_tasks or stats.running_tasks > 3:
                wrong.append(stats)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        async with make(worker_count=2, resource_pool_size=1) as m:
            sampler = asyncio.create_task(in_thread(sample))
            for _ in range(200):
                futures = [m.submit(task) for task in (inner, fails, inner, inner)]
                await m.run_task(inner)
                await asyncio.wait(futures)
                for future in futures:
                    future.exception()
            await eventually(lambda: len(looks) > 50)
            enough.set()
            await sampler
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


async def test_stats_while_the_loop_counts(make: Any) -> None:
    """A reading in another thread that the loop has come into is taken again."""
    async with make(resource_pool_size=1) as m:
        loop = asyncio.get_running_loop()
        counters = m._engine.counters
        flow = counters.flow
        entered: list[Any] = []

        async def some() -> None:
            for _ in range(3):
                await m.run_task(inner)

        def interrupted() -> Any:
            found = flow()
            if not entered:  # in the first reading, between its parts
                entered.append(asyncio.run_coroutine_threadsafe(some(), loop).result(20))
            return found

        counters.flow = interrupted
        stats = await in_thread(m.stats)
        assert entered
        assert (stats.done_tasks, stats.running_tasks) == (3, 0)


class EnteredSlowly:
    """A note that a reader in another thread is about to enter when the loop comes in between, in the middle of an addition."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = [meanwhile]

    def __contains__(self, name: object) -> bool:
        if name == "sent_back":
            while self._meanwhile:
                self._meanwhile.pop()()
        return False


async def test_stats_while_an_attempt_goes_back(make: Any) -> None:
    """It is counted, although another thread adds to the same number at that moment, as without the GIL it may."""
    async with make() as m:
        engine = m._engine
        await m.pause()
        future = m.submit(inner)

        def go_back() -> None:
            engine.shard(1).sent_back += 1
            engine.claim(future)

        engine.counters.notes.append(EnteredSlowly(go_back))
        m.stats()
        stats = m.stats()
        assert (stats.queued_tasks, stats.running_tasks, stats.accepted_tasks) == (1, 0, 1)
        m.resume()
        assert await future == "inner"


class Changed(deque[Any]):
    """Changed by the loop's thread while another one copies it, the first time, as can happen without the GIL."""

    copies = 0

    def __iter__(self) -> Iterator[Any]:
        """Fails the first time."""
        self.copies += 1
        if self.copies == 1:
            raise RuntimeError("deque mutated during iteration")
        return super().__iter__()

    def copy(self) -> Any:
        """Iterates."""
        return deque(iter(self))


async def test_numbers_that_another_thread_reads_while_they_change(make: Any) -> None:
    """stats() copies what it counts until that has worked."""
    async with make(resource_pool_size=2) as m:
        engine = m._engine
        idle_ones = engine.pool._idle = Changed(engine.pool._idle)
        assert m.stats().available_resources == 2
        engine.queue._tombstones.add(10**6)
        engine.queue.levels = urgent, _, _ = Changed(), deque(), deque()
        assert m.stats().queued_tasks == 0
        assert engine.urgent_tasks == 0
        assert (idle_ones.copies, urgent.copies) > (1, 1)
