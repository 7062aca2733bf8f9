"""The output of the children, as it comes: lines go to this process's own streams, log records to its loggers.

One thread for all children of a manager, ``<name>-output``. It runs handlers and streams of the user's; what those raise is
logged and counted, and the next line follows.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import selectors
import struct
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tasker.core.daemon import Daemon
from tasker.logs import GuardedLogger
from tasker.process.protocol.records import Frames
from tasker.process.protocol.shared_memory import closed_with
from tasker.remote.events import Told

_READ = 65536
_SIZE = struct.Struct("i")
_LONGEST = 1 << 20
"""Bytes from which on a line is shown though it has not ended."""


class _Lines:
    """The lines of one stream of one child."""

    def __init__(self, worker: str, stream: str) -> None:
        self._worker = worker
        self._stream = stream
        self._unread = b""

    def feed(self, read: bytes) -> None:
        *lines, self._unread = (self._unread + read).split(b"\n")
        if len(self._unread) > _LONGEST:
            lines, self._unread = [*lines, self._unread], b""
        self._show(lines)

    def end(self) -> None:
        if self._unread:
            self._show([self._unread])

    def _show(self, lines: list[bytes]) -> None:
        stream = getattr(sys, self._stream)
        if stream is None or not lines:
            return
        stream.write("".join(f"[{self._worker}] {line.decode(errors='replace')}\n" for line in lines))
        stream.flush()


class _Records:
    """The log records of one child. ``guarded`` calls what may raise; ``tell`` takes how far a task is."""

    def __init__(self, guarded: Callable[[Callable[[], object]], None], tell: Callable[[Told], object]) -> None:
        self._guarded = guarded
        self._tell = tell
        self._frames = Frames()

    def feed(self, read: bytes) -> None:
        for pickled in self._frames.feed(read):
            self._guarded(partial(_handle, pickled, self._tell))  # each by itself: the next may be in here too

    def end(self) -> None:
        pass


def _handle(pickled: bytes, tell: Callable[[Told], object]) -> None:
    state = pickle.loads(pickled)  # noqa: S301  from our own pipe
    if type(state) is tuple:
        tell(state)
        return
    record = logging.makeLogRecord(state)
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


class OutputReader:
    """See the module's docstring. Thread-safe."""

    def __init__(self, name: str, log: GuardedLogger) -> None:
        self._name = name
        self._log = log
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._new: list[tuple[int, _Lines | _Records]] = []
        self._ending = False
        self._thread: threading.Thread | None = None

    def pipes(self, worker: str, tell: Callable[[Told], object]) -> list[int]:
        """Makes three pipes, for output, errors and log records; returns their writing ends. ``tell`` takes how far a task is, in
        the thread of the reader. ``OSError`` if there are no descriptors left; then none is taken."""
        with ExitStack() as made:
            ends = [closed_with(made, os.pipe(), os.close) for _ in range(3)]
            made.pop_all()
        readers: tuple[_Lines | _Records, ...] = (
            _Lines(worker, "stdout"),
            _Lines(worker, "stderr"),
            _Records(self._guarded, tell),
        )
        with self._lock:
            self._new += [(read, reader) for (read, _), reader in zip(ends, readers, strict=True)]
            if self._thread is None:
                self._thread = Daemon(self._run, f"{self._name}-output")
                self._thread.start()
        os.write(self._wake, b"w")
        return [write for _, write in ends]

    def close(self) -> None:
        """Shows what is still in the pipes, and ends. The children are gone by now."""
        with self._lock:
            self._ending = True
            thread = self._thread
        os.write(self._wake, b"w")
        if thread is not None:
            thread.join()
        self._selector.close()
        os.close(self._wake)
        os.close(self._wake_read)

    def _run(self) -> None:
        while True:
            ready = self._selector.select()
            for key, _ in ready:
                if key.data is None:
                    os.read(key.fd, _READ)
                else:
                    self._read(key.fd, key.data)
            with self._lock:
                new, self._new = self._new, []
                ending = self._ending
            for fd, reader in new:
                os.set_blocking(fd, False)
                self._selector.register(fd, selectors.EVENT_READ, reader)
            if ending and not new:
                self._read_the_rest()
                return

    def _read(self, fd: int, reader: _Lines | _Records) -> int:
        """Reads once. Returns how many bytes it was; 0 where there is nothing now, or no more to come."""
        try:
            read = os.read(fd, _READ)
        except BlockingIOError:
            return 0
        self._guarded(partial(reader.feed, read) if read else reader.end)
        if not read:
            self._selector.unregister(fd)
            os.close(fd)
        return len(read)

    def _read_the_rest(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is None:
                continue
            # What the children have left is in there now. A process that one of them has started may write for ever.
            left = _unread(key.fd)
            while left > 0 and (read := self._read(key.fd, key.data)):
                left -= read
            if key.fd in self._selector.get_map():  # held open by such a process
                self._selector.unregister(key.fd)
                os.close(key.fd)
                self._guarded(key.data.end)

    def _guarded(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except BaseException as error:
            self._log.fault("showing the output of a child", error)


def _unread(pipe: int) -> int:
    """Returns how many bytes are in a pipe."""
    (size,) = _SIZE.unpack(fcntl.ioctl(pipe, termios.FIONREAD, bytes(_SIZE.size)))
    return int(size)
