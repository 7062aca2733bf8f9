"""The process that starts the children: started once, it imports what they will need, and forks.

A process with threads must not fork: what their locks guard stays locked in the child. So this one, which has no threads,
forks for the one that has them. The child has what was imported here without importing it, so it is ready in milliseconds.
For ``spawn`` it starts a new interpreter instead. Either way it reports each start and how each child ended.

Requests come through one inherited pair of sockets, with the descriptors that the child is to have; it listens nowhere and
reads no pickle. When the parent's end is closed, the parent is gone or does not need it any more: it gives the children,
which notice that by themselves, a moment, kills those that are left, and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import selectors
import signal
import socket
import struct
import time
import traceback
from collections.abc import Iterator

from .interpreter import command
from .protocol.sockets import QUIETLY
from .terminals import OF_TERMINALS, heed_no_terminal

REQUEST: struct.Struct = struct.Struct("<QBd")
"""The child's number, the way to start it, and the seconds that it gives itself when the parent is gone."""
REPORT: struct.Struct = struct.Struct("<QBqq")
"""The child's number, what happened, its process id, its status as ``os.waitstatus_to_exitcode`` gives it."""
FORK, SPAWN = range(2)
STARTED, ENDED, NOT_STARTED = range(3)
CHILD_FDS = 8
"""Descriptors of a child. One more leads to the resource tracker of ``multiprocessing``, if the parent uses it."""
FROZEN = "TASKER_FORK_SERVER_OF_A_FROZEN_PROGRAM"
"""A variable of the environment: set while a frozen program starts itself as the fork server."""
_NEEDED = (signal.SIGCHLD, signal.SIGALRM, signal.SIGTERM, signal.SIGURG)
"""Signals that this process needs, or its children."""
_EXTRA = 2.0
"""Seconds that a child has beyond those that it gives itself when the parent is gone."""
_CHECK_INTERVAL = 0.5
"""Seconds between two checks whether the parent is still there, while modules are imported."""


@contextlib.contextmanager
def _watching(parent: socket.socket) -> Iterator[None]:
    """Ends this process if the parent closes its end meanwhile: an import may take for ever."""
    poll = select.poll()
    poll.register(parent, 0)  # a hangup is reported in any case, even behind requests that were not read

    def check(*_: object) -> None:
        if poll.poll(0):
            os._exit(1)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, _CHECK_INTERVAL, _CHECK_INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


class ForkServer:
    """See the module's docstring."""

    def __init__(self, parent: socket.socket, preload: list[str]) -> None:
        self._parent = parent
        self._preload = preload
        self._children: dict[int, tuple[int, float]] = {}
        """By process id: number and grace."""
        self._wakeup, signal_end = socket.socketpair()
        for end in (self._wakeup, signal_end):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(signal_end.fileno(), warn_on_full_buffer=False)
        self._signal_end = signal_end

    def run(self) -> None:
        """Serves until the parent is gone."""
        with _watching(self._parent):
            for name in self._preload:
                try:
                    importlib.import_module(name)
                except (Exception, SystemExit):
                    traceback.print_exc()
        gc.collect()
        gc.freeze()  # the collector of a forked child then does not touch, and so copy, these pages
        with selectors.DefaultSelector() as selector:
            selector.register(self._parent, selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            while True:
                if not self._look(selector):
                    self._end()
                    return
                self._reap()

    def _look(self, selector: selectors.BaseSelector) -> bool:
        """Waits for something to do, and answers what the parent asks for. Returns False once the parent is gone."""
        for key, _ in selector.select():
            if key.fileobj is self._wakeup:
                self._wakeup.recv(4096)
            elif not self._serve():
                return False
        return True

    def close(self) -> None:
        """Closes what it has opened."""
        signal.set_wakeup_fd(-1)
        for end in (self._parent, self._wakeup, self._signal_end):
            end.close()

    def _serve(self) -> bool:
        try:
            request, fds, _, _ = socket.recv_fds(self._parent, REQUEST.size, CHILD_FDS + 1)
        except ConnectionError:
            return False
        if len(request) < REQUEST.size:
            return False
        number, how, grace = REQUEST.unpack(request)
        try:
            pid = self._fork(fds) if how == FORK else self._spawn(fds)
        except OSError as error:
            self._report(number, NOT_STARTED, 0, error.errno or 0)
        else:
            self._children[pid] = number, grace
            self._report(number, STARTED, pid, 0)
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, fds: list[int]) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            self.close()
            gc.unfreeze()
            from tasker.process.child import exits  # noqa: PLC0415  already imported, see ``main``
            from tasker.process.child import main as child  # noqa: PLC0415  the same

            exits.begin_multiprocessing()
            status = child.run(fds)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else error.code is not None
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    @staticmethod
    def _spawn(fds: list[int]) -> int:
        arguments, start = command("tasker.process.child.main", fds)
        try:
            for fd in (*fds, start):
                os.set_inheritable(fd, True)
            # Its interpreter would end by them before it has handlers.
            held = {*signal.pthread_sigmask(signal.SIG_BLOCK, ()), *OF_TERMINALS}
            return os.posix_spawn(arguments[0], arguments, os.environ, setsigmask=held)
        finally:
            os.close(start)

    def _reap(self, options: int = os.WNOHANG) -> None:
        while self._children:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._children.pop(pid, None)
            if child is not None:  # else: of a module that was preloaded
                self._report(child[0], ENDED, pid, os.waitstatus_to_exitcode(status))

    def _report(self, number: int, what: int, pid: int, status: int) -> None:
        try:
            self._parent.sendall(REPORT.pack(number, what, pid, status), QUIETLY)
        except OSError:  # the parent is gone, which the next reading shows
            pass

    def _end(self) -> None:
        begin = time.monotonic()
        while self._children:
            for pid, (_, grace) in self._children.items():
                if time.monotonic() > begin + grace + _EXTRA:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)  # there is no wait for several children with a time limit
            self._reap()


def main(fd: int, preload: list[str]) -> None:
    """The program of the fork server."""
    os.environ.pop(FROZEN, None)
    # Signals of a terminal reach all of its processes, SIGTERM all of a service (systemd): the parent decides. Its children live on
    # while it finishes its tasks, and it needs this process for that.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    heed_no_terminal()
    # The thread that has started this process may block them, as programs do that wait for signals in another thread.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NEEDED)
    from tasker.process.child import main as _  # noqa: F401, PLC0415  inherited by the children

    # It came as one to inherit. A child that had it as well would keep the parent from noticing this one's death.
    os.set_inheritable(fd, False)
    server = ForkServer(socket.socket(fileno=fd), preload)
    try:
        server.run()
    finally:
        server.close()
