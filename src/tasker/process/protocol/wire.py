"""How messages get from one process to the other: frames over a pair of sockets, or a pipe.

A frame is its length in four bytes, followed by as many bytes. What is large does not go that way: it is copied once into a
file in memory that has no name, whose descriptor travels over a second pair of sockets, and which the other side maps. So
an array of 100 MB costs one copy, and a frame that announces such a file is small.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections import deque
from functools import partial
from io import FileIO
from pickle import PickleBuffer
from typing import Any

from .shared_memory import content_of, file_in_memory
from .sockets import send_files, send_quietly

MAPPED_SIZE = 256 * 1024
"""Bytes from which on a part of a message is mapped, not sent."""
_HEADER = struct.Struct("<I")
_PARTS = 1 << 31
"""In a header: the frame has the lengths of parts that are in a file."""
_READ = 256 * 1024
Parts = list[Any]
"""A message: pickled bytes, and the buffers that the pickle left out, each as the ``PickleBuffer`` that it was given as.

No ``PickleBuffer`` is made of a ``memoryview`` of ours: if the collector clears that first, in a cycle with the traceback of an
error, say, CPython before 3.13 crashes.
"""


def view_of(part: Any) -> memoryview:
    """Returns the bytes of a part, in the order in which they are in memory."""
    return part.raw() if type(part) is PickleBuffer else memoryview(part).cast("B")


class WireFrame:
    """A message, ready to be sent: its bytes, and the file that goes beside them, if there is one."""

    __slots__ = ("fd", "sent")

    def __init__(self, parts: Parts) -> None:
        """``OSError`` if there is no descriptor or memory left for the file."""
        first = parts[0]
        self.fd: int = -1
        if len(parts) == 1 and memoryview(first).nbytes < MAPPED_SIZE:
            self.sent: bytes = b"".join((_HEADER.pack(len(first)), first))
            return
        views = [*map(view_of, parts)]
        sizes = struct.pack(f"<{len(views)}Q", *(view.nbytes for view in views))
        self.sent = _HEADER.pack(len(sizes) | _PARTS) + sizes
        self.fd = file_in_memory(views)

    def drop(self) -> None:
        """Closes the file. The frame has been sent, or it is not to be."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Wire:
    """One end, for one thread at a time in each direction."""

    def __init__(self, data: socket.socket, side: socket.socket, pipe: FileIO | None = None) -> None:
        """``pipe``: one end of a pipe, which takes the place of ``data`` in the direction that it is open for. In a pipe, a
        small message costs a third of what it costs in a socket."""
        self.data: socket.socket = data
        self.side: socket.socket = side
        self._pipe = pipe
        self.reads: int = (pipe if pipe is not None and pipe.readable() else data).fileno()
        """The descriptor that messages come from."""
        target = pipe if pipe is not None and pipe.writable() else data
        self.writes: int = target.fileno()
        """The descriptor that they go to."""
        self._write = partial(send_quietly, data) if target is data else partial(os.write, self.writes)
        self._waiting: deque[memoryview] = deque()
        self._unread = b""

    @property
    def blocked(self) -> bool:
        """Whether something is kept that the other side has not taken yet."""
        return bool(self._waiting)

    def send(self, parts: Parts) -> None:
        """Sends a message as far as that is possible without waiting. ``OSError`` if the other end is closed."""
        self.put(WireFrame(parts))

    def put(self, frame: WireFrame) -> None:
        """Sends what is ready to be sent, like ``send``."""
        # The descriptor goes first: the side that has read the frame finds it.
        self._send_file(frame)
        # Never blocks, but keeps what is not taken yet: a parent that waits for its child to take arguments while the
        # child waits for the parent to take a result would wait for ever.
        if self._waiting:
            self._waiting.append(memoryview(frame.sent))
            self.flush()
            return
        try:
            sent = self._write(frame.sent)
        except BlockingIOError:
            sent = 0
        if sent != len(frame.sent):
            self._waiting.append(memoryview(frame.sent)[sent:])

    def flush(self) -> None:
        """Sends what was kept, as far as that is possible without waiting."""
        while self._waiting:
            try:
                sent = self._write(self._waiting[0])
            except BlockingIOError:
                return
            if sent == len(self._waiting[0]):
                self._waiting.popleft()
            else:
                self._waiting[0] = self._waiting[0][sent:]

    def put_all(self, frame: WireFrame) -> None:
        """Sends a message, and waits until it is taken. Only for a socket that blocks."""
        self._send_file(frame)
        self._send_whole(frame.sent)

    def put_small(self, pickled: bytes) -> None:
        """Sends a message of less than ``MAPPED_SIZE`` bytes, and waits until it is taken. Only for a socket that blocks."""
        self._send_whole(b"".join((_HEADER.pack(len(pickled)), pickled)))

    def receive(self) -> list[bytes | Parts | OSError | MemoryError]:
        """Returns the complete messages received so far, possibly []; raises ``EOFError`` at the end.

        A message is bytes, or parts if it has several, or the error of one whose file could not be received.
        """
        try:
            read = os.read(self.reads, _READ)
        except BlockingIOError:
            return []
        except ConnectionError as error:
            raise EOFError from error
        if not read:
            raise EOFError
        return self._messages(read)

    def receive_one(self) -> Parts:
        """Waits for the next message and returns it. Only for a socket that blocks."""
        return self.message(*self.receive_frame())

    def receive_frame(self) -> tuple[int, bytes]:
        """Waits for the next frame and returns its header and its body, for ``message`` or ``skip``. Only for a socket
        that blocks."""
        (size,) = _HEADER.unpack(self._exactly(_HEADER.size))
        return size, self._exactly(size & ~_PARTS)

    def skip(self, size: int) -> None:
        """Drops a frame with this header, that was read."""
        if size & _PARTS:
            try:
                os.close(self._receive_file())
            except OSError:  # no descriptor was left for it
                pass

    def close(self) -> None:
        """Closes this end."""
        self.data.close()
        self.side.close()
        if self._pipe is not None:
            self._pipe.close()

    # -- inside ---------------------------------------------------------------------------------------------------

    def _send_whole(self, content: bytes) -> None:
        sent = self._write(content)
        while sent != len(content):  # a signal has come meanwhile, or it is large
            sent += self._write(memoryview(content)[sent:])

    def _send_file(self, frame: WireFrame) -> None:
        if frame.fd < 0:
            return
        try:
            while True:
                try:
                    send_files(self.side, b"f", [frame.fd])
                    return
                except BlockingIOError:  # the socket is full of descriptors: the other side has to read some first
                    select.select([], [self.side], [], 0.05)
        finally:
            frame.drop()

    def _messages(self, read: bytes) -> list[bytes | Parts | OSError | MemoryError]:
        if self._unread:
            read = self._unread + read
        self._unread = read  # until all of it was made to messages: nothing is lost where there is no memory for that
        messages: list[bytes | Parts | OSError | MemoryError] = []
        at, end, header = 0, len(read), _HEADER.unpack_from
        while end - at >= 4:
            (size,) = header(read, at)
            after = at + 4 + (size & ~_PARTS)
            if after > end:
                break
            body = read[at + 4 : after]
            if size < _PARTS:
                messages.append(body)
            else:
                try:
                    messages.append(self.message(size, body))
                except (OSError, MemoryError) as error:
                    messages.append(error)
            at = after
        self._unread = read[at:]
        return messages

    def message(self, size: int, body: bytes) -> Parts:
        """Returns the message of a frame that was read. ``OSError`` or ``MemoryError`` if its file cannot be had; then
        the next frame can still be read."""
        if not size & _PARTS:
            return [body]
        fd = self._receive_file()
        try:
            return content_of(fd, struct.unpack(f"<{len(body) // 8}Q", body))
        finally:
            os.close(fd)

    def _receive_file(self) -> int:
        while True:
            try:
                byte, files, _, _ = socket.recv_fds(self.side, 1, 1)
            except BlockingIOError:
                select.select([self.side], [], [], 0.05)
                continue
            if not byte:
                raise EOFError
            if not files:  # the kernel had no descriptor left for it, and has dropped it
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return files[0]

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            try:
                piece = os.read(self.reads, min(size, 1 << 20))
            except ConnectionError as error:
                raise EOFError from error
            if not piece:
                raise EOFError
            pieces.append(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
