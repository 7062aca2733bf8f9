"""Which tasks a child has begun: the permits say it exactly, whatever the child was about to do when it died."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from io import FileIO
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import Call, wait_until
from tasker import WorkerLost
from tasker.process.child import main as child_main
from tasker.process.child.main import Child, Terminated
from tasker.process.parent.session import ProcessSession
from tasker.process.protocol.wire import Wire
from tasker.remote.events import UNREAD
from tasker.remote.window import InFlightWindow

from . import setups, work
from .conftest import FRESH
from .test_window import Future


class Death(BaseException):
    """Ends the child of a test, which is an object in this process."""


class Mortal(Child):
    """A child that dies as it reads the next message, once it is told to."""

    dies = False

    def _read(self) -> bool:
        if self.dies:
            raise Death
        return super()._read()


class Pair:
    """A session, and its child without a process."""

    def __init__(self) -> None:
        self.session = ProcessSession("alone", 1.0, lambda future: future._args, lambda: None)
        connection = self.session._connection
        data, side, control, told = connection._far_ends
        data, side, control = (end.dup() for end in (data, side, control))
        told = FileIO(os.dup(told.fileno()), "w")
        connection.close_far_ends()
        setup = setups.bare()
        self.permits = os.dup(connection._permits)
        self.wire = Wire(data, side, told)
        self.control = Wire(control, side)
        self.child = Mortal(self.wire, self.control, self.permits, setup, lambda report: None)

    def send(self, *numbers: int) -> None:
        """Sends tasks with these numbers."""
        refused, _ = self.session.send([(number, Future(number), 0) for number in numbers])
        assert not refused

    def numbers(self, tasks: Any) -> list[int]:
        """Of tasks in flight."""
        return [number for number, _, _ in tasks]

    def dies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The child is gone, and the parent knows it."""
        monkeypatch.setattr(ProcessSession, "dead", True)

    def close(self) -> None:
        """Closes both sides."""
        self.session.close()
        for wire in (self.wire, self.control):
            wire.close()
        os.close(self.permits)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A session and its child."""
    pair = Pair()
    yield pair
    pair.close()


def overtake(pair: Pair) -> None:
    """The child has read tasks; they are recalled, and others are sent, whose permits it finds first."""
    pair.send(1, 2)
    assert pair.child._read()
    back, _ = pair.session.recall()
    assert pair.numbers(back) == [1, 2]
    pair.send(3, 4)


def test_a_message_that_kills_its_reader_has_begun_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child had a permit for the first task in there, and has given it up before it read on."""
    overtake(pair)
    pair.child.dies = True
    with pytest.raises(Death):
        pair.child._next()
    assert pair.session.events() == [(UNREAD, True)]
    pair.dies(monkeypatch)
    assert pair.session.recall(given_up=True) == ([], False)
    assert pair.session.begun_at_death() == []
    assert pair.numbers(pair.session.take_all()[0]) == [3, 4]


def test_what_was_given_up_comes_again(pair: Pair) -> None:
    """Once, in order: the child begins the tasks of the message that was sent after its report."""
    overtake(pair)
    reading = Call(pair.child._next)
    wait_until(lambda: select.select([pair.session._wire.reads], [], [], 0)[0])
    assert pair.session.events() == [(UNREAD, True)]
    pair.session.judged += 1
    back, _ = pair.session.recall(given_up=True)
    assert pair.numbers(back) == [3, 4]
    pair.send(5, 6)
    first = reading.outcome()
    second = pair.child._next()
    assert [first[0], second[0] if second else None] == [5, 6]
    assert pair.numbers(pair.session.begun_at_death()) == [5, 6]  # of which the parent knows that one has ended


def test_a_signal_before_it_waits(pair: Pair) -> None:
    """The child has looked whether it is to end, and is about to wait for tasks: it ends at once."""
    pair.child._terminate()
    with pytest.raises(Terminated):
        Call(pair.child._next).outcome()


def test_a_signal_before_it_reads_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child ends, and has begun nothing, though it had a permit for the next task."""
    overtake(pair)
    monkeypatch.setattr(pair.child, "_next_frame", pair.child._terminate)
    with pytest.raises(Terminated):
        Call(pair.child._next).outcome()
    assert pair.session.events() == [(UNREAD, True)]
    assert pair.numbers(pair.session.recall(given_up=True)[0]) == [3, 4]
    assert pair.session.begun_at_death() == []


def test_the_parent_is_gone(pair: Pair) -> None:
    """What was recalled before does not run, and the child goes on to its end."""
    pair.send(1, 2)
    assert pair.child._read()
    assert len(pair.session.recall()[0]) == 2
    pair.session.close()
    assert pair.child._next() is None


# -- with a process --------------------------------------------------------------------------------------------------------


class Patient:
    """`os` in a child that waits for a permit once, where it would have found that all was recalled."""

    def __init__(self) -> None:
        self.armed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def read(self, fd: int, size: int) -> bytes:
        """Waits the first time."""
        if self.armed:
            self.armed = False
            select.select([fd], [], [], 60)
        return os.read(fd, size)


def patient(ctx: Any, thing: Any, door: FileGate) -> None:
    """Waits at the door. After it, the child takes a permit of tasks that it has not read."""
    child_main.os = Patient()  # type: ignore[assignment]
    door.pass_through()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight tasks go in each message."""
    monkeypatch.setattr(InFlightWindow, "room", lambda self: 0 if self.in_hand else 8)


@pytest.fixture
def recalled(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once something was taken back."""
    event = threading.Event()
    take_back = InFlightWindow.take_back

    def noted(self: InFlightWindow) -> None:
        take_back(self)
        event.set()

    monkeypatch.setattr(InFlightWindow, "take_back", noted)
    return event


def test_what_was_sent_with_a_message_that_kills(
    make: Any, deadly: Any, door: FileGate, notes: Notes, room: None, recalled: threading.Event
) -> None:
    """It runs, though the child had a permit for it as it read the message, and though it may run only once."""
    with make(process=FRESH) as m:
        first = m.submit(patient, door)
        behind = [m.submit(work.note, n) for n in range(2)]
        door.wait_arrivals(1)
        assert recalled.wait(30)
        for future in behind:
            future.cancel()
        innocent = m.submit(work.note, 7, once=True)
        bad = m.submit(deadly, 1, once=True)
        door.open()
        first.result(30)
        assert innocent.result(60) == 7
        assert isinstance(bad.exception(60), WorkerLost)
    assert notes.numbers("start") == [7]
