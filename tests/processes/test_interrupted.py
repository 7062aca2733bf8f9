"""A kill interrupts tasks that do not heed it early enough for their resources to be destroyed."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import Call, eventually
from tasker import TaskKilled, WorkerLost
from tasker.process.parent.session import ProcessSession

from . import work

SOON = 2.0
"""Seconds for a kill: enough for a busy machine."""


@pytest.mark.parametrize("task", [work.spin, work.sleep_long], ids=lambda task: task.__name__)
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_resource_of_a_deaf_task_is_destroyed(make: Any, notes: Notes, door: FileGate, task: Any, how: str) -> None:
    """SIGTERM comes first, and the rest of the deadline is for `on_destroy`."""
    with make(worker_count=2, cancel_grace=60) as m:
        future = m.submit(task, door)
        door.wait_arrivals(1)
        report = getattr(m, how)(SOON)
        assert (report.killed, report.abandoned) == (True, ())
        with pytest.raises(TaskKilled):
            future.result(5)
        ledger = m.stats().resources
        assert (ledger.destroyed, ledger.lost) == (2, 0)
    assert sorted(notes.lines("create")) == sorted(notes.lines("destroy"))


async def test_the_same_in_a_loop(amake: Any, notes: Notes, door: FileGate) -> None:
    """With an AsyncTaskManager."""
    async with amake(cancel_grace=60) as m:
        future = m.submit(work.spin, door)
        await eventually(lambda: door.pids)
        assert (await m.kill(SOON)).abandoned == ()
        with pytest.raises(TaskKilled):
            await future
        assert (m.stats().resources.destroyed, m.stats().resources.lost) == (1, 0)
    assert len(notes.lines("destroy")) == 1


def test_run_task(make: Any, notes: Notes, door: FileGate) -> None:
    """A call of `run_task` is interrupted, and no resource of the pool is lost, in use or not."""
    with make(cancel_grace=60, resource_pool_size=2) as m:
        call = Call(m.run_task, work.spin, door)
        door.wait_arrivals(1)
        m.kill(SOON)
        with pytest.raises(TaskKilled):
            call.outcome(30)
    assert m.stats().resources.lost == 0
    assert sorted(notes.lines("create")) == sorted(notes.lines("destroy"))


async def test_run_task_in_a_loop(amake: Any, notes: Notes, door: FileGate) -> None:
    """The same there: what is idle in the pool is not lost."""
    async with amake(cancel_grace=60, resource_pool_size=1) as m:
        future = m.submit(work.spin, door)
        await eventually(lambda: door.pids)
        await m.kill(SOON)
        assert future.done()
    assert m.stats().resources.lost == 0
    assert sorted(notes.lines("create")) == sorted(notes.lines("destroy"))


def hold_starts(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """From now on, children start only once the second event is set; the first is set as soon as one waits for that."""
    begun, go_on = threading.Event(), threading.Event()
    start = ProcessSession.start

    def held(session: ProcessSession, *args: Any) -> None:
        begun.set()
        assert go_on.wait(60)
        start(session, *args)

    monkeypatch.setattr(ProcessSession, "start", held)
    return begun, go_on


def test_a_kill_while_a_child_is_started(make: Any, door: FileGate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks in other children hear of it at once, although one child is only half made."""
    with make(cancel_grace=60, max_worker_count=2) as m:
        obedient = m.submit(work.obey, door)
        door.wait_arrivals(1)
        begun, go_on = hold_starts(monkeypatch)
        m.resize(worker_count=2)
        assert begun.wait(30)
        kill = Call(m.kill, 60)
        with pytest.raises(TaskKilled):
            obedient.result(30)
        assert not go_on.is_set()
        go_on.set()
        assert kill.outcome(60).abandoned == ()
        assert m.stats().user_errors == 0


async def test_a_kill_while_a_child_of_a_loop_is_started(
    amake: Any, door: FileGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same there."""
    async with amake(cancel_grace=60, max_worker_count=2) as m:
        obedient = m.submit(work.aobey, door)
        await eventually(lambda: door.pids)
        begun, go_on = hold_starts(monkeypatch)
        m.resize(worker_count=2)
        await eventually(begun.is_set)
        kill = asyncio.ensure_future(m.kill(60))
        with pytest.raises(TaskKilled):
            await obedient
        go_on.set()
        assert (await kill).abandoned == ()
        assert m.stats().user_errors == 0


def test_worker_lost_has_the_process(make: Any) -> None:
    """Its id, and how it ended: a signal as a negative number, as in subprocess."""
    with make(max_retries=0) as m:
        pid = m.queue_task(work.pid)
        lost = m.submit(work.crash, "3", once=True).exception(30)
        assert isinstance(lost, WorkerLost)
        assert (lost.pid, lost.exitcode) == (pid, 3)
        again = m.submit(work.crash, once=True).exception(30)
        assert isinstance(again, WorkerLost)
        assert again.pid not in (None, pid, os.getpid())
        assert again.exitcode == -9
