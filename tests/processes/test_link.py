"""The parent's end of a child, alone."""

from __future__ import annotations

import os

from tasker.backends.process.link import Link


def test_what_is_closed_is_left_alone() -> None:
    """After the end a late call writes and reads nothing: the numbers of its descriptors may be another's by then."""
    link = Link("alone", 1.0)
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
