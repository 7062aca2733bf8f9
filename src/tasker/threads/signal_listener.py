"""Signals, heard at once and in a thread of their own.

CPython calls a signal's handler between two byte codes of the main thread. A signal that comes just before that thread
begins to wait for a lock, or that the system hands to another thread, does not end that wait: the handler is called when the
wait is over, which may be never. But the interpreter writes the signal's number to ``signal.set_wakeup_fd`` as it arrives,
whatever the main thread does. So that is where a signal is taken from, and the handler does nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any


class SignalListener:
    """Calls ``heard(signum)`` in its own thread for each of the signals, from ``start`` to ``close``; both in the main
    thread. Whoever had the wakeup descriptor before still gets every number."""

    def __init__(self, signums: Iterable[int], received: Callable[[int], object]) -> None:
        self._signums = tuple(signums)
        self._received = received
        self._handlers: dict[int, Any] = {}
        self._reading = self._writing = self._former = -1
        self._thread = threading.Thread(target=self._listen, name="tasker-signals", daemon=True)

    def start(self) -> None:
        """Takes the signals."""
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)  # demanded of a wakeup descriptor
        self._former = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        try:
            for signum in self._signums:
                self._handlers[signum] = signal.signal(signum, _nothing)
            self._thread.start()
        except BaseException:
            self._restore()
            os.close(self._reading)
            raise

    def close(self) -> None:
        """Gives the signals back, after all that came have been heard."""
        self._restore()
        self._thread.join()
        os.close(self._reading)

    def _restore(self) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._former)
        os.close(self._writing)  # which ends the thread, once it has read what is there

    def _listen(self) -> None:
        while arrived := os.read(self._reading, 64):
            if self._former >= 0:
                _pass_on(self._former, arrived)
            for signum in arrived:
                if signum in self._handlers:
                    self._received(signum)


def _pass_on(descriptor: int, arrived: bytes) -> None:
    try:
        os.write(descriptor, arrived)
    except OSError:  # full, or closed: as where the interpreter writes
        pass


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Only so that a signal neither ends the process nor raises ``KeyboardInterrupt``."""
