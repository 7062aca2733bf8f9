"""Ends managers when the interpreter exits, and disables them in a forked child.

Importing this module has no effect: the hooks are installed with the first manager.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from typing import Protocol


class ExitingEngine(Protocol):
    """The part of an engine that exit and fork use."""

    def begin_exit(self) -> None:
        """Begins a graceful stop, during which workers may not get a thread any more."""

    def finish_at_exit(self) -> None:
        """Waits for the end of the engine."""

    def forked(self) -> None:
        """Refuses all work from now on. Called in a forked child."""

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one in which the engine was made."""
        ...


# Weak: the hooks, which are never removed, must not keep an engine alive that has ended.
_engines: weakref.WeakSet[ExitingEngine] = weakref.WeakSet()
_hooked: list[bool] = []


def register(engine: ExitingEngine) -> None:
    """Has the engine stop gracefully when the interpreter exits, and refuse work in a forked child."""
    _engines.add(engine)
    if not _hooked:
        _hooked.append(True)
        _at_exit(_stop_all)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)


def _at_exit(fn: Callable[[], None]) -> None:
    # As concurrent.futures does it: called before the interpreter joins its threads, while daemon threads still run.
    # The function is not public; plain ``atexit`` comes a little later and is the next best.
    hook = getattr(threading, "_register_atexit", atexit.register)
    hook(fn)


def _stop_all() -> None:
    engines = [engine for engine in list(_engines) if not engine.is_forked]
    # All of them begin before the first one is waited for, so that they end at the same time.
    for engine in engines:
        engine.begin_exit()
    for engine in engines:
        engine.finish_at_exit()


def _forked() -> None:
    for engine in list(_engines):
        engine.forked()
