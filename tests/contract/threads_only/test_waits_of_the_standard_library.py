"""Point 16 for the ways to wait of `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from typing import Any

import pytest

from support import internals
from support.waiting import Call, wait_until
from tasker import Context, DeadlockError, TaskManager

Way = Callable[[TaskManager[Any]], Any]


def inner(ctx: Context, resource: Any) -> str:
    """A task that is waited for."""
    return "inner"


def by_wait(return_when: str) -> Way:
    return lambda m: concurrent.futures.wait([m.submit(inner), m.submit(inner)], return_when=return_when)


def by_as_completed(m: TaskManager[Any]) -> Any:
    return [one.result() for one in concurrent.futures.as_completed([m.submit(inner), m.submit(inner)])]


def by_wait_beside_another_executor(m: TaskManager[Any]) -> Any:
    other: concurrent.futures.Future[None] = concurrent.futures.Future()
    return concurrent.futures.wait([m.submit(inner), other])


def by_executor_map(m: TaskManager[Any]) -> Any:
    return list(m.as_executor().map(str, range(3)))


def by_shutdown(m: TaskManager[Any]) -> Any:
    executor = m.as_executor()
    executor.submit(str)
    executor.shutdown()


WAYS = [
    by_wait(ALL_COMPLETED),
    by_wait(FIRST_COMPLETED),
    by_wait(FIRST_EXCEPTION),
    by_as_completed,
    by_wait_beside_another_executor,
    by_executor_map,
    by_shutdown,
]


def outer(ctx: Context, resource: Any, m: TaskManager[Any], way: Way) -> Any:
    """A task that waits for tasks of its own manager."""
    return way(m)


@pytest.mark.parametrize("way", WAYS)
def test_a_wait_in_the_only_worker(threads: Any, way: Way) -> None:
    """It raises DeadlockError in the task, and the manager works on."""
    m = threads.build(burst_interval=0)
    future = m.submit(outer, m, way)
    error = future.exception(20)
    assert isinstance(error, DeadlockError)
    assert "outer" in str(error)
    assert m.submit(inner).result(20) == "inner"


@pytest.mark.parametrize("way", [way for way in WAYS if way is not by_wait_beside_another_executor])
def test_a_wait_beside_a_free_worker(threads: Any, way: Way) -> None:
    """With a second worker it is fine, and leaves no wait behind."""
    m = threads.build(worker_count=2, burst_interval=0)
    m.submit(outer, m, way).result(20)
    assert internals.workers_that_wait(m) == 0


@pytest.mark.parametrize("way", WAYS[:4])
def test_a_wait_grows_the_pool(threads: Any, way: Way) -> None:
    """Where a burst worker is allowed, it comes."""
    m = threads.build(max_worker_count=2, burst_interval=0.02)
    m.submit(outer, m, way).result(20)


def first_of_another_executor(m: TaskManager[Any]) -> Any:
    other: concurrent.futures.Future[str] = concurrent.futures.Future()
    m.submit(inner).add_done_callback(lambda _: None)
    waiting = [m.submit(inner), other]
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(wait_until, lambda: internals.workers_that_wait(m) == 0)
        executor.submit(other.set_result, "other")
        done, _ = concurrent.futures.wait(waiting, return_when=FIRST_COMPLETED)
    return {one.result() for one in done}


def with_a_limit(m: TaskManager[Any]) -> Any:
    done, _ = concurrent.futures.wait([m.submit(inner)], timeout=0.1)
    with pytest.raises(TimeoutError):
        list(concurrent.futures.as_completed([m.submit(inner)], timeout=0.1))
    return done


@pytest.mark.parametrize(("way", "result"), [(first_of_another_executor, {"other"}), (with_a_limit, set())])
def test_a_wait_that_ends_by_itself(threads: Any, way: Way, result: Any) -> None:
    """A limit, or a future of another executor of which one is enough, makes it no deadlock."""
    m = threads.build(burst_interval=0.02)
    assert m.submit(outer, m, way).result(20) == result


def test_a_wait_that_ctrl_c_has_left_locked(threads: Any) -> None:
    """Ctrl-C in `concurrent.futures.wait` may leave the condition of a future locked, as nothing in there is safe from it.
    The worker that brings the result goes on all the same, and so do the manager's own thread and the ends."""
    gate = threads.gate()
    with threads.build() as m:
        futures = [m.submit(lambda ctx, resource: gate.pass_through()), m.submit(lambda ctx, resource: "cancelled")]
        futures.append(m.submit(lambda ctx, resource: "value"))
        gate.wait_arrivals(1)
        for future in futures:
            Call(future._condition.acquire).outcome()  # by a thread that ends
        futures[1].cancel()
        handled = threading.Event()
        m._engine.soon(handled.set)
        assert handled.wait(20)
        gate.open()
        assert futures[2].result(20) == "value"
        assert m.submit(lambda ctx, resource: "next").result(20) == "next"
        assert Call(m.stop).outcome(20).killed is False


def test_an_outcome_that_comes_while_a_wait_looks(threads: Any) -> None:
    """The thread that looks is shown it as soon as it has done so; whoever waits need not wait for that thread."""
    gate = threads.gate()
    with threads.build() as m:
        future = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        waiting = Call(concurrent.futures.wait, [future], 20)
        wait_until(lambda: future._made_bridge is not None and future._made_bridge._due)
        with future._condition:
            gate.open()
            future.result(20)
            assert future._state == "PENDING"
            assert waiting.outcome(20).done == {future}
            assert future._state == "PENDING"
        assert future._state == "FINISHED"
