"""The end of the interpreter, and fork.

No thread starts at import, and nothing here does anything before the first manager was made.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .engine import Engine

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_hooked: list[bool] = []


def watch(engine: Engine) -> None:
    """Sees that the engine is stopped gracefully when the interpreter exits, and refuses work in a forked child."""
    _engines.add(engine)
    if not _hooked:
        _hooked.append(True)
        _at_exit(_stop_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)


def _at_exit(fn: Callable[[], None]) -> None:
    # As concurrent.futures does: before the interpreter joins its threads. It is not public; plain atexit comes a
    # little later and is the next best.
    register = getattr(threading, "_register_atexit", atexit.register)
    register(fn)


def _stop_all() -> None:
    engines = [engine for engine in list(_engines) if not engine.forked]
    for engine in engines:
        engine.exiting = engine.pool_closed_by_waiter = True
        engine.request_stop("the interpreter exits")
    for engine in engines:
        engine.finish_at_exit()


def _forked() -> None:
    for engine in list(_engines):
        engine.forked = True
        engine.refusal = (
            f"task manager {engine.config.name!r} was inherited through fork: its threads exist in the parent only"
        )
        engine.closed = engine.must_admit = True
        # Whoever held a lock in the parent does not exist here.
        engine.counters.renew_locks()
        engine.inline.meter.lock = threading.RLock()
        engine.pool.renew_lock()
