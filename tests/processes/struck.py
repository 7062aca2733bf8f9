"""A process that a task forks gets SIGTERM before it has run anything of its own. Children import this before they serve."""

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


def strike() -> None:
    """What a fast parent does, in the fork itself: it comes before whatever was to be done after the fork."""
    if armed.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


os.register_at_fork(after_in_child=strike)


def make() -> None:
    """For `on_create`, so that this module is imported with it."""


def fork_and_strike(ctx: Any, thing: Any) -> int | None:
    """How the fork ended; None if it did not."""
    process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
    armed.set()
    process.start()
    armed.clear()
    process.join(WAIT)
    if process.is_alive():
        process.kill()
        return None
    return process.exitcode
