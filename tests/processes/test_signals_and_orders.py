"""Children of a program that blocks signals, and orders to children that take none for a while."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import eventually, wait_until
from tasker import TaskCancelled, WorkerLost
from tasker.process.parent.session import ProcessSession
from tasker.remote.events import GONE, READY

from . import work
from .conftest import FRESH

MANY = 2000
"""Orders that no socket holds."""


@pytest.fixture
def all_blocked() -> Iterator[None]:
    """This thread blocks all signals, as before ``sigwait`` in a thread of its own."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def spin(ctx: Any, thing: Any, door: FileGate) -> None:
    """Work on, whatever the context says."""
    door.arrive()
    while True:
        pass


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_blocked_signals(make: Any, notes: Notes, door: FileGate, all_blocked: None, method: str) -> None:
    """A child is interrupted all the same, and destroys its resource; its end, and that of a killed one, is noticed."""
    with make(process={**FRESH, "start_method": method}, cancel_grace=0.2) as m:
        future = m.submit(spin, door)
        door.wait_arrivals(1)
        future.cancel()
        with pytest.raises(TaskCancelled):
            future.result(30)
        wait_until(lambda: notes.numbers("destroy"), what="it was interrupted, and not killed")
        os.kill(m.queue_task(work.pid), signal.SIGKILL)
        wait_until(lambda: m.stats().lost_workers == 1, what="its death was noticed")
        assert m.queue_task(work.pid)
        report = m.stop(20)
        assert not report.killed
        assert m.stats().resources.lost == 1


def test_orders_that_a_child_has_not_taken(make: Any, door: FileGate) -> None:
    """They are sent once it takes some again, and those that come later as well."""
    with make() as m:
        pid = m.queue_task(work.pid)
        session = next(iter(m._engine.workers.values())).host._session
        future = m.submit(work.obey, door)
        door.wait_arrivals(1)
        fill_up(session, pid)
        future.cancel()
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(TaskCancelled, match=r"was cancelled$"):
            future.result(30)
        wait_until(lambda: not session._connection.control.blocked, what="all are sent")
        assert m.queue_task(work.pid) == pid


async def test_orders_that_a_child_has_not_taken_in_a_loop(amake: Any, door: FileGate) -> None:
    """The same."""
    async with amake() as m:
        pid = await m.queue_task(work.apid)
        session = next(iter(m._engine.workers.values())).host.session
        future = m.submit(work.aobey, door)
        await eventually(lambda: door.pids, what="it runs")
        fill_up(session, pid)
        future.cancel()
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(future, 30)
        await eventually(lambda: not session._connection.control.blocked, what="all are sent")
        assert await m.queue_task(work.apid) == pid


def fill_up(session: Any, pid: int) -> None:
    """Stops a child, and gives it more orders than its socket holds."""
    os.kill(pid, signal.SIGSTOP)
    for number in range(MANY):
        session.forget((0, number))
    assert session._connection.control.blocked


def slow_to_cancel(ctx: Any, thing: Any, door: FileGate, begun: FileGate) -> None:
    """Ends as soon as it is cancelled, long before its callback does."""
    ctx.on_cancel(door.pass_through)
    begun.arrive()
    assert ctx.wait(60)


async def aslow_to_cancel(ctx: Any, thing: Any, door: FileGate, begun: FileGate) -> None:
    """The same as a coroutine function."""
    ctx.on_cancel(door.pass_through)
    begun.arrive()
    assert await ctx.wait_async(60)


def test_a_callback_that_outlasts_its_task(make: Any, doors: Any) -> None:
    """The next task in the same child hears of its own cancellation all the same."""
    door, first, second = doors(), doors(), doors()
    with make(cancel_grace=60) as m:
        pid = m.queue_task(work.pid)
        slow = m.submit(slow_to_cancel, door, first)
        first.wait_arrivals(1)
        slow.cancel()
        assert slow.result(30) is None
        door.wait_arrivals(1)
        obeys = m.submit(work.obey, second)
        second.wait_arrivals(1)
        obeys.cancel()
        with pytest.raises(TaskCancelled):
            obeys.result(30)
        assert m.queue_task(work.pid) == pid
        door.open()


async def test_a_callback_that_outlasts_its_task_in_a_loop(amake: Any, doors: Any) -> None:
    """The same."""
    door, first, second = doors(), doors(), doors()
    async with amake(cancel_grace=60) as m:
        slow = m.submit(aslow_to_cancel, door, first)
        await eventually(lambda: first.pids, what="it runs")
        slow.cancel()
        await asyncio.wait([slow], timeout=30)
        assert slow.done()
        await eventually(lambda: door.pids, what="its callback runs")
        obeys = m.submit(work.aobey, second)
        await eventually(lambda: second.pids, what="the next one runs")
        obeys.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(obeys, 30)
        door.open()


def make_and_be_terminated(notes: Notes, which: int) -> work.Thing:
    """One of them gets SIGTERM, as all processes of a service do."""
    thing = work.make(notes)
    if len(notes.numbers("create")) == which:
        os.kill(os.getpid(), signal.SIGTERM)
    return thing


async def amake_and_be_terminated(notes: Notes, which: int) -> work.Thing:
    """The same as a coroutine function."""
    return make_and_be_terminated(notes, which)


@pytest.fixture(params=[1, 2], ids=["worker", "run_task"])
def which(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of that resource. That it is made is read together with its end."""
    read, left = ProcessSession.events, [None] * request.param

    def events(session: ProcessSession) -> list[Any]:
        got = read(session)
        if got and got[0][0] == READY and left:
            left.pop()
            while not left and got[-1][0] != GONE:
                session.wait()
                got += read(session)
        return got

    monkeypatch.setattr(ProcessSession, "events", events)
    return int(request.param)


def test_the_end_of_what_was_just_made(make: Any, notes: Notes, which: int) -> None:
    """It counts as destroyed."""
    with make(on_create=partial(make_and_be_terminated, notes, which), on_destroy=work.Thing.end) as m:
        assert m.queue_task(work.pid)
        with suppress(WorkerLost):
            m.run_task(work.pid)
    ledger = m.stats().resources
    assert ledger.lost == 0
    assert ledger.created == ledger.destroyed == len(notes.numbers("destroy")) > 1


async def test_the_end_of_what_was_just_made_in_a_loop(amake: Any, notes: Notes, which: int) -> None:
    """The same."""
    async with amake(on_create=partial(amake_and_be_terminated, notes, which), on_destroy=work.aend) as m:
        assert await m.queue_task(work.apid)
        with suppress(WorkerLost):
            await m.run_task(work.apid)
    ledger = m.stats().resources
    assert ledger.lost == 0
    assert ledger.created == ledger.destroyed == len(notes.numbers("destroy")) > 1
