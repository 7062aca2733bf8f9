"""One actor a worker: what it runs, how it dies, and that nothing is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support.waiting import wait_until
from tasker import (
    AsyncTaskManager,
    Config,
    RayBackend,
    ResourceError,
    TaskCancelled,
    TaskKilled,
    TravelError,
    WorkerLost,
)

from . import work
from .conftest import alive_actors


def lines(path: Path) -> list[str]:
    """What was noted."""
    return path.read_text().split() if path.exists() else []


def test_tasks_run_in_one_thread_of_the_actor(make: Any) -> None:
    """... the one that has made the resource, which is kept from task to task."""
    with make() as m:
        assert m.queue_task(work.same_thread)
        assert [m.queue_task(work.double, number) for number in range(3)] == [0, 2, 4]
        assert m.queue_task(work.double, b"x" * 3_000_000) == b"x" * 6_000_000
        assert m.queue_task(lambda ctx, thing: thing.pid) == m.queue_task(work.pid)
        assert [*m.map(work.double, range(20))] == [*range(0, 40, 2)]


def test_errors_travel_as_values(make: Any) -> None:
    """The actor lives on after an error, after a result that cannot be pickled, and after a task that cannot be sent."""
    with make() as m:
        first = m.queue_task(work.pid)
        with pytest.raises(ValueError, match="outer") as caught:
            m.queue_task(work.own_error)
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(TravelError, match="the result of task"):
            m.queue_task(work.unpicklable)
        with pytest.raises(TravelError, match="can't be pickled"):
            m.queue_task(work.double, threading.Lock())
        assert m.queue_task(work.pid) == first


@pytest.mark.parametrize("how", ["exit", "kill", "segfault"])
def test_a_dead_actor_is_replaced(make: Any, tmp_path: Path, how: str) -> None:
    """A task that may run once ends with WorkerLost and starts once; another one is tried again elsewhere."""
    path = tmp_path / "notes"
    with make(max_retries=1) as m:
        before = m.queue_task(work.pid)
        begun = time.monotonic()
        error = m.submit(work.note_and_die, str(path), how, once=True).exception(60)
        assert isinstance(error, WorkerLost)
        assert error.pid == before
        assert m.queue_task(work.pid) != before
        print(f"{how}: replaced after {time.monotonic() - begun:.2f} s")
        assert lines(path) == ["started"]
        error = m.submit(work.note_and_die, str(path), how).exception(60)
        assert isinstance(error.__cause__, WorkerLost)
        assert len(lines(path)) == 3
        assert m.stats().resources.lost == 3


def test_an_idle_actor_that_dies_is_noticed(make: Any) -> None:
    """Killed from outside while nothing runs: it is replaced, and no task suffers."""
    with make() as m:
        before = m.queue_task(work.pid)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: m.stats().lost_workers == 1, 30)
        assert m.queue_task(work.pid) != before


def test_an_actor_that_has_told_its_progress_is_watched(make: Any) -> None:
    """The call whose end is the news of a death is also that which says how far a task is: it is made again."""
    with make() as m:
        pid = m.queue_task(work.tells)
        assert m.workers()[0].progress is None
        assert m.queue_task(work.tells) == pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: m.stats().lost_workers == 1, 30, "its death is noticed")
        assert m.queue_task(work.pid) != pid


def test_a_cancellation_is_quick(make: Any, tmp_path: Path) -> None:
    """It reaches the context of the running task, in less than 50 ms at best."""
    path, delays = tmp_path / "notes", []
    with make() as m:
        for number in range(5):
            future = m.submit(work.waits, str(path))
            wait_until(lambda seen=number: len(lines(path)) > seen, 30)
            asked = time.time()
            future.cancel()
            delays.append(future.result(30) - asked)
    print("cancelled after", sorted(delays))
    assert min(delays) < 0.05


def test_a_deaf_task_is_interrupted(make: Any, tmp_path: Path) -> None:
    """One that heeds no cancellation is struck after the grace; the resource is destroyed, and the manager works on."""
    path = tmp_path / "notes"
    hooks = work.Noting(str(path))
    with make(cancel_grace=0.3, on_create=hooks.make, on_destroy=hooks.end) as m:
        future = m.submit(work.deaf, str(path))
        wait_until(lambda: "started" in lines(path), 30)
        future.cancel()
        with pytest.raises(TaskCancelled):
            future.result(60)
        assert m.queue_task(work.double, 4) == 8
    assert lines(path).count("made") == lines(path).count("ended") == 2


def test_a_kill_leaves_no_actor(make: Any, tmp_path: Path) -> None:
    """All actors are fenced at the end of a kill, whatever runs in them."""
    with make(worker_count=2) as m:
        paths = [tmp_path / "a", tmp_path / "b"]
        futures = [m.submit(work.deaf, str(path)) for path in paths]
        wait_until(lambda: all(map(lines, paths)), 30)
        report = m.kill(1)
        assert report.killed
        assert not report.abandoned
        for future in futures:
            with pytest.raises(TaskKilled):
                future.result(5)
    wait_until(lambda: not alive_actors(), 30)


def test_a_stop_destroys_each_resource(make: Any, tmp_path: Path) -> None:
    """`on_destroy` runs in each actor, those of run_task included."""
    path = tmp_path / "notes"
    hooks = work.Noting(str(path))
    with make(worker_count=2, resource_pool_size=1, on_create=hooks.make, on_destroy=hooks.end) as m:
        assert m.run_task(work.double, 4) == 8
    assert sorted(lines(path)) == ["ended"] * 3 + ["made"] * 3
    ledger = m.stats().resources
    assert (ledger.created, ledger.destroyed, ledger.lost) == (3, 3, 0)


def test_a_resource_that_cannot_be_made(make: Any, tmp_path: Path) -> None:
    """The error is the user's, and ends the tasks by `ready_timeout`."""
    hooks = work.Noting(str(tmp_path / "notes"))
    with make(on_create=hooks.refuse, when_unavailable="fail") as m:
        with pytest.raises(ResourceError, match="no such thing"):
            m.queue_task(work.pid)
        assert "no such thing" in str(m.stats().creation_error)


def test_no_room_in_the_cluster(make: Any) -> None:
    """An actor that the cluster has no place for is given up after `create_timeout`, and waits in nobody's way."""
    with make(ray={"resources": {"unobtainable": 1}}, create_timeout=2, ready_timeout=4) as m:
        begun = time.monotonic()
        with pytest.raises(ResourceError):
            m.queue_task(work.pid)
        assert time.monotonic() - begun < 60
        assert "create_timeout" in str(m.stats().creation_error)


def test_in_an_event_loop(tmp_path: Path) -> None:
    """The same from a loop: coroutine functions run in a loop of the actor, and can be cancelled there."""

    async def main() -> None:
        config = Config(on_create=work.Thing, worker_count=2, resource_pool_size=0, backend=RayBackend())
        async with AsyncTaskManager(config) as m:
            assert await asyncio.gather(*(m.queue_task(work.double, number) for number in range(6))) == [
                0,
                2,
                4,
                6,
                8,
                10,
            ]
            path = tmp_path / "notes"
            waiting = asyncio.create_task(m.queue_task(work.waits_in_a_loop, str(path)))
            while not lines(path):
                await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await m.run_task(work.double, 8) == 16

    asyncio.run(asyncio.wait_for(main(), 120))
    wait_until(lambda: not alive_actors(), 30)
