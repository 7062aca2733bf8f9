"""The output of a child: standard output, standard error and ``logging``, through three pipes to its parent."""

from __future__ import annotations

import codecs
import logging
import logging.handlers
import os
import pickle
import sys
import threading
from contextlib import suppress
from typing import Any

from tasker.process.protocol.records import pieces


class PipeHandler(logging.handlers.QueueHandler):
    """Sends records through a pipe, as ``QueueHandler`` sends them through a queue."""

    def __init__(self, fd: int, worker: str) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._fd = fd
        self._worker = worker
        self._write_lock = threading.Lock()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        record.processName = self._worker
        state = record.__dict__
        try:
            pickled = pickle.dumps(state, 5)
        except Exception:  # extras that can't travel
            pickled = pickle.dumps({key: value for key, value in state.items() if _plain(value)}, 5)
        with self._write_lock:
            self._write(pickled)

    def tell(self, report: object) -> None:
        """Writes a small report that is no record, unless a record is being written."""
        # Not a wait for the lock: a signal handler may be what calls this, in the middle of a record.
        if self._write_lock.acquire(blocking=False):
            try:
                self._write(pickle.dumps(report, 5))
            finally:
                self._write_lock.release()

    def _write(self, frame: bytes) -> None:
        for piece in pieces(frame, os.getpid()):
            os.write(self._fd, piece)

    def forked(self) -> None:
        """In a process that a task has forked: a thread that does not exist here may have held the lock."""
        self._write_lock = threading.Lock()


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | type(None)) or value == ()


def _print_utf8(stream: Any) -> None:
    """Has a stream write UTF-8, as the parent reads it, whatever the locale."""
    if codecs.lookup(stream.encoding).name != "utf-8":
        # It raises after the change: it asks for the position in what was a file when the stream was made, and is a pipe now.
        with suppress(OSError):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


_pipes: dict[int, os.stat_result] = {}
"""The pipes, by the standard descriptors that lead there."""


def redirect_output(pipes: list[int], worker: str, levels: dict[str, int]) -> PipeHandler:
    """Redirects standard output, standard error and log records into these pipes. Returns what writes to the last one."""
    out, err, log = pipes
    for pipe, standard in ((out, 1), (err, 2)):
        os.dup2(pipe, standard, inheritable=True)
        os.close(pipe)
        _pipes[standard] = os.fstat(standard)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not what a preloaded module may have put there
            stream.reconfigure(line_buffering=True)
            _print_utf8(stream)
    logging.raiseExceptions = False  # where the parent is gone no stream is left to report to
    root = logging.getLogger()
    root.handlers[:] = [handler := PipeHandler(log, worker)]
    os.register_at_fork(after_in_child=handler.forked)
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)
    return handler


def outlive_parent() -> None:
    """Lets what is printed from here on go nowhere: the parent, which has read it, is gone. Else ``on_destroy`` would end at the
    first line that it prints."""
    for standard, pipe in _pipes.items():
        with suppress(OSError):  # it was closed
            if not os.path.samestat(os.fstat(standard), pipe):
                continue  # the user's by now
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, standard, inheritable=True)
            os.close(nowhere)
