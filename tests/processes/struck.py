"""A process that a task forks gets a signal before it has run anything of its own. Children import this before they serve."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

from support.waiting import WAIT

armed = threading.Event()
"""Whether the next fork is struck."""
signum: int = signal.SIGTERM
"""By which signal."""


def strike() -> None:
    """What a fast parent does, in the fork itself: it comes before whatever was to be done after the fork."""
    if armed.is_set():
        os.kill(os.getpid(), signum)


os.register_at_fork(after_in_child=strike)


def make() -> None:
    """For `on_create`, so that this module is imported with it."""


def fork_and_strike(ctx: Any, thing: Any, by: int) -> int | None:
    """How the fork ended; None if it did not."""
    global signum  # noqa: PLW0603  read by the fork
    signum = by
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    armed.set()
    process.start()
    armed.clear()
    process.join(WAIT)
    if process.is_alive():
        process.kill()
        return None
    return process.exitcode
