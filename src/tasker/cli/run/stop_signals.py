"""Signals: the first stops gracefully, the second kills, the third leaves at once.

They are heard in a thread of their own (``tasker.wakeup``), as the main thread may be stuck: in a write to a pipe that nobody reads,
or in `stop`. The kill has another thread, so that a third signal is heard meanwhile.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tasker.cli.exit_codes import after_signal
from tasker.threads.signal_listener import SignalListener

EXIT_GRACE_S = 2.0


class StopSignals:
    """Context manager. `kill` is called from another thread, at the second signal."""

    def __init__(self, wake: Callable[[], None], kill: Callable[[], object]) -> None:
        self.count: int = 0
        self.signum: int | None = None
        self._wake = wake
        self._kill = kill
        self._kill_requests: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._listener: SignalListener | None = None
        self._killer = threading.Thread(target=self._kill_when_requested, name="tasker-kill", daemon=True)

    @property
    def exit_code(self) -> int | None:
        return None if self.signum is None else after_signal(self.signum)

    @property
    def name(self) -> str:
        return signal.Signals(self.signum).name if self.signum is not None else ""

    def __enter__(self) -> Self:
        self._killer.start()
        if threading.current_thread() is threading.main_thread():
            # Ignored from outside (nohup, a shell's `&`) stays ignored.
            signums = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
            self._listener = SignalListener(signums, self._take)
            self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._kill_requests.put(False)
        if self._listener is not None:
            self._listener.close()

    def _take(self, signum: int) -> None:
        self.count += 1
        if self.signum is None:
            self.signum = signum
        if self.count == 2:
            self._kill_requests.put(True)
        elif self.count > 2:
            os._exit(after_signal(self.signum))
        self._wake()

    def _kill_when_requested(self) -> None:
        if not self._kill_requests.get():
            return
        self._kill()
        if not self._ended.wait(EXIT_GRACE_S):
            os._exit(after_signal(self.signum or signal.SIGINT))
