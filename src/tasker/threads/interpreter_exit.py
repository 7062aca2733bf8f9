"""Ends managers when the interpreter exits.

Importing this module has no effect: the hook is installed with the first manager.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from typing import Protocol


class ExitingEngine(Protocol):
    """The part of an engine that exit uses."""

    def begin_exit(self) -> None:
        """Begins a graceful stop, during which workers may not get a thread any more."""

    def finish_at_exit(self) -> None:
        """Waits for the end of the engine."""

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one in which the engine was made."""
        ...


# Weak: the hook, which is never removed, must not keep an engine alive that has ended.
_engines: weakref.WeakSet[ExitingEngine] = weakref.WeakSet()
_unhooked = [True]
"""Emptied by the thread that installs the hook: of several, one can."""


def register(engine: ExitingEngine) -> None:
    """Has the engine stop gracefully when the interpreter exits."""
    _engines.add(engine)
    try:
        _unhooked.pop()
    except IndexError:
        return
    _at_exit(_stop_all)


def _at_exit(fn: Callable[[], None]) -> None:
    # As concurrent.futures does it: called before the interpreter joins its threads, while daemon threads still run.
    # The function is not public; plain ``atexit`` comes a little later and is the next best.
    hook = getattr(threading, "_register_atexit", atexit.register)
    hook(fn)


def _stop_all() -> None:
    # ``copy`` of what is inside, which is one step: another thread may start a manager meanwhile.
    engines = [engine for known in _engines.data.copy() if (engine := known()) is not None and not engine.is_forked]  # type: ignore[attr-defined]
    # All of them begin before the first one is waited for, so that they end at the same time.
    for engine in engines:
        engine.begin_exit()
    for engine in engines:
        engine.finish_at_exit()
