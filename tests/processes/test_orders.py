"""The order to terminate is for one task: whatever runs when it arrives, it strikes no other."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from support.files_between_processes import FileGate
from support.waiting import in_thread
from tasker import Context, TaskCancelled
from tasker.process.child.cancellations import TaskContext
from tasker.process.child.main import Child, Terminated
from tasker.process.child.orders import Orders
from tasker.process.parent.session import ProcessSession
from tasker.process.protocol.messages import TERMINATE
from tasker.process.protocol.pickling import pack
from tasker.process.protocol.wire import Wire, WireFrame

from . import setups, work


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch, doors: Any) -> tuple[FileGate, FileGate]:
    """Two doors: the order to terminate opens the first and is sent when something has come to the second."""
    first, second = doors(), doors()
    terminate = ProcessSession.terminate

    def terminate_late(self: ProcessSession, *number: int) -> None:
        first.open()
        second.wait_arrivals(1)
        terminate(self, *number)
        self.cancel(0, TaskCancelled("it has read the order before this"))

    monkeypatch.setattr(ProcessSession, "terminate", terminate_late)
    return first, second


def hold_until_cancelled(ctx: Context, thing: Any, door: FileGate) -> str:
    """Arrives, and waits for whatever comes behind the order."""
    door.arrive()
    assert ctx.wait(60), "never cancelled"
    return "not struck"


async def ahold(ctx: Any, thing: Any, door: FileGate, value: str) -> str:
    """`work.hold` as a coroutine function that blocks."""
    door.pass_through()
    return value


async def ahold_until_cancelled(ctx: Any, thing: Any, door: FileGate) -> str:
    """The same as a coroutine function."""
    door.arrive()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return "not struck"
    raise AssertionError("never cancelled")


def test_it_comes_when_the_next_task_runs(make: Any, late: tuple[FileGate, FileGate]) -> None:
    """The cancelled task ended by itself as its grace did; its successor goes on, in the same child."""
    first, second = late
    with make(cancel_grace=0) as m:
        cancelled = m.submit(work.hold, first, "ended")
        innocent = m.submit(hold_until_cancelled, second, once=True)
        (pid,) = first.wait_arrivals(1)
        cancelled.cancel()
        assert cancelled.result(30) == "ended"
        assert innocent.result(30) == "not struck"
        assert m.queue_task(work.pid) == pid
        assert m.stats().lost_workers == 0


async def test_it_comes_when_the_next_task_of_a_loop_runs(amake: Any, late: tuple[FileGate, FileGate]) -> None:
    """The same in asyncio."""
    first, second = late
    async with amake(cancel_grace=0) as m:
        cancelled = m.submit(ahold, first, "ended")
        innocent = m.submit(ahold_until_cancelled, second, once=True)
        (pid,) = await in_thread(first.wait_arrivals, 1)
        cancelled.cancel()
        assert await cancelled == "ended"
        assert await innocent == "not struck"
        assert await m.queue_task(work.apid) == pid
        assert m.stats().lost_workers == 0


# -- the child's side -----------------------------------------------------------------------------------------------------


def raise_what_interrupts(ctx: Context, thing: Any) -> None:
    """Raise what the order to terminate raises, with nobody having ordered it."""
    raise Terminated("of its own accord")


def return_badly(thing: Any) -> None:
    """The same as `on_return`."""
    raise Terminated("of its own accord")


def test_a_task_that_raises_what_interrupts(make: Any) -> None:
    """It is the task's own error, and the child goes on."""
    with make(resource_pool_size=1) as m:
        pid = m.queue_task(work.pid)
        for call in (m.queue_task, m.run_task):
            with pytest.raises(Terminated, match="of its own accord"):
                call(raise_what_interrupts)
        assert m.queue_task(work.pid) == pid


async def test_a_coroutine_that_raises_what_interrupts(amake: Any) -> None:
    """The same there."""
    async with amake() as m:
        pid = await m.queue_task(work.apid)
        future = m.submit(raise_what_interrupts)
        await asyncio.wait([future])
        assert isinstance(future.exception(), Terminated)
        assert await m.queue_task(work.apid) == pid


def test_a_resource_that_is_returned_so(make: Any) -> None:
    """It is replaced, as after any other error of `on_return`."""
    with make(on_return=return_badly) as m:
        pid = m.queue_task(work.pid)
        assert m.queue_task(work.pid) != pid
        assert m.stats().user_errors >= 1


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Orders, Wire, list[int]]]:
    """The orders of a child, the parent's end of the connection, and the signals for the main thread."""
    near, far = socket.socketpair()
    signals: list[int] = []
    monkeypatch.setattr(signal, "pthread_kill", lambda thread, number: signals.append(number))
    read = threading.Event()
    orders = Orders(Wire(near, near), 5, read.set, lambda: None)
    parent = Wire(far, far)
    orders._over.set()
    yield orders, parent, signals
    near.close()
    far.close()


def read_all(orders: Orders, parent: Wire) -> None:
    """Has them read what was sent."""
    parent.data.shutdown(socket.SHUT_WR)
    orders._listen()


@pytest.mark.parametrize(("number", "signalled"), [(7, True), (6, False), (8, False), (0, True)])
def test_only_the_task_it_names_is_interrupted(orders: Any, number: int, signalled: bool) -> None:
    """0 stands for whatever runs."""
    child, parent, signals = orders
    child.current = TaskContext(Context(), 7)
    parent.put_all(WireFrame(pack((number, TERMINATE))))
    read_all(child, parent)
    assert signals == ([signal.SIGTERM] if signalled else [])
    assert child.interrupts() == signalled


def test_it_is_kept_for_a_task_that_is_about_to_begin(orders: Any) -> None:
    """The task begins after the order was read: it finds that it is to be interrupted; the one behind it does not."""
    child, parent, signals = orders
    parent.put_all(WireFrame(pack((7, TERMINATE))))
    read_all(child, parent)
    assert signals == []
    assert not child.interrupts()
    child.current = TaskContext(Context(), 7)
    assert child.interrupts()
    child.current = TaskContext(Context(), 8)
    assert not child.interrupts()


def test_the_end_of_all_is_not_taken_back(orders: Any) -> None:
    """An order for one task, which a kill has overtaken, changes nothing."""
    child, parent, signals = orders
    for number in (0, 6):
        parent.put_all(WireFrame(pack((number, TERMINATE))))
    read_all(child, parent)
    assert {*signals} == {signal.SIGTERM}
    child.current = TaskContext(Context(), 7)
    assert child.interrupts()


@pytest.fixture
def child() -> Iterator[Child]:
    """A child whose tasks are called by hand."""
    pairs = [socket.socketpair() for _ in range(2)]
    permits, write = os.pipe()
    setup = setups.bare()
    near, far = (Wire(*ends) for ends in zip(*pairs, strict=True))
    yield Child(near, near, permits, setup, lambda report: None)
    near.close()
    far.close()
    os.close(permits)
    os.close(write)


def test_a_signal_that_comes_late_interrupts_nobody_else(child: Child) -> None:
    """The task it was for ended between the order and the signal: the child ends after the one that runs."""
    orders = child._orders
    orders._order_termination(6)

    def task() -> str:
        orders.current = TaskContext(Context(), 7)
        child._terminate()
        return "went on"

    assert child._user(task) == "went on"
    assert child._leaving


def test_a_signal_in_time_interrupts(child: Child) -> None:
    """While the task that is meant runs."""
    orders = child._orders
    orders.current = TaskContext(Context(), 7)
    orders._condemned = 7
    with pytest.raises(Terminated):
        child._user(child._terminate)
    assert child._leaving
