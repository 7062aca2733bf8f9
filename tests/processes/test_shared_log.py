"""The log records of a child and of the processes that its tasks fork, through one pipe."""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

import pytest

from tasker import Config, Context, ProcessBackend, TaskManager
from tasker.process.protocol.records import Frames, pieces

LONG = 100_000
"""Characters: many writes."""


def test_frames_of_two_processes() -> None:
    """Whatever the order of their pieces, and wherever the reader is in the middle of one, each frame is whole."""
    ours, theirs = list(pieces(b"a" * LONG, 1)), list(pieces(b"b" * LONG, 2))
    assert len(ours) > 20 and max(map(len, ours)) <= 4096
    sent = b"".join(piece for pair in zip(ours, theirs, strict=True) for piece in pair)
    frames = Frames()
    got = [frame for at in range(0, len(sent), 777) for frame in frames.feed(sent[at : at + 777])]
    assert got == [b"a" * LONG, b"b" * LONG]


def test_a_process_that_was_killed_in_the_middle() -> None:
    """What it has left unfinished spoils nothing, not even the frames of a later process of its number."""
    frames, killed = Frames(), list(pieces(b"a" * LONG, 2))
    assert list(frames.feed(b"".join([*killed[:3], *pieces(b"ours", 1)]))) == [b"ours"]
    assert list(frames.feed(b"".join(pieces(b"b" * LONG, 2)))) == [b"b" * LONG]


def forks(ctx: Context, resource: object) -> None:
    """Forks a process that logs long records until it is killed, and logs such records meanwhile."""
    log = logging.getLogger("shared")
    begun, begins = os.pipe()
    forked = os.fork()
    if forked == 0:
        os.write(begins, b"x")
        while True:
            log.info("t" * LONG)
    os.read(begun, 1)
    for _ in range(30):
        log.info("o" * LONG)
    os.kill(forked, signal.SIGKILL)
    os.waitpid(forked, 0)
    log.info("after")
    os.close(begun)
    os.close(begins)


@pytest.mark.timeout(120)
def test_a_forked_process_that_logs(caplog: Any) -> None:
    """The records of both arrive whole, also after the forked one was killed in the middle of one."""
    with (
        caplog.at_level(logging.INFO, "shared"),
        TaskManager(Config(on_create=object, worker_count=1, backend=ProcessBackend())) as manager,
    ):
        manager.queue_task(forks)
        manager.queue_task(forks)
    messages = [record.getMessage() for record in caplog.records if record.name == "shared"]
    assert messages.count("o" * LONG) == 60
    assert messages.count("after") == 2
    assert set(messages) <= {"o" * LONG, "t" * LONG, "after"}
