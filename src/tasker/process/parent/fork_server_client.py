"""The nursery as its parent sees it: one for each choice of ``preload``, shared by the managers that are open.

One thread, ``tasker-nursery``, hears of births and ends, and tells each child's object. It runs nothing of the user's.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
import weakref
from collections.abc import Callable
from typing import Any

from tasker.errors import ResourceError
from tasker.process.fork_server import ASK, BORN, CHILD_FDS, ENDED, FORK, SPAWN, TELL, command

FORK_SERVER_LOST = 1 << 32
"""In place of a status: the process that would have known it was killed."""

_PATIENCE = 5.0
"""Seconds that a nursery has to end."""


class SpawnedChild:
    """A child that was asked for: its process id once it is born, how it ended once it has."""

    def __init__(self, on_end: Callable[[int], object]) -> None:
        self.pid: int = 0
        self.status: int | None = None
        self.failure: int = 0
        """Why it was not born: an ``errno``."""
        self._on_end = on_end
        self.born: threading.Event = threading.Event()
        self.ended: threading.Event = threading.Event()

    def end(self, status: int) -> None:
        """It is gone."""
        self.status = status
        self.ended.set()
        self._on_end(status)

    def kill(self) -> None:
        """Ends the child at once; one that is not born yet is not waited for any longer, and ends when it is."""
        if not self.born.is_set():
            self.failure = errno.ECANCELED
            self.born.set()
        # In this order: it is set before ``born``, and whoever sets it looks at ``failure`` then.
        if self.pid and self.status is None:
            send_signal(self.pid, signal.SIGKILL)


class ForkServerClient:
    """Starts a nursery and talks to it. Thread-safe."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        ask, theirs = socket.socketpair()
        self._ask = ask
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._spawned_children: dict[int, SpawnedChild] = {}
        self.dead: bool = False
        self._closed = False
        with theirs:
            arguments = command("tasker.process.fork_server", str(theirs.fileno()), json.dumps(preload))
            self._process = subprocess.Popen(  # noqa: S603
                arguments, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        _sockets.add(ask)
        self._thread = threading.Thread(target=self._listen, name="tasker-nursery", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the nursery."""
        return self._process.pid

    def start(self, spawned: SpawnedChild, fds: list[int], spawn: bool, grace: float) -> None:
        """Asks for a child that has these descriptors, and ends by itself ``grace`` seconds after this process at the latest;
        waits until it is born."""
        assert len(fds) == CHILD_FDS
        with self._lock:
            if self.dead:
                raise ResourceError("the process that starts children was killed")
            number = next(self._numbers)
            self._spawned_children[number] = spawned
            try:
                socket.send_fds(self._ask, [ASK.pack(number, SPAWN if spawn else FORK, grace)], fds)
            except OSError:
                del self._spawned_children[number]
                self.dead = True
                raise ResourceError("the process that starts children was killed") from None
        spawned.born.wait()
        if spawned.failure:
            raise OSError(spawned.failure, f"no child process could be started: {os.strerror(spawned.failure)}")

    def _listen(self) -> None:
        unread = b""
        while True:
            try:
                read = self._ask.recv(4096)
            except OSError:
                read = b""
            if not read:
                break
            unread += read
            while len(unread) >= TELL.size:
                self._received(*TELL.unpack_from(unread))
                unread = unread[TELL.size :]
        with self._lock:
            self.dead = True
            spawned_children, self._spawned_children = self._spawned_children, {}
        for spawned in spawned_children.values():
            self._orphaned(spawned)

    def _received(self, number: int, what: int, pid: int, status: int) -> None:
        spawned = self._spawned_children.get(number)
        if spawned is None:
            return
        if what == BORN:
            spawned.pid = pid
            if spawned.failure:
                spawned.kill()
        else:
            with self._lock:
                del self._spawned_children[number]
            if what == ENDED:
                spawned.end(status)
            else:
                spawned.failure = status
        spawned.born.set()

    @staticmethod
    def _orphaned(spawned: SpawnedChild) -> None:
        """Nobody will tell how this child ends, and nobody would notice that it does: so it ends now."""
        if spawned.pid:
            send_signal(spawned.pid, signal.SIGKILL)
        else:
            spawned.failure = errno.ESRCH
        spawned.end(FORK_SERVER_LOST)
        spawned.born.set()

    def close(self) -> None:
        """Ends the nursery, and waits for it. Harmless when repeated."""
        with self._lock:
            if self._closed:
                return
            self._closed = self.dead = True
            unanswered = any(not spawned.pid for spawned in self._spawned_children.values())
        self._ask.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(0 if unanswered else _PATIENCE)
        except subprocess.TimeoutExpired:  # an import that does not end, or it was stopped
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._ask.close()


def send_signal(pid: int, number: int) -> None:
    """To a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# -- sharing --------------------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_shared: dict[tuple[str, ...], tuple[ForkServerClient, int]] = {}


def acquire_client(preload: tuple[str, ...]) -> ForkServerClient:
    """The nursery that has imported these modules, started if there is none. To be given back."""
    with _lock:
        client, users = _shared.get(preload, (None, 0))
        if client is None or client.dead:
            client, users = ForkServerClient(preload), 0
        _shared[preload] = client, users + 1
        return client


def give_back(preload: tuple[str, ...], client: ForkServerClient) -> None:
    """The last user's giving back ends it."""
    with _lock:
        current, users = _shared.get(preload, (None, 0))
        if current is client and users > 1:
            _shared[preload] = client, users - 1
            return
        if current is client:
            del _shared[preload]
        last = current is client or client.dead
    if last:
        client.close()


# -- forking of this process ----------------------------------------------------------------------------------------------

_sockets: weakref.WeakSet[Any] = weakref.WeakSet()
"""Whose other ends must notice that this process is gone; so a fork of it must not hold them open."""


def forget_in_forks(*sockets: socket.socket) -> None:
    """A forked child of this process closes these."""
    for each in sockets:
        _sockets.add(each)


def _forked() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _shared.clear()
    for each in tuple(_sockets):
        each.close()


os.register_at_fork(after_in_child=_forked)
