"""The fork server as its parent sees it: one for each choice of ``preload``, shared by the managers that are open.

One thread, ``tasker-fork-server``, reads its reports and hands them to the objects of the children. No user code runs in it.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from io import FileIO
from typing import Any

from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.errors import ResourceError
from tasker.process.fork_server import CHILD_FDS, ENDED, FORK, FROZEN, REPORT, REQUEST, SPAWN, STARTED
from tasker.process.interpreter import command
from tasker.process.protocol.sockets import send_files, socket_pair
from tasker.process.terminals import OF_TERMINALS

FORK_SERVER_LOST = 1 << 32
"""In place of a status: the fork server, which would have known it, was killed."""

_PATIENCE = 5.0
"""Seconds that a fork server has to end."""


class SpawnedChild:
    """A child that was asked for: its process id once it is started, its status once it has ended."""

    def __init__(self, on_end: Callable[[int], object]) -> None:
        self.pid: int = 0
        self.status: int | None = None
        self.failure: int = 0
        """Why it was not started: an ``errno``."""
        self._on_end = on_end
        self.settled: Flag = Flag()
        """Set once it is known whether it was started."""
        self.ended: Flag = Flag()

    def end(self, status: int) -> None:
        """Notes that it is gone."""
        self.status = status
        self.ended.set()
        self.settled.set()
        self._on_end(status)

    def kill(self) -> None:
        """Ends the child at once. One that is not started yet is not waited for any longer, and is ended when it is."""
        if not self.settled.is_set():
            self.failure = errno.ECANCELED
            self.settled.set()
        # ``failure`` first, then ``pid``. The thread that reads reports sets ``pid`` first and then looks at
        # ``failure``. So at least one of the two sees what the other did, and sends the signal.
        if self.pid and self.status is None:
            send_signal(self.pid, signal.SIGKILL)


class ForkServerClient:
    """Starts a fork server and talks to it. Thread-safe."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        frozen = getattr(sys, "frozen", False)
        if frozen and FROZEN in os.environ:  # it was to be the fork server, and has gone on as the program
            raise ResourceError("a frozen program must call multiprocessing.freeze_support() before anything else")
        ours, theirs = socket_pair()
        self._socket = ours
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._children: dict[int, SpawnedChild] = {}
        self.dead: bool = False
        self._closed = False
        _ends.add(ours)
        self._thread = Daemon(self._listen, "tasker-fork-server")
        with ExitStack() as undone:
            undone.callback(ours.close)
            with theirs:
                self._process = _started(theirs.fileno(), preload, {**os.environ, FROZEN: "1"} if frozen else None)
            undone.callback(self._process.wait)
            undone.callback(self._process.kill)
            self._thread.start()
            undone.pop_all()

    @property
    def pid(self) -> int:
        """The process id of the fork server."""
        return self._process.pid

    @property
    def stopped(self) -> bool:
        """Whether the fork server was stopped (SIGSTOP), and so reports nothing."""
        if not hasattr(os, "waitid"):
            return False
        try:
            return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # it is gone
            return False

    def start(self, spawned: SpawnedChild, fds: list[int], spawn: bool, grace: float) -> None:
        """Asks for a child, and waits until it is started.

        It inherits ``fds``, and ends by itself ``grace`` seconds after this process at the latest. Raises
        ``ResourceError`` if the fork server is gone, ``OSError`` if it could not start the child.
        """
        assert len(fds) == CHILD_FDS
        with self._lock:
            if self.dead:
                raise ResourceError("the process that starts children was killed")
            number = next(self._numbers)
            self._children[number] = spawned
            try:
                request = REQUEST.pack(number, SPAWN if spawn else FORK, grace)
                send_files(self._socket, request, [*fds, *_tracker_fds()])
            except OSError as error:
                del self._children[number]
                if not isinstance(error, ConnectionError):  # the kernel takes no more descriptors on their way
                    raise
                self.dead = True
                raise ResourceError("the process that starts children was killed") from None
        spawned.settled.wait()
        if spawned.failure:
            raise OSError(spawned.failure, f"no child process could be started: {os.strerror(spawned.failure)}")

    def _listen(self) -> None:
        unread = b""
        while True:
            try:
                read = self._socket.recv(4096)
            except OSError:
                read = b""
            if not read:
                break
            unread += read
            while len(unread) >= REPORT.size:
                report, unread = REPORT.unpack_from(unread), unread[REPORT.size :]
                self._guarded(partial(self._handle, *report))
        with self._lock:
            self.dead = True
            children, self._children = self._children, {}
        for spawned in children.values():
            self._guarded(partial(self._end_unwatched, spawned))

    def _guarded(self, call: Callable[[], object]) -> None:
        """Without this thread, nothing that waits for the start or the end of a child would ever hear of it."""
        try:
            call()
        except BaseException:  # no memory, say
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))

    def _handle(self, number: int, what: int, pid: int, status: int) -> None:
        spawned = self._children.get(number)
        if spawned is None:
            return
        if what == STARTED:
            spawned.pid = pid
            if spawned.failure:
                spawned.kill()
        else:
            with self._lock:
                del self._children[number]
            if what == ENDED:
                spawned.end(status)
                return
            spawned.failure = status
        spawned.settled.set()

    @staticmethod
    def _end_unwatched(spawned: SpawnedChild) -> None:
        """Ends a child whose end no fork server would report any more."""
        if spawned.pid:
            send_signal(spawned.pid, signal.SIGKILL)
        else:
            spawned.failure = errno.ESRCH
        spawned.end(FORK_SERVER_LOST)

    def close(self) -> None:
        """Ends the fork server, and waits for it. Harmless when repeated."""
        with self._lock:
            if self._closed:
                return
            self._closed = self.dead = True
            unanswered = any(not spawned.pid for spawned in self._children.values())
        self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(0 if unanswered or self.stopped else _PATIENCE)
        except subprocess.TimeoutExpired:  # an import that does not end, or it was stopped
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._thread:  # it is, where a child's death closes the last session
            self._thread.join()
        self._socket.close()


def _started(fd: int, preload: tuple[str, ...], environment: dict[str, str] | None) -> subprocess.Popen[bytes]:
    """Starts a fork server, which is given this end of the connection."""
    arguments, start = command("tasker.process.fork_server", fd, list(preload))
    # Its interpreter would end by them before it has handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, OF_TERMINALS)
    try:
        return subprocess.Popen(  # noqa: S603
            arguments, stdin=subprocess.DEVNULL, pass_fds=[fd, start], env=environment
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(start)


def _tracker_fds() -> list[int]:
    """Returns what leads to the resource tracker of this process, if it uses ``multiprocessing.SharedMemory``: a child that
    attaches one then registers it there."""
    if "multiprocessing.shared_memory" not in sys.modules:
        return []
    from multiprocessing import resource_tracker  # noqa: PLC0415  loaded already

    fd = resource_tracker.getfd()
    return [] if fd is None else [fd]


def send_signal(pid: int, number: int) -> None:
    """Sends a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# -- sharing --------------------------------------------------------------------------------------------------------------

_lock = threading.Lock()
_shared: dict[tuple[str, ...], tuple[ForkServerClient, int]] = {}


def acquire_client(preload: tuple[str, ...]) -> ForkServerClient:
    """Returns the fork server that has imported these modules, started if there is none. To be given back."""
    with _lock:
        client, users = _shared.get(preload, (None, 0))
        if client is None or client.dead:
            client, users = ForkServerClient(preload), 0
        _shared[preload] = client, users + 1
        return client


def give_back(preload: tuple[str, ...], client: ForkServerClient) -> None:
    """Gives a fork server back; the last user's giving back ends it."""
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

_ends: weakref.WeakSet[Any] = weakref.WeakSet()
"""Their other ends must notice that this process is gone, so a fork of it must not hold them open."""


def forget_in_forks(*ends: socket.socket | FileIO) -> None:
    """Has a fork of this process close these."""
    for each in ends:
        _ends.add(each)


def _forked() -> None:
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _shared.clear()
    for each in tuple(_ends):
        each.close()


os.register_at_fork(after_in_child=_forked)
