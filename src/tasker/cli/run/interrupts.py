"""Signals: the first stops gracefully, the second kills, the third leaves at once.

A handler runs between any two bytecodes of the main thread, which may hold any lock just then.
So it only counts and puts into SimpleQueues. What must happen although the main thread is stuck
(in a write to a pipe that nobody reads, in `stop`) is done by a thread that waits for orders.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from tasker.cli.exits import after_signal

LAST_CHANCE_S = 2.0


class Interrupts:
    """Context manager. `kill` is called from another thread, at the second signal."""

    def __init__(self, wake: Callable[[], None], kill: Callable[[], object]) -> None:
        self.count: int = 0
        self.signum: int | None = None
        self._wake = wake
        self._kill = kill
        self._orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._over = threading.Event()
        self._previous: dict[int, Any] = {}
        self._killer = threading.Thread(target=self._obey, name="tasker-signals", daemon=True)

    @property
    def exit_code(self) -> int | None:
        return None if self.signum is None else after_signal(self.signum)

    @property
    def name(self) -> str:
        return signal.Signals(self.signum).name if self.signum is not None else ""

    def __enter__(self) -> Self:
        self._killer.start()
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                # Ignored from outside (nohup, a shell's `&`) stays ignored.
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._previous[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._over.set()
        self._orders.put(False)
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.signum is None:
            self.signum = signum
        if self.count == 2:
            self._orders.put(True)
        elif self.count > 2:
            os._exit(after_signal(self.signum))
        self._wake()

    def _obey(self) -> None:
        if not self._orders.get():
            return
        self._kill()
        if not self._over.wait(LAST_CHANCE_S):
            os._exit(after_signal(self.signum or signal.SIGINT))
