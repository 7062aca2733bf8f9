"""HeldInterrupts: holds Ctrl-C back for a moment that must not be left half-way.

In the main thread, the handler of SIGINT runs between any two calls, and most often raises ``KeyboardInterrupt`` there. In the
midst of an event that would lose the rest of it: a worker that is counted and was never started, a task that was claimed and has
no way to its outcome. So the signal is noted meanwhile, and the loop hands it to its handler in its next turn. A
``KeyboardInterrupt`` ends the loop from there, in none of its tasks: one that strikes a worker costs that worker.

Rejected: to block the signal. Another thread receives it then, and the handler runs in the main thread all the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import threading
from signal import SIGINT
from types import FrameType, TracebackType
from typing import Any

# What ``signal`` is made of: its own functions look their arguments up in enumerations, which costs microseconds.
_signal: Any = importlib.import_module("_signal")
_main_thread = threading.main_thread


class HeldInterrupts:
    """A context in which one SIGINT is held back; see the module's docstring. A second one gets to the handler at once: what runs
    may be code of the user's, and never end. Does nothing outside of the main thread. May be nested."""

    __slots__ = ("_former", "_loop", "_noted")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._former: Any = None
        self._noted = False

    def __enter__(self) -> None:
        if threading.get_ident() != _main_thread().ident:
            return
        former = _signal.getsignal(SIGINT)
        # Else the default, which ends the process, or nothing of Python's, which could not be put back.
        if callable(former):
            self._former = former
            try:
                _signal.signal(SIGINT, self._note)
            except ValueError:  # in a subinterpreter, which gets no signals
                self._former = None

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._noted:
            self._former(signum, frame)
        self._noted = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        former = self._former
        if former is None:
            return
        if _signal.getsignal(SIGINT) == self._note:  # else code of the user's has installed another one meanwhile
            _signal.signal(SIGINT, former)
        if not self._noted:
            return
        holder = getattr(former, "__self__", None)
        if self._loop.is_running() and type(holder) is not HeldInterrupts:  # else that one hands it on
            self._loop.call_soon(former, SIGINT, None, context=contextvars.Context())
        else:
            former(SIGINT, None)
