"""Cancelling and killing: true for tasks that do not want to end, which threads can't do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.processes import is_running
from support.waiting import Call, eventually, wait_until
from tasker import TaskCancelled, TaskKilled
from tasker.remote.session import Sessions

from . import work
from .conftest import gone

deaf = pytest.mark.parametrize("task", work.DEAF, ids=lambda task: task.__name__)


def test_cancel_wakes_a_task_that_waits(make: Any, door: FileGate) -> None:
    """ctx.wait ends at once in the child; the child lives on."""
    with make(cancel_grace=60) as m:
        before = m.queue_task(work.pid)
        future = m.submit(work.obey, door)
        door.wait_arrivals(1)
        assert future.cancel() is False
        with pytest.raises(TaskCancelled):
            future.result(30)
        assert m.queue_task(work.pid) == before
        assert m.stats().resources.lost == 0


def test_cancel_shows_in_every_way(make: Any, door: FileGate) -> None:
    """ctx.cancelled, ctx.cause and a hook on the context, in the child."""

    def attentive(ctx: Any, thing: Any) -> Any:
        called: list[Any] = []
        ctx.on_cancel(lambda: called.append(type(ctx.cause).__name__))
        door.arrive()
        end = time.monotonic() + 60
        while not ctx.cancelled:
            assert time.monotonic() < end
        assert ctx.wait(10)
        while not called:  # in another thread, a moment later
            assert time.monotonic() < end
        return ctx.cancelled, len(called)

    with make(cancel_grace=60) as m:
        future = m.submit(attentive)
        door.wait_arrivals(1)
        future.cancel()
        assert future.result(30) == (True, 1)


def test_cancel_reaches_the_right_task(make: Any, door: FileGate, doors: Any) -> None:
    """Neither the task on another worker nor the next one on the same sees it."""
    other = doors()
    with make(worker_count=2, cancel_grace=60) as m:
        victim = m.submit(work.obey, door)
        bystander = m.submit(lambda ctx, thing: (other.pass_through(), ctx.cancelled)[1])
        door.wait_arrivals(1)
        other.wait_arrivals(1)
        victim.cancel()
        with pytest.raises(TaskCancelled):
            victim.result(30)
        assert [m.queue_task(lambda ctx, thing: ctx.cancelled) for _ in range(5)] == [False] * 5
        other.open()
        assert bystander.result(30) is False


async def test_cancel_in_asyncio(amake: Any, door: FileGate) -> None:
    """A coroutine task in the child is woken too, and its child lives on."""
    async with amake(cancel_grace=60) as m:
        before = await m.queue_task(work.apid)
        future = m.submit(work.aobey, door)
        await eventually(lambda: door.pids)
        future.cancel()
        with pytest.raises(BaseException) as caught:  # asyncio's or ours
            await future
        assert "Cancelled" in type(caught.value).__name__
        assert await m.queue_task(work.apid) == before


@deaf
def test_a_deaf_task_is_ended_after_the_grace(make: Any, notes: Notes, door: FileGate, task: Any) -> None:
    """Whatever it does, cancel() and cancel_grace end it; it is not retried, and its child is replaced."""
    with make(cancel_grace=0.3) as m:
        future = m.submit(task, door)
        (pid,) = door.wait_arrivals(1)
        assert future.cancel() is False
        with pytest.raises(TaskCancelled) as caught:
            future.result(30)
        assert not isinstance(caught.value, TaskKilled)
        gone(pid)
        assert m.queue_task(work.pid) != pid
        assert m.stats().resources.lost <= 1  # one that SIGTERM ends may still end its resource
    assert notes.lines("start") == ["0"]


def test_the_grace_is_granted(make: Any, door: FileGate) -> None:
    """A task that ends within cancel_grace keeps its result and its child."""
    with make(cancel_grace=60) as m:
        future = m.submit(work.hold, door, "kept")
        (pid,) = door.wait_arrivals(1)
        future.cancel()
        future.cancel()
        door.open()
        assert future.result(30) == "kept"
        assert m.queue_task(work.pid) == pid


def test_no_grace(make: Any, door: FileGate) -> None:
    """cancel_grace=0 ends a deaf task at once."""
    with make(cancel_grace=0) as m:
        future = m.submit(work.sleep_long, door)
        (pid,) = door.wait_arrivals(1)
        future.cancel()
        with pytest.raises(TaskCancelled):
            future.result(30)
        gone(pid)


def test_a_late_end_of_the_grace_hits_nobody_else(make: Any, doors: Any) -> None:
    """The task that was cancelled ended in time: the next one in the same child is not ended for it."""
    with make(cancel_grace=0.4) as m:
        first, second = doors(), doors()
        cancelled = m.submit(work.hold, first)
        (pid,) = first.wait_arrivals(1)
        cancelled.cancel()
        first.open()
        cancelled.result(30)
        next_one = m.submit(work.hold, second, "mine")
        assert second.wait_arrivals(1) == [pid]
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            assert not next_one.done()
            time.sleep(0.01)
        second.open()
        assert next_one.result(30) == "mine"


def test_a_kill_grants_its_own_time(make: Any, door: FileGate) -> None:
    """Its timeout counts, and not the shorter grace of a cancellation: a task that ends in time keeps its result."""
    with make(cancel_grace=0.1) as m:
        future = m.submit(work.hold, door, "kept")
        door.wait_arrivals(1)
        kill = Call(m.kill, 30)
        wait_until(lambda: m.closed)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert not future.done()
            time.sleep(0.01)
        door.open()
        assert not kill.outcome(30).killed_tasks
        assert future.result(0) == "kept"


async def test_a_kill_strikes_a_coroutine_once(amake: Any, door: FileGate) -> None:
    """One that cleans up when it is cancelled gets to the end of that."""
    async with amake(cancel_grace=0.1) as m:
        future = m.submit(clean_up, door)
        await eventually(lambda: door.pids)
        await m.kill(30)
        assert await future == "clean"


async def clean_up(ctx: Any, thing: Any, door: FileGate) -> str:
    """Wait to be cancelled; then take some time."""
    door.arrive()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        for _ in range(10):
            await asyncio.sleep(0.03)
    return "clean"


@deaf
@pytest.mark.parametrize("how", ["kill(timeout)", "kill, grace", "stop(timeout)"])
def test_kill_ends_deaf_tasks(make: Any, door: FileGate, task: Any, how: str) -> None:
    """It returns by its deadline, nothing is abandoned, and every process is gone when it returns."""
    with make(worker_count=2, cancel_grace=0.3, resource_pool_size=1) as m:
        futures = [m.submit(task, door) for _ in range(4)]
        pids = door.wait_arrivals(2)
        begin = time.monotonic()
        report = m.kill() if how == "kill, grace" else m.kill(0.5) if how == "kill(timeout)" else m.stop(0.5)
        assert time.monotonic() - begin < 15
        assert report.killed
        assert report.abandoned == ()
        assert report.killed_tasks >= 2
        for future in futures:
            with pytest.raises(TaskKilled):
                future.result(5)
        assert not [pid for pid in pids if is_running(pid)]


async def test_kill_in_asyncio(amake: Any, door: FileGate) -> None:
    """The same with an AsyncTaskManager, and a coroutine that blocks its loop."""

    async def blocking(ctx: Any, thing: Any) -> None:
        door.arrive()
        time.sleep(1000)

    async with amake(cancel_grace=0.3) as m:
        future = m.submit(blocking)
        await eventually(lambda: door.pids)
        report = await m.kill(0.5)
        assert report.abandoned == ()
        assert future.done()
        assert not [pid for pid in door.pids if is_running(pid)]


async def test_a_kill_in_asyncio_counts_the_resource_of_run_task(amake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process was ended by force, and the end of its session takes a moment."""
    end = Sessions.end

    def slowly(sessions: Any, session: Any) -> Any:
        time.sleep(0.1)
        return end(sessions, session)

    async with amake(cancel_grace=0.2, resource_pool_size=1) as m:
        os.kill(await m.run_task(work.pid), signal.SIGSTOP)
        monkeypatch.setattr(Sessions, "end", slowly)
        report = await m.kill(0.5)
        assert report.abandoned == ()
        assert (m.stats().resources.alive, m.stats().resources.lost) == (0, 1)


def test_a_stopped_child_is_killed(make: Any, door: FileGate) -> None:
    """SIGTERM waits while a process is stopped: SIGKILL does not."""
    with make(cancel_grace=0.2) as m:
        future = m.submit(work.hold, door)
        (pid,) = door.wait_arrivals(1)
        os.kill(pid, signal.SIGSTOP)
        future.cancel()
        with pytest.raises(TaskCancelled):
            future.result(30)
        gone(pid)


def test_kill_during_run_task(make: Any, door: FileGate) -> None:
    """A deaf run_task does not outlive the kill either."""
    from support.waiting import Call

    with make(cancel_grace=0.2, resource_pool_size=1) as m:
        call = Call(m.run_task, work.sleep_long, door)
        (pid,) = door.wait_arrivals(1)
        assert m.kill(0.3).abandoned == ()
        with pytest.raises(TaskKilled):
            call.outcome(30)
        gone(pid)


def slow_create(door: FileGate) -> str:
    """An on_create that does not end."""
    door.arrive()
    time.sleep(1000)
    return "never"


def slow_destroy(door: FileGate, thing: Any) -> None:
    """An on_destroy that does not end."""
    door.arrive()
    time.sleep(1000)


def test_kill_while_on_create_hangs(make: Any, door: FileGate) -> None:
    """Its child is killed."""
    with make(on_create=partial(slow_create, door), cancel_grace=0.2) as m:
        queued = m.submit(work.pid)
        (pid,) = door.wait_arrivals(1)
        report = m.kill(0.5)
        assert report.abandoned == ()
        with pytest.raises(TaskKilled):
            queued.result(5)
        assert not is_running(pid)


def test_kill_while_on_destroy_hangs(make: Any, notes: Notes, door: FileGate) -> None:
    """Its child is killed, and the resource counts as lost."""
    from support.waiting import Call

    with make(on_create=partial(work.make, notes), on_destroy=partial(slow_destroy, door), cancel_grace=0.2) as m:
        assert m.queue_task(work.echo, 1) == 1
        stop = Call(m.stop)
        (pid,) = door.wait_arrivals(1)
        assert m.kill(0.5).abandoned == ()
        stop.outcome(30)
        assert not is_running(pid)
        assert m.stats().resources.lost == 1


def test_obedient_tasks_are_not_killed(make: Any, notes: Notes, door: FileGate) -> None:
    """A kill lets tasks that obey end by themselves, and their resources are destroyed."""
    with make(worker_count=2, cancel_grace=60) as m:
        futures = [m.submit(work.obey, door) for _ in range(2)]
        door.wait_arrivals(2)
        assert m.kill().abandoned == ()
        for future in futures:
            with pytest.raises(TaskKilled):
                future.result(5)
    ledger = m.stats().resources
    assert (ledger.destroyed, ledger.lost) == (2, 0)
    assert len(notes.lines("destroy")) == 2


def test_stop_lets_everything_finish(make: Any, notes: Notes) -> None:
    """What was accepted runs, then each resource is destroyed in its child."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.note, n) for n in range(100)]
        assert not m.stop().killed
        assert [future.result(0) for future in futures] == list(range(100))
    assert sorted(notes.lines("create")) == sorted(notes.lines("destroy"))


def test_an_idle_child_that_gets_sigterm_destroys_its_resource(make: Any) -> None:
    """Whoever sent it: nothing is lost, and another child takes its place."""
    with make() as m:
        first = m.queue_task(work.pid)
        os.kill(first, signal.SIGTERM)
        wait_until(lambda: m.stats().resources.alive < m.stats().resources.created)
        assert m.queue_task(work.pid) != first
        assert m.stats().resources.lost == 0


async def test_an_idle_child_of_a_loop_that_gets_sigterm_destroys_its_resource(amake: Any) -> None:
    """The same in an event loop."""
    async with amake() as m:
        first = await m.queue_task(work.pid)
        os.kill(first, signal.SIGTERM)
        await eventually(lambda: m.stats().resources.alive < m.stats().resources.created)
        assert await m.queue_task(work.pid) != first
        assert m.stats().resources.lost == 0


def slow_callback(ctx: Any, thing: Any, notes: Notes, door: FileGate) -> None:
    """Ends as soon as it is cancelled, long before its callback does."""

    def called() -> None:
        time.sleep(0.5)  # what it takes; nothing waits for a moment here
        notes.write("called")

    ctx.on_cancel(called)
    door.arrive()
    ctx.wait(60)


def test_callbacks_are_called_before_the_child_ends(make: Any, notes: Notes, door: FileGate) -> None:
    """Those of the context of a task that kill has ended, and before the resource is destroyed."""
    with make() as m:
        m.submit(slow_callback, notes, door)
        door.wait_arrivals(1)
        m.kill()
    assert [line.split()[0] for line in notes.lines()] == ["create", "called", "destroy"]


async def test_callbacks_are_called_before_the_child_of_a_loop_ends(amake: Any, notes: Notes, door: FileGate) -> None:
    """The same there."""
    async with amake() as m:
        m.submit(slow_callback, notes, door)
        while not door.pids:
            await asyncio.sleep(0.01)
        await m.kill()
    assert [line.split()[0] for line in notes.lines()] == ["create", "called", "destroy"]


class Finalized:
    """A resource that ends by itself."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def __del__(self) -> None:
        self.notes.write("finalized", 1)


@pytest.mark.parametrize("as_factory", [False, True])
def test_a_child_lets_go_of_its_resource(make: Any, notes: Notes, as_factory: bool) -> None:
    """What ends when nothing refers to it ends with the worker, as on threads."""

    @contextlib.contextmanager
    def factory() -> Iterator[Finalized]:
        yield Finalized(notes)

    hooks: dict[str, Any] = {"resource": factory} if as_factory else {"on_create": lambda: Finalized(notes)}
    with make(**hooks) as m:
        assert m.queue_task(work.echo, 1) == 1
    assert notes.numbers("finalized") == [1]
