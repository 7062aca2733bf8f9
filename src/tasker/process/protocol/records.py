"""The frames of log records: a pickled ``dict`` of the record's attributes. A tuple in its place says how far a task is: its number,
how much is done, and of how much.

Several processes write to one pipe: the child, and those that its tasks fork. A write of up to ``PIPE_BUF`` bytes comes in one piece,
or not at all where the writer is killed; so a long frame is sent in such pieces, each behind the number of its process, and the
reader puts those of each process together.
"""

from __future__ import annotations

import select
import struct
from collections.abc import Iterator

HEADER: struct.Struct = struct.Struct("<IHB")
"""The number of the process, the size of the piece behind this, and whether it is a first one, a last one, or both."""
_ROOM = select.PIPE_BUF - HEADER.size
_FIRST, _LAST = 1, 2


def pieces(frame: bytes, pid: int) -> Iterator[bytes]:
    """Yields what has to be written for a frame, each in one step."""
    for start in range(0, len(frame), _ROOM):
        piece = frame[start : start + _ROOM]
        place = _FIRST * (start == 0) | _LAST * (start + _ROOM >= len(frame))
        yield HEADER.pack(pid, len(piece), place) + piece


class Frames:
    """Puts the pieces that come out of a pipe together. Not thread-safe."""

    def __init__(self) -> None:
        self._unread = b""
        self._begun: dict[int, list[bytes]] = {}
        """What has come of the unfinished frame of each process."""

    def feed(self, read: bytes) -> Iterator[bytes]:
        """Yields the frames that are whole now."""
        self._unread += read
        while len(self._unread) >= HEADER.size:
            pid, size, place = HEADER.unpack_from(self._unread)
            after = HEADER.size + size
            if len(self._unread) < after:
                return
            piece, self._unread = self._unread[HEADER.size : after], self._unread[after:]
            if place & _FIRST:
                self._begun[pid] = []  # what an earlier process of that number has left unfinished is lost
            begun = self._begun.setdefault(pid, [])
            begun.append(piece)
            if place & _LAST:
                del self._begun[pid]
                yield b"".join(begun)
