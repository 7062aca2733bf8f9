"""pebble's scenarios: tasks that are cut off, children that are replaced, data that is large, and work that starts processes."""

from __future__ import annotations

import asyncio
import concurrent.futures as cf
import multiprocessing
import os
import threading
from typing import Any

import pytest

from support.files_between_processes import FileGate
from support.processes import is_running
from support.waiting import Call, eventually, wait_until
from tasker import (
    ResourceError,
    TaskCancelled,
    TaskKilled,
    TravelError,
    WorkerLost,
)

from . import translated as tasks
from . import work

HUGE = 40_000_000


@pytest.mark.parametrize("kind", [BaseException, tasks.FrozenError, KeyboardInterrupt, SystemExit])
def test_errors(make: Any, kind: type[BaseException]) -> None:
    """Whatever is raised reaches the caller and the callback, and no other task."""
    heard: list[Any] = []
    with make() as m:
        future = m.submit(tasks.fail, kind, callback=lambda result, error: heard.append(error))
        with pytest.raises(kind):
            future.result(30)
        assert m.queue_task(work.echo, 2) == 2
    assert [type(error) for error in heard] == [kind]


def test_an_error_that_is_returned(make: Any) -> None:
    """It is a result like any other."""
    with make() as m:
        assert isinstance(m.queue_task(tasks.give_error), BaseException)


def test_what_cannot_be_pickled(make: Any) -> None:
    """The argument and the result."""
    with make() as m:
        assert isinstance(m.submit(work.echo, threading.Lock()).exception(30), TravelError)
        assert isinstance(m.submit(work.result_of, "lock").exception(30), TravelError)


@pytest.mark.parametrize("task", [work.sleep_long, work.shrug_off], ids=["default", "ignores SIGTERM"])
def test_a_cancelled_task_is_cut_off(make: Any, door: FileGate, task: Any) -> None:
    """Its child ends, the callback hears of the cancellation, and the next task has another child."""
    heard: list[Any] = []
    with make(cancel_grace=0.1) as m:
        before = m.queue_task(work.pid)
        future = m.submit(task, door, callback=lambda result, error: heard.append(error))
        door.wait_arrivals(1)
        future.cancel()
        with pytest.raises(cf.CancelledError):
            future.result(30)
        assert m.queue_task(work.pid) != before
    assert [type(error) for error in heard] == [TaskCancelled]
    assert not is_running(before)


def test_tasks_of_different_children(make: Any, door: FileGate) -> None:
    """Two that run at the same time have two."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.hold, door) for _ in range(5)]
        assert len(set(door.wait_arrivals(2))) == 2
        door.open()
        assert [future.result(30) for future in futures] == [None] * 5
    assert len(set(door.pids)) == 2


def test_the_limit_of_tasks(make: Any) -> None:
    """Four tasks, two for each child."""
    with make(process={"max_tasks": 2}) as m:
        assert len({m.queue_task(work.pid) for _ in range(4)}) == 2


def test_a_broken_initializer(make: Any) -> None:
    """Tasks do not wait for ever for a resource that cannot be made."""
    with make(on_create=tasks.broken, ready_timeout=2, creation_backoff=0.05) as m:
        wait_until(lambda: m.stats().creation_error)
        error = m.submit(work.echo, 1).exception(30)
        assert isinstance(error, ResourceError)
        assert "boom" in str(error)
        m.kill(1)


def test_stopped_by_a_callback(make: Any) -> None:
    """A callback asks for the end of its own manager; the thread that calls it goes on."""
    asked = threading.Event()
    with make() as m:

        def end(result: Any, error: Any) -> None:
            threading.Thread(target=m.kill, args=(5,)).start()
            asked.set()

        m.submit(work.echo, 1, callback=end)
        assert asked.wait(30)
        wait_until(lambda: m.closed)
        with pytest.raises(RuntimeError):
            m.queue_task(work.echo, 1)


def test_large_data(make: Any) -> None:
    """Tens of megabytes both ways."""
    data = b"a" * HUGE
    with make() as m:
        assert m.queue_task(work.echo, data) == data


def test_a_kill_with_large_data_under_way(make: Any) -> None:
    """Neither side waits for the other to take what it will not."""
    data = b"a" * HUGE
    with make() as m:
        future = m.submit(work.echo, data)
        Call(m.kill, 1).outcome(30)
        assert future.done()


def test_cancels_with_large_data_under_way(make: Any) -> None:
    """One of ten is done, the others are cancelled wherever they are, and the manager ends."""
    data = b"a" * (HUGE // 10)
    with make(worker_count=2, cancel_grace=0.1) as m:
        futures = [m.submit(work.echo, data) for _ in range(10)]
        done, _ = cf.wait(futures, 60, return_when=cf.FIRST_COMPLETED)
        assert done
        for future in futures:
            future.cancel()
        Call(m.stop).outcome(60)
        assert all(future.done() for future in futures)


def test_an_error_in_a_callback(make: Any) -> None:
    """It is the callback's own."""
    with make() as m:
        m.submit(work.echo, 1, callback=lambda *_: 1 / 0)
        assert m.queue_task(work.echo, 2) == 2
        wait_until(lambda: m.stats().user_errors == 1)


def test_an_unexpected_death(make: Any) -> None:
    """The error names the process and its exit code."""
    with make() as m:
        pid = m.queue_task(work.pid)
        error = m.submit(work.crash, "1", once=True).exception(30)
        assert isinstance(error, WorkerLost)
        assert (error.pid, error.exitcode) == (pid, 1)


@pytest.mark.parametrize("inputs", [[], [0], [1, 2, 3]], ids=len)
def test_map(make: Any, inputs: list[int]) -> None:
    """Of none, one and several."""
    with make() as m:
        assert list(m.map(work.echo, inputs)) == inputs


def test_a_map_that_is_left_half_way(make: Any) -> None:
    """What has not started does not start any more."""
    with make() as m:
        results = m.map(work.echo, range(1000), look_ahead=5)
        assert next(results) == 0
        results.close()
        assert m.queue_task(work.echo, "next") == "next"
        wait_until(lambda: m.stats().queued_tasks == 0)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_task_that_starts_a_process(make: Any, method: str) -> None:
    """It ends by itself, as it would anywhere."""
    with make() as m:
        assert m.queue_task(tasks.start_process, method) == 0


def test_a_task_with_a_manager_of_its_own(make: Any) -> None:
    """Children of children."""
    with make() as m:
        assert m.queue_task(tasks.start_manager) == [1, 2, 3]


def test_a_method_of_a_proxy(make: Any) -> None:
    """A bound method of a `multiprocessing.Manager`'s queue is called in the child."""
    with multiprocessing.get_context("spawn").Manager() as server, make() as m:
        queue = server.Queue()
        m.queue_task(tasks.call, queue.put, 1)
        assert queue.get(timeout=30) == 1


def test_a_child_that_does_not_answer(make: Any) -> None:
    """A kill ends it all the same."""
    with make(cancel_grace=0.1) as m:
        future = m.submit(tasks.leave_nothing)
        wait_until(lambda: m.stats().running_tasks == 1)
        assert m.kill(1).abandoned == ()
        with pytest.raises(TaskKilled):
            future.result(0)


async def test_run_in_executor(make: Any) -> None:
    """asyncio's way to a pool: results, errors, and several at once."""
    loop = asyncio.get_running_loop()
    with make(worker_count=2) as m:
        executor = m.as_executor()
        assert await loop.run_in_executor(executor, tasks.add, 1, 1) == 2
        assert await asyncio.gather(*(loop.run_in_executor(executor, tasks.add, n) for n in range(5))) == [*range(5)]
        with pytest.raises(TypeError):
            await loop.run_in_executor(executor, tasks.add, "a", 1)


async def test_cancel_in_run_in_executor(make: Any, door: FileGate) -> None:
    """Cancelling asyncio's future ends the task, and its child if it does not heed that."""
    loop = asyncio.get_running_loop()
    with make(cancel_grace=0.1) as m:
        executor = m.as_executor()
        before = await loop.run_in_executor(executor, os.getpid)
        future = loop.run_in_executor(executor, door.pass_through)
        await eventually(lambda: door.pids)
        assert future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        assert await loop.run_in_executor(executor, os.getpid) != before
