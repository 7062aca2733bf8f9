"""Completion against registration: a waiter that registers in that very moment still gets the outcome."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.threaded import ThreadedEngine
from support.waiting import Call

pytestmark = pytest.mark.stress
ROUNDS = int(os.environ.get("TASKER_STRESS", "20000")) // 10


@pytest.fixture
def threads() -> Iterator[ThreadedEngine]:
    """The threaded engine, audited afterwards, with threads that switch all the time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    engine = ThreadedEngine()
    try:
        yield engine
    finally:
        sys.setswitchinterval(interval)
        engine.audit()


def quick(ctx: Any, resource: Any, value: int) -> int:
    """The shortest task."""
    return value


def by_result(future: Any, value: int) -> None:
    """Wait by result()."""
    assert future.result(20) == value


def by_exception(future: Any, value: int) -> None:
    """Wait by exception()."""
    assert future.exception(20) is None


def by_wait(future: Any, value: int) -> None:
    """Wait by wait()."""
    done, _ = cf.wait([future], timeout=20)
    assert done == {future}


def by_as_completed(future: Any, value: int) -> None:
    """Wait by as_completed()."""
    assert [f.result() for f in cf.as_completed([future], timeout=20)] == [value]


def by_callback(future: Any, value: int) -> None:
    """Wait by add_done_callback()."""
    called = threading.Event()
    calls: list[Any] = []

    def call(done: Any) -> None:
        calls.append(done)
        called.set()

    future.add_done_callback(call)
    assert called.wait(20)
    assert calls == [future]


WAYS = [by_result, by_exception, by_wait, by_as_completed, by_callback]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_races_one_waiter(threads: Any, way: Callable[[Any, int], None]) -> None:
    """A waiter that registers while the task completes is woken, in every round."""
    with threads.build(worker_count=2) as m:
        for number in range(ROUNDS):
            way(m.submit(quick, number), number)


@pytest.mark.timeout(300)
def test_races_all_waiters_at_once(threads: Any) -> None:
    """Waiters of all kinds on the same future, from several threads, are all woken."""
    with threads.build(worker_count=2) as m:
        rounds = max(20, ROUNDS // 20)
        barrier = threading.Barrier(len(WAYS) + 1)
        current: list[Any] = [None, 0]

        def follow(way: Callable[[Any, int], None]) -> None:
            for _ in range(rounds):
                barrier.wait(30)
                way(*current)
                barrier.wait(30)

        followers = [Call(follow, way) for way in WAYS]
        for number in range(rounds):
            current[:] = [m.submit(quick, number), number]
            barrier.wait(30)
            barrier.wait(30)
        for follower in followers:
            follower.outcome()


@pytest.mark.timeout(300)
def test_races_cancel_against_start(threads: Any) -> None:
    """cancel() against the start of the task: exactly one of them wins, and says so."""
    ran: list[int] = []

    def note(ctx: Any, resource: Any, number: int) -> int:
        ran.append(number)
        return number

    with threads.build(worker_count=2) as m:
        futures = []
        for number in range(ROUNDS):
            calls: list[Any] = []
            future = m.submit(note, number)
            future.add_done_callback(calls.append)
            futures.append((number, future, future.cancel(), calls))
        m.stop()
        started = set(ran)
        assert len(ran) == len(started)
        for number, future, won, calls in futures:
            assert future.done()
            assert len(calls) == 1
            if won:
                assert future.cancelled()
                assert number not in started
            else:
                assert future.result(0) == number


@pytest.mark.timeout(300)
def test_races_two_cancels(threads: Any) -> None:
    """Several cancels of one queued task call back once."""
    gate = threads.gate()
    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        for _ in range(max(20, ROUNDS // 20)):
            calls: list[Any] = []
            future = m.submit(quick, 1)
            future.add_done_callback(calls.append)
            cancels = [Call(future.cancel) for _ in range(3)]
            assert [cancel.outcome() for cancel in cancels] == [True] * 3
            assert calls == [future]
        gate.open()


@pytest.mark.timeout(300)
def test_races_await(threads: Any) -> None:
    """Awaiting futures while they complete never misses one."""

    async def main(m: Any) -> None:
        for start in range(0, ROUNDS, 10):
            futures = [m.submit(quick, n) for n in range(start, start + 10)]

            async def value(future: Any) -> Any:
                return await future

            got = await asyncio.wait_for(asyncio.gather(*map(value, futures)), 30)
            assert got == list(range(start, start + 10))

    with threads.build(worker_count=2) as m:
        asyncio.run(main(m))


@pytest.mark.timeout(300)
def test_races_wake_of_an_idle_worker(threads: Any) -> None:
    """A task submitted while the worker falls asleep is taken, in every round."""
    with threads.build(worker_count=3) as m:
        for number in range(ROUNDS):
            assert m.queue_task(quick, number) == number


@pytest.mark.timeout(300)
def test_races_start_and_stop(threads: Any) -> None:
    """Managers that are stopped right after their start, twice at once, end cleanly."""
    for _ in range(max(10, ROUNDS // 100)):
        m = threads.build(worker_count=3, resource_pool_size=1)
        calls = [Call(m.stop), Call(m.stop), Call(m.kill)]
        for call in calls:
            call.outcome()
