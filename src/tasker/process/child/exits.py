"""The ends of a child, and of what its tasks have forked off it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import NoReturn

ENDINGS = (signal.SIGTERM, signal.SIGHUP)
"""The signals by which others end a child, or what it has forked."""


class HeldEndings(threading.local):
    """Holds the signals that end a child back while this thread forks.

    The fork has the handler of its child at first, and forgets whatever came before it begins to run Python code. So one
    that comes at once, as from ``multiprocessing`` that ends a daemonic process, would not end it.
    """

    def __init__(self) -> None:
        self._before: set[int | signal.Signals] = set()

    def hold(self) -> None:
        """Before the fork."""
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)

    def release(self) -> None:
        """After it, in both processes."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


def leave_copy() -> NoReturn:
    """Ends a fork of the child in which the user's code has returned, or raises."""
    error = sys.exc_info()[1]
    status = 0
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else error.code is not None
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    flush_streams()
    os._exit(status)


def begin_multiprocessing() -> None:
    """Has ``multiprocessing`` forget what the process that has forked this one would have to end, and how."""
    util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
    if util is not None and process is not None:
        util._finalizer_registry.clear()
        process._children.clear()
    executors = sys.modules.get("concurrent.futures.process")
    if executors is not None:
        executors._threads_wakeups.clear()


def end_multiprocessing() -> None:
    """Does what ``multiprocessing`` does when a program exits: ends daemonic processes, waits for others, and closes queues
    and pools. ``os._exit`` does none of that. Before it, as in a program, ``ProcessPoolExecutor``s that were left open are
    made to end their processes, for which it would wait."""
    for name, function in (("concurrent.futures.process", "_python_exit"), ("multiprocessing.util", "_exit_function")):
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            getattr(module, function)()
        except BaseException:  # the child ends all the same
            sys.excepthook(*sys.exc_info())


def flush_streams() -> None:
    """Flushes standard output and standard error, wherever they go."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
