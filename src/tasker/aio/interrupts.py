"""HeldInterrupts: holds Ctrl-C back for a moment that must not be left half-way, and SIGTERM, whose handler is often ``sys.exit``.

In the main thread, such a handler runs between any two calls, and most often raises ``KeyboardInterrupt`` there. In the
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
from signal import SIGINT, SIGTERM
from types import FrameType, TracebackType
from typing import Any

# What ``signal`` is made of: its own functions look their arguments up in enumerations, which costs microseconds.
_signal: Any = importlib.import_module("_signal")
_main_thread = threading.main_thread


_HELD = (SIGINT, SIGTERM)


class HeldInterrupts:
    """A context in which one SIGINT and one SIGTERM are held back; see the module's docstring. A second one gets to the handler at
    once: what runs may be code of the user's, and never end. Does nothing outside of the main thread. May be nested."""

    __slots__ = ("_formers", "_loop", "_noted")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._formers: dict[int, Any] = {}
        self._noted: list[int] = []

    def __enter__(self) -> None:
        if threading.get_ident() != _main_thread().ident:
            return
        for signum in _HELD:
            former = _signal.getsignal(signum)
            # Else the default, which ends the process, or nothing of Python's, which could not be put back.
            if callable(former):
                self._formers[signum] = former
                try:
                    _signal.signal(signum, self._note)
                except ValueError:  # in a subinterpreter, which gets no signals
                    del self._formers[signum]

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum in self._noted:
            self._formers[signum](signum, frame)
        else:
            self._noted.append(signum)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, former in self._formers.items():
            if _signal.getsignal(signum) == self._note:  # else code of the user's has installed another one meanwhile
                _signal.signal(signum, former)
        for signum in self._noted:
            self._hand_on(signum, self._formers[signum])

    def _hand_on(self, signum: int, former: Any) -> None:
        holder = getattr(former, "__self__", None)
        if self._loop.is_running() and type(holder) is not HeldInterrupts:  # else that one hands it on
            self._loop.call_soon(former, signum, None, context=contextvars.Context())
        else:
            former(signum, None)


def raise_in(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    """Has the loop raise what a signal handler has raised in a task of the library, which goes on."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        loop.call_soon(_raise, error, context=contextvars.Context())


def _raise(error: BaseException) -> None:
    raise error
