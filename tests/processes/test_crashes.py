"""Children that die: noticed, replaced, and nothing is lost that was not running in them."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

import psutil
import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import throughout, wait_until
from tasker import MaxRetriesExceeded, ResourceError, WorkerLost

from . import work
from .conftest import gone

deaths = pytest.mark.parametrize(("how", "says"), work.DEATHS.items(), ids=work.DEATHS)


@deaths
def test_a_once_task_ends_with_worker_lost(make: Any, notes: Notes, how: str, says: str) -> None:
    """The message tells the signal or the exit code; the task is not started again; the worker is replaced."""
    with make() as m:
        before = m.queue_task(work.pid)
        future = m.submit(work.crash, how, once=True)
        error = future.exception(30)
        assert isinstance(error, WorkerLost)
        assert says in str(error)
        assert future.attempts == 1
        assert m.queue_task(work.pid) != before
        gone(before)
        stats = m.stats()
        assert (stats.resources.lost, stats.lost_workers) == (1, 1)
    assert notes.lines("start") == ["0"]


@deaths
def test_a_task_is_retried_in_another_child(make: Any, notes: Notes, how: str, says: str) -> None:
    """Two deaths, then a result."""
    with make() as m:
        future = m.submit(work.crash_times, 2, how)
        assert future.result(30) == 3
        assert future.attempts == 3
    assert len({*notes.numbers("create")}) >= 3
    assert m.stats().resources.lost == 2


@pytest.mark.parametrize("retries", [0, 2])
def test_a_task_that_always_kills(make: Any, notes: Notes, retries: int) -> None:
    """MaxRetriesExceeded, with a WorkerLost as its cause; the manager works on."""
    with make(max_retries=retries) as m:
        with pytest.raises(MaxRetriesExceeded) as caught:
            m.queue_task(work.crash)
        assert caught.value.attempts == retries + 1
        assert isinstance(caught.value.__cause__, WorkerLost)
        assert "signal SIGKILL" in str(caught.value.__cause__)
        assert m.queue_task(work.echo, "alive") == "alive"
    assert len(notes.lines("start")) == retries + 1


def test_death_is_no_matter_of_opinion(make: Any) -> None:
    """check_health is for resources that live: a lost one is replaced and its task retried whatever it says."""
    with make(check_health=lambda error: True) as m:
        assert m.queue_task(work.crash_times, 1) == 2


def test_run_task(make: Any, notes: Notes) -> None:
    """The caller gets WorkerLost, nothing is retried, and the pool is refilled."""
    with make(resource_pool_size=1) as m:
        with pytest.raises(WorkerLost, match="SIGKILL"):
            m.run_task(work.crash)
        wait_until(lambda: m.stats().available_resources == 1, 30)
        assert m.run_task(work.echo, "again") == "again"
    assert notes.lines("start") == ["0"]


def test_a_pooled_child_that_dies_idle(make: Any) -> None:
    """It is replaced, and no call gets the dead one."""
    with make(resource_pool_size=1) as m:
        pooled = m.run_task(work.pid)
        os.kill(pooled, signal.SIGKILL)
        gone(pooled)
        wait_until(lambda: m.stats().available_resources == 1 and m.stats().resources.lost == 1, 30)
        assert m.run_task(work.pid) != pooled


async def test_asyncio(amake: Any, notes: Notes) -> None:
    """The same with an AsyncTaskManager."""
    async with amake() as m:
        before = await m.queue_task(work.apid)
        future = m.submit(work.acrash, once=True)
        with pytest.raises(WorkerLost, match="signal SIGKILL"):
            await future
        assert await m.queue_task(work.apid) != before
        with pytest.raises(MaxRetriesExceeded) as caught:
            await m.queue_task(work.acrash, "3")
        assert "exit code 3" in str(caught.value.__cause__)
        assert await m.queue_task(work.echo, "alive") == "alive"


def test_killed_while_idle(make: Any, notes: Notes) -> None:
    """A child that dies between two tasks is noticed and replaced without any task."""
    with make(worker_count=2) as m:
        wait_until(lambda: len(notes.lines("create")) == 2)
        wait_until(lambda: m.stats().active_workers == 2)
        victim = notes.numbers("create")[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(notes.lines("create")) == 3, what="a replacement")
        wait_until(lambda: m.stats().active_workers == 2)
        ledger = m.stats().resources
        assert (ledger.created, ledger.lost, ledger.alive) == (3, 1, 2)
        assert victim not in {m.queue_task(work.pid) for _ in range(20)}


def test_all_killed_at_once(make: Any, notes: Notes) -> None:
    """Every idle child dies in one moment: all are replaced."""
    with make(worker_count=4) as m:
        wait_until(lambda: m.stats().active_workers == 4)
        for pid in notes.numbers("create"):
            os.kill(pid, signal.SIGKILL)
        futures = [m.submit(work.note, n) for n in range(40)]
        assert [future.result(60) for future in futures] == list(range(40))
        wait_until(lambda: m.stats().active_workers == 4, 30)
        assert m.stats().resources.lost == 4


def test_killed_from_outside_while_it_works(make: Any, door: FileGate) -> None:
    """Whoever waits for the task hears of it; nobody has to ask."""
    with make() as m:
        future = m.submit(work.hold, door, once=True)
        (victim,) = door.wait_arrivals(1)
        os.kill(victim, signal.SIGKILL)
        assert "signal SIGKILL" in str(future.exception(30))


def test_what_waits_behind_it_survives_in_order(make: Any, notes: Notes, door: FileGate) -> None:
    """One child dies with a queue behind it: all the rest runs, once each, in the order of submission."""
    with make() as m:
        for number in range(1000, 1300):
            m.submit(work.note, number)  # so that short tasks are known to be short
        m.submit(work.hold, door)
        door.wait_arrivals(1)
        futures = [m.submit(work.die_at, n, 3, once=True) for n in range(60)]
        door.open()
        outcomes = [future.exception(60) for future in futures]
        assert isinstance(outcomes[3], WorkerLost)
        assert [n for n, error in enumerate(outcomes) if error] == [3]
        assert [future.attempts for future in futures] == [1] * 60
    assert [n for n in notes.numbers("start") if n < 1000] == list(range(60))


def test_many_deaths_in_a_long_queue(make: Any, notes: Notes) -> None:
    """Every 25th task kills its child: each of the others starts once and has its result."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.die_at, n, n if n % 25 == 10 else -1, once=True) for n in range(200)]
        for number, future in enumerate(futures):
            if number % 25 == 10:
                assert isinstance(future.exception(60), WorkerLost)
            else:
                assert future.result(60) == number
    assert sorted(notes.numbers("start")) == list(range(200))


# In hooks and on the way.


def dying_create(notes: Notes, deaths: int) -> work.Thing:
    """An on_create that kills its process the first times."""
    notes.write("try", os.getpid())
    return work.make(notes) if len(notes.lines("try")) > deaths else work.die()


def dying_destroy(thing: work.Thing) -> None:
    """An on_destroy that kills its process."""
    thing.notes.write("end", thing.pid)
    work.die()


def test_death_in_on_create(make: Any, notes: Notes) -> None:
    """It is a failed creation: tried again, and shown meanwhile."""
    with make(on_create=partial(dying_create, notes, 2), on_destroy=work.Thing.end, creation_backoff=0.05) as m:
        assert m.queue_task(work.echo, "served") == "served"
        ledger = m.stats().resources
        assert (ledger.created, ledger.alive, ledger.lost) == (1, 1, 0)
    assert len(notes.lines("try")) == 3


def test_death_in_every_on_create(make: Any, notes: Notes) -> None:
    """With ready_timeout the queued tasks end with a ResourceError that tells what happened."""
    with make(on_create=partial(dying_create, notes, 10**6), ready_timeout=3) as m:
        future = m.submit(work.pid)
        error = future.exception(30)
        assert isinstance(error, ResourceError)
        assert "SIGKILL" in f"{error} {error.__cause__}"
        assert m.stats().failing_creations > 0
        assert "SIGKILL" in str(m.stats().creation_error)
        m.kill(5)


def test_death_in_the_on_create_of_a_pool(make: Any, notes: Notes) -> None:
    """The constructor raises ResourceError; what was made before is destroyed."""
    with pytest.raises(ResourceError):
        make(on_create=partial(create_one, notes), on_destroy=work.Thing.end, resource_pool_size=2)
    for pid in notes.numbers("try"):
        gone(pid)
    assert notes.lines("create") == notes.lines("destroy")


def create_one(notes: Notes) -> work.Thing:
    """An on_create that works once."""
    notes.write("try", os.getpid())
    return work.make(notes) if len(notes.lines("try")) == 1 else work.die()


def test_death_in_on_destroy(make: Any, notes: Notes) -> None:
    """stop() ends all the same; the resource counts as lost."""
    with make(on_destroy=dying_destroy, worker_count=2) as m:
        wait_until(lambda: m.stats().active_workers == 2)
        assert m.queue_task(work.echo, 1) == 1
        report = m.stop(30)
        assert not report.killed
    assert len(notes.lines("end")) == 2
    ledger = m.stats().resources
    assert (ledger.destroyed, ledger.lost) == (0, 2)


@pytest.mark.parametrize("size", [0, 50_000_000])
def test_death_while_the_result_is_written(make: Any, notes: Notes, size: int) -> None:
    """A task that was done but whose result did not arrive was started: `once` ends with WorkerLost, others are retried."""
    with make(max_retries=1) as m:
        future = m.submit(work.dying_result, os.getpid(), size, once=True)
        assert isinstance(future.exception(60), WorkerLost)
        assert notes.lines("start") == ["0"]
        with pytest.raises(MaxRetriesExceeded):
            m.queue_task(work.dying_result, os.getpid(), size)
        assert len(notes.lines("start")) == 3
        assert m.queue_task(work.echo, "alive") == "alive"


def test_killed_half_way_through_a_large_result(make: Any, door: FileGate) -> None:
    """However much of it had come, half a result is none."""

    def large(ctx: Any, thing: Any, door: FileGate) -> bytes:
        door.arrive()
        return b"x" * 200_000_000

    with make() as m:
        for pause in (0.0, 0.02, 0.05, 0.1, 0.15):
            future = m.submit(large, door, once=True)
            pid = door.wait_arrivals(len(door.pids) + (not future.done()))[-1]
            time.sleep(pause)  # not to synchronise: any moment will do
            os.kill(pid, signal.SIGKILL)
            error = future.exception(60)
            assert error is None or isinstance(error, WorkerLost)
            assert error is not None or len(future.result(0)) == 200_000_000
        assert m.queue_task(work.echo, "alive") == "alive"


def test_death_while_the_arguments_are_read(make: Any, notes: Notes) -> None:
    """A task whose arguments kill every child ends with an error, and does not take the manager with it."""
    with make(max_retries=2) as m:
        error = m.submit(work.echo, work.DiesOnArrival(os.getpid())).exception(60)
        assert isinstance(error, MaxRetriesExceeded | WorkerLost)
        once = m.submit(work.echo, work.DiesOnArrival(os.getpid()), once=True).exception(60)
        assert isinstance(once, MaxRetriesExceeded | WorkerLost)
        assert m.queue_task(work.echo, "alive") == "alive"


# Hostile ones.


def test_a_task_that_closes_every_descriptor(make: Any) -> None:
    """The child can't be talked to any more, and is replaced; the caller is not left waiting."""
    with make(max_retries=0) as m:
        future = m.submit(work.close_everything)
        assert isinstance(future.exception(60), MaxRetriesExceeded | WorkerLost)
        assert m.queue_task(work.echo, "alive") == "alive"


def test_a_grandchild_does_not_hide_the_death(make: Any, notes: Notes) -> None:
    """Although another process holds the inherited end of every pipe open, the death is noticed."""
    try:
        with make() as m:
            future = m.submit(work.leave_a_grandchild, once=True)
            assert isinstance(future.exception(30), WorkerLost)
            assert m.queue_task(work.echo, "alive") == "alive"
    finally:
        for pid in notes.numbers("grandchild"):
            os.kill(pid, signal.SIGKILL)


def test_a_stopped_child_is_not_taken_for_dead(make: Any, door: FileGate) -> None:
    """A process that is merely slow, or held by a debugger, keeps its task."""
    with make() as m:
        future = m.submit(work.hold, door, "kept")
        (pid,) = door.wait_arrivals(1)
        os.kill(pid, signal.SIGSTOP)
        door.open()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            assert not future.done()
            time.sleep(0.01)
        os.kill(pid, signal.SIGCONT)
        assert future.result(30) == "kept"


def test_no_zombie_is_left(make: Any, notes: Notes) -> None:
    """Dead children are reaped."""
    with make(worker_count=2) as m:
        for _ in range(6):
            m.submit(work.crash, once=True).exception(30)
        m.stop()
    wait_until(
        lambda: (
            not [one.pid for one in psutil.Process().children(recursive=True) if one.pid in notes.numbers("create")]
        ),
        what="every child is reaped",
    )


async def test_the_loop_goes_on_while_a_child_dies_in_on_create(amake: Any, notes: Notes) -> None:
    """A creation that hangs and dies does not hold up anything else in the loop."""
    async with amake(on_create=partial(dying_create, notes, 3), on_destroy=work.aend, creation_backoff=0.05) as m:
        future = m.submit(work.apid)
        await throughout(lambda: True, 0.05)
        assert await future in notes.numbers("create")
