"""Point 16: a task that waits for its own saturated pool gets DeadlockError, nobody else."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.waiting import Call, wait_until
from tasker import DeadlockError, QueueFull


def inner(ctx: Any, resource: Any) -> str:
    """A task that is waited for."""
    return "inner"


def test_point_16_queue_task_inside_the_only_worker(threads: Any) -> None:
    """queue_task inside a task of a pool of one raises DeadlockError there."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.queue_task(inner)

    with threads.build() as m:
        with pytest.raises(DeadlockError):
            m.submit(outer).result(20)
        assert m.queue_task(inner) == "inner"


def test_point_16_result_inside_the_only_worker(threads: Any) -> None:
    """future.result() inside a task raises DeadlockError; the awaited task still runs later."""
    inside: list[Any] = []

    def outer(ctx: Any, resource: Any) -> Any:
        inside.append(m.submit(inner))
        return inside[0].result()

    with threads.build() as m:
        with pytest.raises(DeadlockError):
            m.submit(outer).result(20)
        assert inside[0].result(20) == "inner"


def test_point_16_exception_inside_the_only_worker(threads: Any) -> None:
    """future.exception() without timeout waits just as result() does."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.submit(inner).exception()

    with threads.build() as m, pytest.raises(DeadlockError):
        m.submit(outer).result(20)


def test_point_16_the_error_names_both_tasks(threads: Any) -> None:
    """The message names the waiting and the awaited task."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.queue_task(inner)

    with threads.build() as m:
        error = m.submit(outer).exception(20)
        assert "outer" in str(error)
        assert "inner" in str(error)


def test_point_16_the_waiting_task_may_catch_it(threads: Any) -> None:
    """DeadlockError is raised in the task, which may go on."""

    def outer(ctx: Any, resource: Any) -> str:
        try:
            return m.queue_task(inner)
        except DeadlockError:
            return "helped myself"

    with threads.build() as m:
        assert m.submit(outer).result(20) == "helped myself"


def test_point_16_all_workers_wait(threads: Any) -> None:
    """When every worker waits for queued tasks at least one is told, and all come to an end."""
    barrier = threading.Barrier(3)

    def outer(ctx: Any, resource: Any) -> Any:
        future = m.submit(inner)
        barrier.wait(20)
        return future.result()

    with threads.build(worker_count=3) as m:
        futures = [m.submit(outer) for _ in range(3)]
        errors = [future.exception(20) for future in futures]
    told = [error for error in errors if error is not None]
    assert told
    assert all(isinstance(error, DeadlockError) for error in told)


def test_point_16_two_tasks_wait_for_each_other(threads: Any) -> None:
    """Two running tasks that wait for each other's future do not hang."""
    barrier = threading.Barrier(2)
    both: list[Any] = []
    known = threading.Event()

    def outer(ctx: Any, resource: Any, other: int) -> Any:
        barrier.wait(20)
        assert known.wait(20)
        return both[other].result()

    with threads.build(worker_count=2) as m:
        both.extend([m.submit(outer, 1), m.submit(outer, 0)])
        known.set()
        errors = [future.exception(20) for future in both]
    assert any(isinstance(error, DeadlockError) for error in errors)


def test_point_16_a_task_that_waits_for_itself(threads: Any) -> None:
    """A task that waits for its own future is told."""
    own: list[Any] = []
    known = threading.Event()

    def outer(ctx: Any, resource: Any) -> Any:
        assert known.wait(20)
        return own[0].result()

    with threads.build() as m:
        own.append(m.submit(outer))
        known.set()
        assert isinstance(own[0].exception(20), DeadlockError)


def test_point_16_not_when_another_worker_is_free(threads: Any) -> None:
    """With a second idle worker waiting inside a task is fine."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.queue_task(inner), m.submit(inner).result()

    with threads.build(worker_count=2) as m:
        assert m.submit(outer).result(20) == ("inner", "inner")


def test_point_16_not_when_another_worker_is_busy(threads: Any) -> None:
    """A worker that runs a task that does not wait will come back; so waiting is fine."""
    gate = threads.gate()

    def busy(ctx: Any, resource: Any) -> None:
        gate.pass_through()

    def outer(ctx: Any, resource: Any) -> Any:
        return m.queue_task(inner)

    with threads.build(worker_count=2) as m:
        m.submit(busy)
        gate.wait_arrivals(1)
        future = m.submit(outer)
        wait_until(lambda: m.stats().queued_tasks == 1)
        with pytest.raises(TimeoutError):
            future.result(0.4)
        gate.open()
        assert future.result(20) == "inner"


def test_point_16_a_pool_that_may_grow_grows(threads: Any) -> None:
    """Where a burst worker is still allowed it comes and runs the awaited task."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.queue_task(inner)

    with threads.build(max_worker_count=2, burst_interval=0.02) as m:
        assert m.submit(outer).result(20) == "inner"


def test_point_16_a_pool_that_may_grow_grows_step_by_step(threads: Any) -> None:
    """A chain of waiting tasks grows the pool to its maximum, and is told beyond."""

    def link(ctx: Any, resource: Any, depth: int) -> int:
        return 0 if depth == 0 else 1 + m.queue_task(link, depth - 1)

    with threads.build(max_worker_count=4, burst_interval=0.02) as m:
        assert m.submit(link, 3).result(20) == 3
    with threads.build(max_worker_count=4, burst_interval=0.02) as m:
        assert isinstance(m.submit(link, 9).exception(25), DeadlockError)


def test_point_16_without_scaling_it_cannot_grow(threads: Any) -> None:
    """With burst_interval=0 a pool below its maximum does not grow, so the task is told."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.queue_task(inner)

    with threads.build(max_worker_count=2, burst_interval=0) as m:
        assert isinstance(m.submit(outer).exception(20), DeadlockError)


def test_point_16_a_wait_with_a_timeout_is_no_deadlock(threads: Any) -> None:
    """result(timeout) inside a task times out as it says."""

    def outer(ctx: Any, resource: Any) -> str:
        try:
            m.submit(inner).result(0.1)
        except DeadlockError:
            return "deadlock"
        except TimeoutError:
            return "timeout"
        return "result"

    with threads.build() as m:
        assert m.submit(outer).result(20) == "timeout"


def test_point_16_blocking_submit_on_a_full_queue(threads: Any) -> None:
    """A task that blocks for a place in its own full queue is told."""

    def outer(ctx: Any, resource: Any) -> None:
        for _ in range(3):
            m.submit(inner)

    with threads.build(max_queue_size=1) as m:
        assert isinstance(m.submit(outer).exception(20), DeadlockError)


def test_point_16_submit_without_blocking_is_full(threads: Any) -> None:
    """Inside a task submit(block=False) on a full queue is QueueFull as everywhere."""

    def outer(ctx: Any, resource: Any) -> None:
        m.submit(inner)
        m.submit(inner, block=False)

    with threads.build(max_queue_size=1) as m:
        assert isinstance(m.submit(outer).exception(20), QueueFull)


def test_point_16_waiting_for_another_manager_is_fine(threads: Any) -> None:
    """A task may wait for a task of another manager."""

    def outer(ctx: Any, resource: Any) -> Any:
        return other.queue_task(inner)

    with threads.build() as m, threads.build() as other:
        assert m.submit(outer).result(20) == "inner"


def test_point_16_waiting_for_a_finished_task_is_fine(threads: Any) -> None:
    """result() of a task that is done returns inside a task."""

    def outer(ctx: Any, resource: Any) -> Any:
        return done.result()

    with threads.build() as m:
        done = m.submit(inner)
        done.result(20)
        assert m.submit(outer).result(20) == "inner"


def test_point_16_run_task_inside_a_task_is_fine(threads: Any) -> None:
    """run_task inside a task waits for nobody."""

    def outer(ctx: Any, resource: Any) -> Any:
        return m.run_task(inner)

    with threads.build(resource_pool_size=1) as m:
        assert m.submit(outer).result(20) == "inner"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_point_08_stop_inside_a_task_raises(threads: Any, end: str) -> None:
    """stop() and kill() inside a task raise DeadlockError and the manager works on."""

    def outer(ctx: Any, resource: Any) -> None:
        getattr(m, end)()

    with threads.build() as m:
        assert isinstance(m.submit(outer).exception(20), DeadlockError)
        assert not m.closed
        assert m.queue_task(inner) == "inner"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_point_08_stop_inside_a_callback_raises(threads: Any, end: str) -> None:
    """stop() and kill() inside a callback raise DeadlockError."""
    errors: list[BaseException] = []

    def callback(result: Any, error: Any) -> None:
        try:
            getattr(m, end)()
        except DeadlockError as told:
            errors.append(told)

    with threads.build() as m:
        m.submit(inner, callback=callback).result(20)
        wait_until(lambda: errors)
        assert m.queue_task(inner) == "inner"


def test_point_08_stop_inside_run_task_raises(threads: Any) -> None:
    """stop() inside run_task, which stop() would wait for, raises DeadlockError."""

    def outer(ctx: Any, resource: Any) -> None:
        m.stop()

    with threads.build(resource_pool_size=1) as m:
        with pytest.raises(DeadlockError):
            Call(m.run_task, outer).outcome()
        assert m.queue_task(inner) == "inner"
