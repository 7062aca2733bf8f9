"""HeldInterrupts: holds Ctrl-C back for a moment that must not be left half-way, and SIGTERM, whose handler is often ``sys.exit``.

In the main thread, their handlers run between any two calls, and often raise ``KeyboardInterrupt`` or ``SystemExit`` there. In the
midst of an event that would lose the rest of it: a worker that is counted and was never started, a task that was claimed and has
no way to its outcome. So the signal is noted meanwhile, and the loop hands it to its handler in its next turn. What it
raises there ends the loop, and strikes none of its tasks: an error that strikes a worker costs that worker.

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
_OF_LOOPS = ("_sighandler_noop", "_Loop__sighandler")
"""The names of the handlers that asyncio and uvloop install for ``add_signal_handler``."""


class HeldInterrupts:
    """A context in which one SIGINT and one SIGTERM are held back; see the module's docstring. A second one gets to the handler at
    once: what runs may be code of the user's, and never end. Does nothing outside of the main thread. May be nested."""

    __slots__ = ("_formers", "_loop", "_noted", "_over")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._formers: dict[int, Any] = {}
        self._noted: list[int] = []
        self._over = False

    def __enter__(self) -> None:
        if threading.get_ident() != _main_thread().ident:
            return
        try:
            for signum in _HELD:
                self._hold(signum)
        except BaseException:  # by a handler that was not held back yet
            self._end()
            raise

    def _hold(self, signum: int) -> None:
        former = _signal.getsignal(signum)
        # Else the default, which ends the process, or nothing of Python's, which could not be put back; or that of a loop for
        # ``add_signal_handler``, which raises nothing, and would lose its SA_RESTART.
        if callable(former) and getattr(former, "__name__", None) not in _OF_LOOPS:
            self._formers[signum] = former
            try:
                _signal.signal(signum, self._note)
            except ValueError:  # in a subinterpreter, which gets no signals
                del self._formers[signum]

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._over or signum in self._noted:
            self._formers[signum](signum, frame)
        else:
            self._noted.append(signum)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._over = True  # code of the user's that has saved this handler may install it again
        try:
            self._put_back()
        except BaseException:
            self._put_back()  # the rest, which another signal has kept from it
            raise
        finally:
            for signum in self._noted:
                self._hand_on(signum, self._formers[signum])

    def _put_back(self) -> None:
        for signum, former in self._formers.items():
            if _signal.getsignal(signum) == self._note:  # else code of the user's has installed another one meanwhile
                _signal.signal(signum, former)

    def _hand_on(self, signum: int, former: Any) -> None:
        holder = getattr(former, "__self__", None)
        if self._loop.is_running() and type(holder) is not HeldInterrupts:  # else that one hands it on
            self._loop.call_soon(former, signum, None, context=contextvars.Context())
        else:
            former(signum, None)


def raise_in(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    """Has the loop raise, in its next turn, an error that a signal handler raised in a task of the library. That task goes on.
    Other errors are ignored."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        loop.call_soon(_raise, error, context=contextvars.Context())


def _raise(error: BaseException) -> None:
    raise error
