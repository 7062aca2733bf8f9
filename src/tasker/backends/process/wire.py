"""The way of messages between this process and one child: frames over a pair of sockets.

A frame is its length in four bytes, and then as many bytes. What is large does not go that way: it is copied once into a
file in memory that has no name, whose descriptor travels over a second pair of sockets, and which the other side maps. So
an array of 100 MB costs one copy, and a frame that announces such files is small. The descriptors are sent before their
frame, so whoever has read the frame finds them.

``Wire`` never blocks in ``send`` (what the other side does not take yet is kept, for ``flush``): a parent that waits for a
child to take its arguments while the child waits for the parent to take its result would wait for ever.
"""

from __future__ import annotations

import mmap
import os
import select
import socket
import struct
import tempfile
from collections import deque
from typing import Any

LARGE = 256 * 1024
"""From how many bytes on a part of a message is mapped, not sent."""
_HEADER = struct.Struct("<I")
_PARTS = 1 << 31
"""In a header: what follows are the lengths of parts that are mapped."""
_READ = 256 * 1024
_FDS = 64
"""How many descriptors go in one message; the kernel takes 253 at most."""
Parts = list[Any]
"""A message: pickled bytes, and the buffers that the pickle left out."""


class Wire:
    """One end, for one thread at a time in each direction."""

    def __init__(self, data: socket.socket, side: socket.socket) -> None:
        self.data: socket.socket = data
        self.side: socket.socket = side
        self._waiting: deque[memoryview] = deque()
        self._unread = b""

    @property
    def blocked(self) -> bool:
        """Whether something is kept that the other side did not take yet."""
        return bool(self._waiting)

    def send(self, parts: Parts) -> None:
        """Sends a message as far as that is possible without waiting. ``OSError`` if nobody is there."""
        frame = self._frame(parts)
        if self._waiting:
            self._waiting.append(memoryview(frame))
            return
        try:
            sent = self.data.send(frame)
        except BlockingIOError:
            sent = 0
        if sent != len(frame):
            self._waiting.append(memoryview(frame)[sent:])

    def flush(self) -> None:
        """Sends on what was kept."""
        while self._waiting:
            try:
                sent = self.data.send(self._waiting[0])
            except BlockingIOError:
                return
            if sent == len(self._waiting[0]):
                self._waiting.popleft()
            else:
                self._waiting[0] = self._waiting[0][sent:]

    def send_all(self, parts: Parts) -> None:
        """Sends a message, and waits until it is taken. Only for a socket that blocks."""
        frame = self._frame(parts)
        sent = self.data.send(frame)
        if sent != len(frame):
            self.data.sendall(memoryview(frame)[sent:])

    def receive(self) -> list[bytes | Parts]:
        """The messages that have come, each in parts if it has several. None, if the last is not here yet; ``EOFError`` at
        the end."""
        try:
            read = self.data.recv(_READ)
        except BlockingIOError:
            return []
        except ConnectionError as error:
            raise EOFError from error
        if not read:
            raise EOFError
        return self._messages(read)

    def receive_one(self) -> Parts:
        """The next message; waits for it. Only for a socket that blocks."""
        (size,) = _HEADER.unpack(self._exactly(_HEADER.size))
        return self._message(size, self._exactly(size & ~_PARTS))

    def close(self) -> None:
        """Closes this end."""
        self.data.close()
        self.side.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _frame(self, parts: Parts) -> bytes:
        first = parts[0]
        if len(parts) == 1 and len(first) < LARGE:
            return b"".join((_HEADER.pack(len(first)), first))
        views = [memoryview(part).cast("B") for part in parts]
        sizes = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
        files = [file_in_memory(view) for view in views]
        try:
            for at in range(0, len(files), _FDS):
                group = files[at : at + _FDS]
                self._send_fds(group)
        finally:
            for fd in files:
                os.close(fd)
        return _HEADER.pack(len(sizes) | _PARTS) + sizes

    def _send_fds(self, group: list[int]) -> None:
        while True:
            try:
                socket.send_fds(self.side, [b"f"], group)
                return
            except BlockingIOError:  # so many wait there that the other side will have to read some first
                select.select([], [self.side], [], 0.05)

    def _messages(self, read: bytes) -> list[bytes | Parts]:
        if self._unread:
            read = self._unread + read
        messages: list[bytes | Parts] = []
        at, end, header = 0, len(read), _HEADER.unpack_from
        while end - at >= 4:
            (size,) = header(read, at)
            after = at + 4 + (size & ~_PARTS)
            if after > end:
                break
            body = read[at + 4 : after]
            messages.append(body if size < _PARTS else self._message(size, body))
            at = after
        self._unread = read[at:]
        return messages

    def _message(self, size: int, body: bytes) -> Parts:
        if not size & _PARTS:
            return [body]
        sizes = struct.unpack(f"<{len(body) // 8}Q", body)
        files: list[int] = []
        while len(files) < len(sizes):
            files += self._receive_fds()
        return [mapped(fd, length) for fd, length in zip(files, sizes, strict=True)]

    def _receive_fds(self) -> list[int]:
        while True:
            try:
                byte, files, _, _ = socket.recv_fds(self.side, 1, _FDS)
            except BlockingIOError:
                select.select([self.side], [], [], 0.05)
                continue
            if not byte:
                raise EOFError
            return list(files)

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            try:
                piece = self.data.recv(min(size, 1 << 20))
            except ConnectionError as error:
                raise EOFError from error
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def file_in_memory(content: memoryview) -> int:
    """A file without a name that holds this; its descriptor."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("tasker", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        while content:
            content = content[os.write(fd, content) :]
    except BaseException:
        os.close(fd)
        raise
    return fd


def mapped(fd: int, size: int) -> memoryview | bytes:
    """What such a file holds, without copying it; closes the descriptor. Writable, and nobody else's."""
    try:
        return memoryview(mmap.mmap(fd, size)) if size else b""
    finally:
        os.close(fd)
