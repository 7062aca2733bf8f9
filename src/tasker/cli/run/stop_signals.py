"""SIGINT and SIGTERM: the first stops the run gracefully, the second kills it, the third exits at once."""

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

from .progress import show_cursor

EXIT_GRACE_S = 2.0


class StopSignals:
    """Context manager that receives the signals. `wake` is called after each of them, in the listener's thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.count: int = 0
        self.signum: int | None = None
        self.kill: Callable[[], object] = bool
        """Called once, after the second signal, in another thread. Does nothing until there is something to kill."""
        self._wake = wake
        self._kill_requests: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._listener: SignalListener | None = None
        # A thread of its own, so that a third signal is received while the kill is under way.
        self._killer = threading.Thread(target=self._kill_on_request, name="tasker-kill", daemon=True)

    @property
    def exit_code(self) -> int | None:
        """The exit code after the first signal; None if there was none."""
        return None if self.signum is None else after_signal(self.signum)

    @property
    def name(self) -> str:
        """The name of the first signal; "" if there was none."""
        return signal.Signals(self.signum).name if self.signum is not None else ""

    def __enter__(self) -> Self:
        self._killer.start()
        if threading.current_thread() is threading.main_thread():
            # A signal that was ignored from outside (nohup, a shell's `&`) stays ignored.
            signums = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
            # Not a handler, which the main thread would have to run: it may be blocked in `stop`, or in a write to a
            # pipe that is not read.
            self._listener = SignalListener(signums, self._receive)
            self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Restores the handlers. Harmless if repeated."""
        self._ended.set()
        self._kill_requests.put(False)
        if self._listener is not None:
            self._listener.close()

    def _receive(self, signum: int) -> None:
        self.count += 1
        if self.signum is None:
            self.signum = signum
        if self.count == 2:
            self._kill_requests.put(True)
        elif self.count > 2:
            _exit(self.signum)
        self._wake()

    def _kill_on_request(self) -> None:
        if not self._kill_requests.get():
            return
        self.kill()
        # The main thread may still be blocked, in a write or in on_destroy: then only this ends the process.
        if not self._ended.wait(EXIT_GRACE_S):
            _exit(self.signum or signal.SIGINT)


def _exit(signum: int) -> None:
    """Ends the process at once."""
    show_cursor()
    os._exit(after_signal(signum))
