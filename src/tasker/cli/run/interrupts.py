"""Signals: the first stops gracefully, the second kills, the third leaves at once.

They are taken from ``signal.set_wakeup_fd`` by a thread, and not in their handlers: a handler is called between two bytecodes of
the main thread, and a signal that comes just before that thread begins to wait for a lock (in `stop`, say) would be noticed
with the next signal only. The interpreter writes to the descriptor at once, whatever the main thread does.

The kill has a thread of its own, so that a third signal is heard meanwhile.
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
        self._pipe: tuple[int, int] | None = None
        self._previous_fd = -1
        self._listener = threading.Thread(target=self._listen, name="tasker-signals", daemon=True)
        self._killer = threading.Thread(target=self._obey, name="tasker-kill", daemon=True)

    @property
    def exit_code(self) -> int | None:
        return None if self.signum is None else after_signal(self.signum)

    @property
    def name(self) -> str:
        return signal.Signals(self.signum).name if self.signum is not None else ""

    def __enter__(self) -> Self:
        self._killer.start()
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)  # demanded of a wakeup descriptor
            self._previous_fd = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            for signum in (signal.SIGINT, signal.SIGTERM):
                # Ignored from outside (nohup, a shell's `&`) stays ignored.
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._previous[signum] = signal.signal(signum, _nothing)
            self._listener.start()
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
        if self._pipe is not None:
            signal.set_wakeup_fd(self._previous_fd)
            os.close(self._pipe[1])  # which ends the listener

    def _listen(self) -> None:
        assert self._pipe is not None
        while arrived := os.read(self._pipe[0], 64):
            for signum in arrived:
                if signum in self._previous:
                    self._take(signum)
        os.close(self._pipe[0])

    def _take(self, signum: int) -> None:
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


def _nothing(signum: int, frame: FrameType | None) -> None:
    """Only so that a signal does not end the process, nor raise ``KeyboardInterrupt``."""
