"""The parent's end of a child, alone."""

from __future__ import annotations

import errno
import logging
import os
import threading

import pytest

from tasker.logs import GuardedLogger
from tasker.process.fork_server import BORN
from tasker.process.parent import fork_server_client as keeper
from tasker.process.parent.connection import Connection
from tasker.process.parent.output import OutputReader


def test_what_is_closed_is_left_alone() -> None:
    """After the end a late call writes and reads nothing: the numbers of its descriptors may be another's by then."""
    link = Connection("alone", 1.0)
    for end in link._connect():
        end.close()
    numbers = {link._permits, link._permit, link._nudged, link._nudge}
    link.close()
    pipes = [os.pipe() for _ in numbers]
    try:
        assert numbers & {fd for pipe in pipes for fd in pipe}, "the numbers are used again"
        for _, write in pipes:
            os.write(write, b"x")
        link.nudge()
        assert link.take_back() == ([], False)
        assert [os.read(read, 9) for read, _ in pipes] == [b"x"] * len(pipes)
    finally:
        for pipe in pipes:
            for fd in pipe:
                os.close(fd)


@pytest.mark.parametrize("moment", ["before", "while it is looked at", "after"])
def test_killed_around_its_birth(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever the news of the birth comes: the child gets its signal, and nobody waits for it."""
    killed: list[int] = []
    monkeypatch.setattr(keeper, "send_signal", lambda pid, number: killed.append(pid))
    birth = keeper.SpawnedChild(lambda status: None)
    nursery = keeper.ForkServerClient.__new__(keeper.ForkServerClient)
    nursery._births = {1: birth}

    def news() -> None:
        nursery._heard(1, BORN, 4711, 0)

    class Watched(threading.Event):
        def is_set(self) -> bool:
            if moment == "while it is looked at" and not birth.pid:
                news()
            return super().is_set()

    birth.born = Watched()
    if moment == "before":
        news()
    birth.kill()
    if moment == "after":
        news()
    assert killed == [4711]
    assert birth.born.is_set()


@pytest.mark.parametrize("pipes", [0, 1])
def test_all_of_it_or_nothing(pipes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a descriptor is missing in the middle, those before it are closed, and so is the link."""
    before = descriptors()
    give_up_after(pipes, monkeypatch)
    link = Connection("alone", 1.0)
    with pytest.raises(OSError, match="Too many open files"):
        link._connect()
    link.close()
    assert descriptors() == before


@pytest.mark.parametrize("pipes", [0, 1, 2])
def test_all_pipes_for_speech_or_none(pipes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for what a child speaks through; the thread that listens can still be ended."""
    listener = OutputReader("alone", GuardedLogger(logging.getLogger("alone"), "alone", lambda: None))
    before = descriptors()
    give_up_after(pipes, monkeypatch)
    with pytest.raises(OSError, match="Too many open files"):
        listener.pipes("alone-1")
    assert descriptors() == before
    listener.close()


def descriptors() -> list[str]:
    """Of this process."""
    return sorted(os.listdir("/proc/self/fd"))


def give_up_after(pipes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many can be made, and no more."""
    left, make = [None] * pipes, os.pipe

    def pipe() -> tuple[int, int]:
        if not left:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        left.pop()
        return make()

    monkeypatch.setattr(os, "pipe", pipe)
