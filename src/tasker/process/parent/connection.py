"""The sockets and pipes between this process and one child.

Three pairs of sockets: one for messages to the child, one for the descriptors of files that go beside messages, and ``control``
for cancellations, which must not wait behind messages. Two pipes: the child's messages, most of which are small, and the
permits (see ``protocol.messages``). And what ends a ``wait``.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from contextlib import ExitStack
from io import FileIO

from tasker.process.protocol.shared_memory import closed_with
from tasker.process.protocol.sockets import socket_pair
from tasker.process.protocol.wire import Wire

from .fork_server_client import forget_in_forks

_BUFFER = 1 << 20
"""Bytes of a socket's buffers: what goes to a child in one message is to fit in."""
_NUDGE = (1).to_bytes(8, sys.byteorder)
"""What the kernel's counters take; a pipe takes it as well."""


class Connection:
    """See the module's docstring. Its owner calls nothing after ``close``: the number of a closed descriptor may be
    another file's by then."""

    def __init__(self) -> None:
        """``OSError`` if there are no descriptors left; then none is taken."""
        with ExitStack() as made:
            pairs = [closed_with(made, socket_pair(), socket.socket.close) for _ in range(3)]
            results, permits = (closed_with(made, os.pipe(), os.close) for _ in range(2))
            nudged = _waker()
            made.pop_all()
        (data, far_data), (side, far_side), (control, far_control) = pairs
        told, far_told = FileIO(results[0], "r"), FileIO(results[1], "w")
        (self._permits, self._permit), (self._nudged, self._nudge) = permits, nudged
        self._far_ends = far_data, far_side, far_control, far_told
        for end in (data, far_data):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        for end in (data, side, control):
            end.setblocking(False)
        for fd in (self._permits, self._nudged, results[0]):
            os.set_blocking(fd, False)
        self.wire: Wire = Wire(data, side, told)
        self.control: Wire = Wire(control, side)
        # A fork of this process would keep them open, and the child would not notice the end of this one.
        forget_in_forks(data, side, control, told)
        # Two of them, so that no ``wait`` has to change what it waits for.
        self._readable, self._readable_or_writable = select.poll(), select.poll()
        for poll in (self._readable, self._readable_or_writable):
            poll.register(told, select.POLLIN)
            poll.register(self._nudged, select.POLLIN)
        self._readable_or_writable.register(data, select.POLLOUT)

    # -- the child's side -----------------------------------------------------------------------------------------

    @property
    def child_fds(self) -> list[int]:
        """The descriptors that the child is to inherit."""
        return [*(end.fileno() for end in self._far_ends), self._permits]

    def close_far_ends(self) -> None:
        """Closes the child's ends here. The child has its own, and its death is to be an end of file."""
        for end in self._far_ends:
            end.close()

    # -- permits --------------------------------------------------------------------------------------------------

    def grant(self, epoch: int, count: int) -> None:
        """Puts ``count`` permits of an epoch into the pipe."""
        os.write(self._permit, bytes((epoch,)) * count)

    def revoke(self) -> int:
        """Takes out the permits that the child has not taken; returns how many they were."""
        permits = 0
        while True:
            try:
                read = len(os.read(self._permits, 4096))
            except BlockingIOError:
                return permits
            permits += read
            if not read:
                return permits

    # -- waiting --------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> None:
        """Sleeps until there is something to read or ``nudge`` is called, ``timeout`` seconds at most. Meanwhile sends
        what the child has not taken yet."""
        milliseconds = None if timeout is None else max(0, round(timeout * 1000))
        while self.wire.blocked:
            ready = self._readable_or_writable.poll(milliseconds)
            # Also if there is something to read: else a worker that is nudged again and again would never send the rest.
            try:
                self.wire.flush()
            except OSError:
                return
            if any(fd == self._nudged for fd, _ in ready):
                self._take_nudges()
                return
            if not ready or any(event & ~select.POLLOUT for _, event in ready):
                return
        if any(fd == self._nudged for fd, _ in self._readable.poll(milliseconds)):
            self._take_nudges()

    def _take_nudges(self) -> None:
        try:
            os.read(self._nudged, 4096)
        except BlockingIOError:
            pass

    def nudge(self) -> None:
        """Ends a ``wait``. From any thread."""
        os.write(self._nudge, _NUDGE)

    # -- the end --------------------------------------------------------------------------------------------------

    def close_control(self) -> None:
        """Closes the control sockets, which ends a child that waits for more. Harmless when repeated."""
        self.control.data.close()

    def close(self) -> None:
        """Closes everything. Only once."""
        self.close_far_ends()
        self.close_control()
        self.wire.close()
        for fd in {self._permits, self._permit, self._nudged, self._nudge}:
            os.close(fd)


def _waker() -> tuple[int, int]:
    """Returns what becomes readable, and what has to be written to for that: on Linux one descriptor, elsewhere a pipe."""
    if hasattr(os, "eventfd"):
        return (waker := os.eventfd(0, os.EFD_CLOEXEC)), waker
    return os.pipe()
