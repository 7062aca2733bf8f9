"""The ends of a child, and of what its tasks have forked off it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


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


def end_multiprocessing() -> None:
    """Does what ``multiprocessing`` does when a program exits: ends daemonic processes, waits for others, and closes queues
    and pools. ``os._exit`` does none of that."""
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    try:
        util._exit_function()
    except BaseException:  # the child ends all the same
        sys.excepthook(*sys.exc_info())


def flush_streams() -> None:
    """Flushes standard output and standard error, wherever they go."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass
