"""``stop_on_signals`` for event loops: stops a manager gracefully on SIGTERM or SIGINT, and kills it on the second
one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from tasker.core.fork import disable_in_children
from tasker.core.signals import Received, StopRequests, stop_or_kill


class StopRequestsInLoop(StopRequests, Protocol):
    """The part of an engine that a stop on a signal uses."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...


@contextlib.contextmanager
def stop_on_signals(engine: StopRequestsInLoop, signums: tuple[int, ...]) -> Iterator[Received]:
    """See ``AsyncTaskManager.stop_on_signals``."""
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("stop_on_signals works in the main thread only, where Python delivers signals")
    received = Received()
    previous: dict[int, Any] = {}
    handlers = _Handlers(engine.loop, previous)
    signums = signums or (signal.SIGTERM, signal.SIGINT)
    disable_in_children(handlers, signums)
    try:
        for signum in signums:
            # ``remove_signal_handler`` would restore the default handler, not the one that was installed before.
            previous[signum] = signal.getsignal(signum)
            handlers.note(signum)
            engine.loop.add_signal_handler(signum, stop_or_kill, engine, received, signum)
        yield received
    finally:
        for signum in previous:
            engine.loop.remove_signal_handler(signum)
        handlers.restore()
        handlers.restore_in_loop()


class _Handlers:
    """The handlers that were there before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, previous: dict[int, Any]) -> None:
        self._loop = loop
        self._previous = previous
        self._in_loop: dict[int, tuple[dict[int, Any], Any]] = {}
        """The handlers of the loop itself, each with the table that it was in."""

    def note(self, signum: int) -> None:
        """Notes the handler that the loop has for a signal; it has one at a time."""
        for table in _tables_of(self._loop):
            if callable(getattr(handle := table.get(signum), "cancelled", None)):
                self._in_loop[signum] = (table, handle)

    def restore(self) -> None:
        """Installs them again."""
        for signum, former in self._previous.items():
            signal.signal(signum, former if former is not None else signal.SIG_DFL)

    def restore_in_loop(self) -> None:
        """Installs those of the loop again, which the process knows nothing of."""
        for signum, (table, handle) in self._in_loop.items():
            self._loop.add_signal_handler(signum, _nothing)
            table[signum] = handle

    def forked(self) -> None:
        """See ``core.fork``: a signal to the child is no signal to the parent, whose loop reads from the same socket."""
        self.restore()
        signal.set_wakeup_fd(-1)
        self._previous.clear()


def _tables_of(loop: asyncio.AbstractEventLoop) -> list[dict[int, Any]]:
    """Returns the table in which a loop keeps its handlers of signals, or, where it does not show that (uvloop), all its tables."""
    table = getattr(loop, "_signal_handlers", None)
    return [one for one in gc.get_referents(loop) if type(one) is dict] if table is None else [table]


def _nothing() -> None:
    pass
