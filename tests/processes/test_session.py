"""The parent's end of a child, alone."""

from __future__ import annotations

import contextlib
import errno
import logging
import multiprocessing.spawn
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

import pytest

from tasker import RemoteTraceback, ResourceError
from tasker.logs import GuardedLogger
from tasker.process.fork_server import ENDED, REPORT, STARTED
from tasker.process.parent import fork_server_client
from tasker.process.parent.connection import Connection
from tasker.process.parent.fork_server_client import FORK_SERVER_LOST, ForkServerClient, SpawnedChild
from tasker.process.parent.output import OutputReader
from tasker.process.parent.session import ProcessSession
from tasker.process.protocol.decoding import event_of
from tasker.process.protocol.errors import pack_error
from tasker.process.protocol.pickling import pack_whole
from tasker.process.sessions import DESCRIPTORS
from tasker.remote.events import ERROR, GONE, UNMADE


def alone() -> ProcessSession:
    """A session without a child."""
    session = ProcessSession("alone", 1.0, lambda future: future._args, lambda: None)
    session._connection.close_far_ends()
    return session


def test_what_is_closed_is_left_alone() -> None:
    """After the end a late call writes and reads nothing: the numbers of its descriptors may be another's by then."""
    session = alone()
    connection = session._connection
    numbers = {connection._permits, connection._permit, connection._nudged, connection._nudge}
    session.close()
    session.close()
    pipes = [os.pipe() for _ in range(DESCRIPTORS)]
    try:
        assert numbers <= {fd for pipe in pipes for fd in pipe}, "the numbers are used again"
        for _, write in pipes:
            os.write(write, b"x")
        session.nudge()
        session.cancel(0, ValueError())
        assert session.recall() == ([], False)
        assert [os.read(read, 9) for read, _ in pipes] == [b"x"] * len(pipes)
    finally:
        for pipe in pipes:
            for fd in pipe:
                os.close(fd)


def test_cancelled_before_its_start() -> None:
    """A kill of the manager reaches a session whose child is not started yet, and does no harm."""
    session = alone()
    session.cancel(0, ValueError())
    session.terminate()
    session.kill()
    assert (session.pid, session.dead) == (0, False)
    session.close()


def test_a_nudge_does_not_hold_up_what_is_sent() -> None:
    """A wait that is ended by a nudge sends on, and the nudge ends one wait alone."""
    connection = Connection()
    wire, there = connection.wire, connection._far_ends[0]
    there.setblocking(False)
    wire.send([b"x" * 200_000])
    while not wire.blocked:
        wire.send([b"x" * 200_000])
    connection.nudge()
    end = time.monotonic() + 20
    while wire.blocked:
        assert time.monotonic() < end, "nothing is sent on"
        with contextlib.suppress(BlockingIOError):
            there.recv(1 << 20)
        connection.wait(0.01)
    started = time.monotonic()
    connection.wait(0.1)
    assert time.monotonic() - started >= 0.09
    connection.close()


@pytest.mark.parametrize("moment", ["before", "while it is looked at", "after"])
def test_killed_around_its_start(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the start is reported: the child gets its signal, and nothing waits for it."""
    killed: list[int] = []
    monkeypatch.setattr(fork_server_client, "send_signal", lambda pid, number: killed.append(pid))
    spawned = SpawnedChild(lambda status: None)
    client = ForkServerClient.__new__(ForkServerClient)
    client._children = {1: spawned}

    def report() -> None:
        client._handle(1, STARTED, 4711, 0)

    class Watched(threading.Event):
        def is_set(self) -> bool:
            if moment == "while it is looked at" and not spawned.pid:
                report()
            return super().is_set()

    spawned.settled = Watched()
    if moment == "before":
        report()
    spawned.kill()
    if moment == "after":
        report()
    assert killed == [4711]
    assert spawned.settled.is_set()


def test_a_report_that_cannot_be_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    """For want of memory, say: the other children are told of all the same, also when the fork server is lost."""
    faults: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: faults.append(args.exc_type))

    def no_memory(status: int) -> None:
        raise MemoryError

    ended: list[int] = []
    children = {number: SpawnedChild(ended.append) for number in (1, 2, 3, 4)}
    children[1]._on_end = children[3]._on_end = no_memory
    ours, theirs = socket.socketpair()
    client: Any = ForkServerClient.__new__(ForkServerClient)
    client._socket, client._lock, client._children, client.dead = ours, threading.Lock(), {**children}, False
    client._thread = threading.Thread(target=client._listen, daemon=True)
    client._thread.start()
    with ours:
        with theirs:
            theirs.sendall(REPORT.pack(1, ENDED, 0, 0) + REPORT.pack(2, ENDED, 0, 7))
            assert children[2].ended.wait(20)
            assert children[1].settled.is_set()
        client._thread.join(20)
    assert faults == [MemoryError, MemoryError]
    assert ended == [7, FORK_SERVER_LOST]
    assert all(child.settled.is_set() and child.ended.is_set() for child in children.values())


@pytest.mark.parametrize("pipes", [0, 1])
def test_all_of_it_or_nothing(pipes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a descriptor is missing in the middle, those before it are closed."""
    before = descriptors()
    give_up_after(pipes, monkeypatch)
    with pytest.raises(OSError, match="Too many open files"):
        Connection()
    assert descriptors() == before


@pytest.mark.parametrize("pipes", [0, 1, 2])
def test_all_pipes_for_output_or_none(pipes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the output of a child; the thread that reads it can still be ended."""
    reader = OutputReader("alone", GuardedLogger(logging.getLogger("alone"), "alone", lambda: None))
    before = descriptors()
    give_up_after(pipes, monkeypatch)
    with pytest.raises(OSError, match="Too many open files"):
        reader.pipes("alone-1", lambda told: None)
    assert descriptors() == before
    reader.close()


@pytest.mark.parametrize("what", ["process", "thread"])
def test_a_fork_server_that_cannot_be_started(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left of it, as long as its error is kept, too."""

    def refuse(*args: object, **options: object) -> None:
        raise OSError(errno.EAGAIN, "no more of them")

    started: list[Any] = []
    start = fork_server_client._started
    monkeypatch.setattr(fork_server_client, "_started", lambda *args: started.append(start(*args)) or started[-1])
    if what == "process":
        monkeypatch.setattr("subprocess.Popen", refuse)
    else:
        monkeypatch.setattr(fork_server_client.Daemon, "start", refuse)
    before = descriptors()
    with pytest.raises(OSError, match="no more of them"):
        ForkServerClient(("tests_have_no_such_module",))
    assert descriptors() == before
    assert [process.returncode for process in started] == ([] if what == "process" else [-signal.SIGKILL])


def test_the_interpreter_of_an_embedded_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the one that ``multiprocessing`` was told; without one the error says what to do."""
    here = sys.executable
    chosen = multiprocessing.spawn.get_executable()
    monkeypatch.setattr(sys, "executable", None)
    try:
        multiprocessing.set_executable(here)
        client = ForkServerClient(("tests_have_no_such_module",))
        client.close()
        multiprocessing.set_executable("")
        before = descriptors()
        with pytest.raises(ResourceError, match=r"call multiprocessing\.set_executable"):
            ForkServerClient(("tests_have_no_such_module",))
        assert descriptors() == before
    finally:
        multiprocessing.set_executable(os.fsdecode(chosen))


class Unlinked(Exception):
    """An error that takes no cause."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError(f"{name} is fixed")


@pytest.mark.parametrize("kind", [UNMADE, GONE])
def test_an_event_carries_the_error_itself(kind: int) -> None:
    """Whoever reads it need not know how errors travel."""
    what, error = event_of(pack_whole((kind, pack_error(ValueError("no")))))
    assert what == kind
    assert (type(error), error.args) == (ValueError, ("no",))
    assert event_of(pack_whole((GONE, None))) == (GONE, None)


def test_an_error_that_forbids_assignment() -> None:
    """It is made again with its causes all the same, and the event is that of its task."""
    kind, number, error, *times, cancelled, blameless = event_of(
        pack_whole((ERROR, 7, pack_error(Unlinked("stays")), 1.0, 2.0, False))
    )
    assert (kind, number, times, cancelled, blameless) == (ERROR, 7, [1.0, 2.0], False, False)
    assert type(error) is Unlinked
    assert error.args == ("stays",)
    assert isinstance(error.__cause__, RemoteTraceback)


def descriptors() -> list[str]:
    """Of this process."""
    return sorted(os.listdir("/proc/self/fd"))


def give_up_after(pipes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many be made, and no more."""
    left, make = [None] * pipes, os.pipe

    def pipe() -> tuple[int, int]:
        if not left:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        left.pop()
        return make()

    monkeypatch.setattr(os, "pipe", pipe)
