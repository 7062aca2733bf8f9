"""Sockets that behave as they do here whatever the program has set for its own: ``socket.setdefaulttimeout``, and the action
of SIGPIPE."""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence

QUIETLY: int = getattr(socket, "MSG_NOSIGNAL", 0)
"""A flag: where the other end is closed, an error is raised, and no SIGPIPE sent, which ends programs that want to be ended by
that of their own output (``signal(SIGPIPE, SIG_DFL)``)."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Returns two connected sockets that block. ``OSError`` if there are no descriptors left."""
    pair = socket.socketpair()
    for end in pair:  # not so with a default timeout; and what inherits one takes it for one that blocks
        end.setblocking(True)
    return pair


def send_quietly(to: socket.socket, content: bytes | memoryview) -> int:
    """Sends as much as is possible, and returns how much that was."""
    return to.send(content, QUIETLY)


def send_files(to: socket.socket, content: bytes, fds: Sequence[int]) -> None:
    """Sends descriptors, beside bytes. ``socket.send_fds`` leaves flags out on CPython 3.11."""
    to.sendmsg([content], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))], QUIETLY)
