"""as_executor(): plain callables through the manager."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import threading
from typing import Any

import pytest

from support.waiting import Call, wait_until
from tasker import DeadlockError, Priority, ShutdownError


def test_it_is_an_executor(threads: Any) -> None:
    """submit(fn, *args, **kwargs) calls fn in a worker and returns a Future."""

    def plain(a: int, b: int = 0) -> tuple[int, str]:
        return a + b, threading.current_thread().name

    with threads.build(name="crew") as m:
        executor = m.as_executor()
        assert isinstance(executor, cf.Executor)
        future = executor.submit(plain, 1, b=2)
        assert isinstance(future, cf.Future)
        assert future.result(20) == (3, "crew-1")


def test_keyword_names_of_options_reach_the_callable(threads: Any) -> None:
    """Keywords called like our options belong to the callable."""

    def plain(**kwargs: Any) -> dict[str, Any]:
        return kwargs

    words = {"priority": 1, "once": 2, "callback": 3, "block": 4, "task": 5, "ctx": 6, "fn": 7}
    words.pop("fn")  # Executor.submit's own positional name
    with threads.build() as m:
        assert m.as_executor().submit(plain, **words).result(20) == words


def test_errors_pass_through(threads: Any) -> None:
    """The error of the callable is the future's."""

    def plain() -> None:
        raise KeyError("own")

    with threads.build() as m, pytest.raises(KeyError, match="own"):
        m.as_executor().submit(plain).result(20)


def test_executor_map(threads: Any) -> None:
    """Executor.map works."""
    with threads.build(worker_count=2) as m:
        assert list(m.as_executor().map(pow, [2, 3, 4], [2, 2, 2], timeout=20)) == [4, 9, 16]


def test_run_in_executor(threads: Any) -> None:
    """loop.run_in_executor accepts it."""

    async def main(executor: cf.Executor) -> int:
        return await asyncio.get_running_loop().run_in_executor(executor, pow, 3, 3)

    with threads.build() as m:
        assert asyncio.run(main(m.as_executor())) == 27


def test_shutdown_closes_the_view_only(threads: Any) -> None:
    """After shutdown the view refuses, the manager and other views work on."""
    with threads.build() as m:
        view, other = m.as_executor(), m.as_executor()
        view.shutdown()
        with pytest.raises(RuntimeError):
            view.submit(pow, 1, 1)
        view.shutdown()
        assert other.submit(pow, 2, 2).result(20) == 4
        assert m.queue_task(lambda ctx, resource: "alive") == "alive"
        assert not m.closed


def test_shutdown_waits_for_its_own(threads: Any) -> None:
    """shutdown(wait=True) waits for what came through the view, not for other tasks."""
    mine, others = threads.gate(), threads.gate()
    with threads.build(worker_count=2) as m:
        m.submit(lambda ctx, resource: others.pass_through())
        view = m.as_executor()
        future = view.submit(mine.pass_through)
        mine.wait_arrivals(1)
        others.wait_arrivals(1)
        call = Call(view.shutdown)
        with pytest.raises(AssertionError):
            call.outcome(0.2)
        mine.open()
        call.outcome()
        assert future.done()
        assert not others.is_open
        others.open()


def test_shutdown_without_waiting(threads: Any) -> None:
    """shutdown(wait=False) returns at once; what was submitted still runs."""
    gate = threads.gate()
    with threads.build() as m:
        view = m.as_executor()
        future = view.submit(gate.pass_through)
        Call(view.shutdown, wait=False).outcome()
        gate.open()
        assert future.result(20) is None


def test_shutdown_can_cancel_its_queued_ones(threads: Any) -> None:
    """shutdown(cancel_futures=True) cancels what waits through the view, and nothing else."""
    gate = threads.gate()
    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        view = m.as_executor()
        queued = view.submit(pow, 2, 2)
        other = m.submit(lambda ctx, resource: "other")
        view.shutdown(wait=False, cancel_futures=True)
        assert queued.cancelled()
        gate.open()
        assert other.result(20) == "other"


def test_with_statement_on_the_view(threads: Any) -> None:
    """Leaving the with statement of a view waits for its tasks and leaves the manager open."""
    with threads.build() as m:
        with m.as_executor() as view:
            future = view.submit(pow, 2, 5)
        assert future.done()
        assert m.queue_task(lambda ctx, resource: 1) == 1


def test_priority_of_a_view(threads: Any) -> None:
    """Tasks of as_executor(priority=HIGH) overtake normal ones."""
    gate = threads.gate()
    log: list[Any] = []
    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: log.append("normal"))
        m.as_executor(priority=Priority.HIGH, once=True).submit(log.append, "high")
        gate.open()
        wait_until(lambda: len(log) == 2)
    assert log == ["high", "normal"]


def test_a_stopped_manager_refuses_through_the_view(threads: Any) -> None:
    """submit through a view of a stopped manager raises a RuntimeError."""
    with threads.build() as m:
        view = m.as_executor()
        m.stop()
        with pytest.raises(RuntimeError):
            view.submit(pow, 1, 1)


def test_shutdown_waits_for_a_submit_that_waits_for_a_place(threads: Any) -> None:
    """shutdown() of a view waits for a submit that is blocked on the full queue, and for its task."""
    gate, ran = threads.gate(), threads.gate()
    with threads.build(max_queue_size=1) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None)
        view = m.as_executor()
        blocked = Call(view.submit, ran.arrive)
        wait_until(lambda: m._engine.queue_slots._waiting)
        shutdown = Call(view.shutdown)
        wait_until(lambda: view._closed)
        with pytest.raises(RuntimeError, match="after shutdown"):
            view.submit(ran.arrive)
        with pytest.raises(AssertionError, match="did not return"):
            shutdown.outcome(0.2)
        gate.open()
        shutdown.outcome()
        assert ran.arrived == 1, "it had run when shutdown() returned"
        assert blocked.outcome().done()


def test_shutdown_forgets_a_submit_that_was_refused(threads: Any) -> None:
    """shutdown() does not wait for a submit that raised."""
    with threads.build() as m:
        view = m.as_executor()
        m.stop()
        with pytest.raises(ShutdownError):
            view.submit(print)
        Call(view.shutdown).outcome(10)


def test_point_16_shutdown_inside_a_task(threads: Any) -> None:
    """Leaving `with as_executor()` inside the only worker raises DeadlockError if tasks of the view wait; otherwise it
    returns."""

    def outer(ctx: Any, resource: Any) -> None:
        with m.as_executor() as view:
            view.submit(int)

    def idle(ctx: Any, resource: Any) -> str:
        with m.as_executor():
            return "nothing to wait for"

    with threads.build() as m:
        assert isinstance(m.submit(outer).exception(20), DeadlockError)
        assert m.submit(idle).result(20) == "nothing to wait for"
        wait_until(lambda: m.stats().done_tasks == 3)
