"""HelperThreads: the threads of an engine in which user code runs that must not hold up the supervisor, and those that are
about to end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from tasker.core.daemon import Daemon

from .ports import HelpedEngine
from .this_thread import this_thread

_ON_CANCEL = "a callback of Context.on_cancel"
_LOGGER = "the supervisor (in the logger)"


class HelperThreads:
    """Starts such threads, and waits for them. ``start`` is called by the supervisor's thread, most often."""

    def __init__(self, engine: HelpedEngine) -> None:
        self._engine = engine
        self._leaving: list[threading.Thread] = []
        """Threads that end soon, for ``join`` to wait for."""
        self._cancelling: list[threading.Thread] = []
        """Those of them in which callbacks of ``Context.on_cancel`` are called."""
        self._logger_named = False

    def start(self, target: Callable[[], None], name: str, what: str) -> threading.Thread:
        """Starts a thread for ``target``, in which user code runs; ``what`` is its name in messages."""
        engine = self._engine

        def run() -> None:
            this_thread.helps = (engine, what)
            try:
                target()
            except BaseException as error:  # not of user code, which is guarded: of the backend, or no memory
                engine.log.fault(what, error)

        thread = Daemon(run, f"{engine.config.name}-{name}")
        self.remember(thread)  # first: Ctrl-C may strike behind the start
        try:
            thread.start()
        except Exception:  # no more threads
            self.forget(thread)
            raise
        return thread

    def cancel(self, cancel: Callable[[], None]) -> None:
        """Has contexts cancelled in a thread, since callbacks of ``Context.on_cancel`` may take long, and deadlines hold all the
        same."""
        started: threading.Thread | None = None
        with suppress(Exception):  # no more threads
            started = self.start(cancel, "cancel", _ON_CANCEL)
        if started is None:
            cancel()
        else:
            self._cancelling = [*(thread for thread in self._cancelling if thread.is_alive()), started]

    def remember(self, thread: threading.Thread) -> None:
        """Records a thread that is about to end, for ``join`` to wait for."""
        # Forgets those that have ended, so that a manager with many short-lived workers does not accumulate them.
        # One after the other, since another thread may do the same.
        for other in self._leaving.copy():
            if other.ident is not None and not other.is_alive():
                self.forget(other)
        self._leaving.append(thread)

    def forget(self, thread: threading.Thread | None) -> None:
        """Has nothing wait for a thread any more."""
        with suppress(ValueError):
            self._leaving.remove(thread)  # type: ignore[arg-type]

    def join(self, supervisor: threading.Thread, end: float | None) -> list[str]:
        """Waits for the supervisor's thread and for those that are recorded, up to ``end`` (None: without a limit). Returns what
        is left behind of user code that nothing else has named."""
        left: list[str] = []
        for thread in (supervisor, *self._leaving):
            if thread.ident is not None:  # a worker without a thread was run by the exiting thread
                thread.join(seconds_until(end))
                if end is not None and thread.is_alive():
                    self.forget(thread)  # the next call does not wait for it again
                    if thread in self._cancelling:
                        left.append(_ON_CANCEL)
                    elif thread is supervisor and self._engine.log.holds(thread.ident) and not self._logger_named:
                        self._logger_named = True
                        left.append(_LOGGER)
        return left


def seconds_until(end: float | None) -> float | None:
    """Returns how long to wait, as the primitives of ``threading`` take it; None: without a limit."""
    return None if end is None else min(max(0.0, end - monotonic()), threading.TIMEOUT_MAX)
