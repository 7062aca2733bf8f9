"""Makes ``concurrent.futures.wait`` and ``as_completed`` visible to the search for deadlocks.

Both append a waiter to each future and then sleep on the waiter's event. If that is done in a worker of the futures'
own manager, the waiter gets an event that announces the sleep. All of it happens in the thread that waits.

In any other thread it gets a ``Flag``: Ctrl-C that strikes an Event in the main thread may leave it locked, and then the
worker, or the supervisor, that brings the outcome would never come back from setting it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from typing import Any, Protocol

from tasker.control.deadlock import Need
from tasker.core.flag import Flag
from tasker.errors import DeadlockError

from .this_thread import this_thread


class AnnouncesWaits(Protocol):
    """The part of the registry of waits that the event uses."""

    def enter(self, wait: Any) -> object:
        """Announces a wait of this thread, and returns a ticket for ``leave``."""

    def leave(self, ticket: object) -> None:
        """Withdraws the announcement."""


def prepare(waiter: Any) -> None:
    """Gives a waiter of ``concurrent.futures`` an event that Ctrl-C cannot break, and in a worker, one whose sleep is
    announced."""
    # Only what is as it is known to be: another version may do otherwise.
    if type(getattr(waiter, "event", None)) is threading.Event:
        worker = this_thread.worker
        waiter.event = Flag() if worker is None else AnnouncedEvent(worker.engine, waiter)


class AnnouncedEvent(Flag):
    """The event of a waiter, whose ``wait`` is announced if it has no limit."""

    def __init__(self, engine: Any, waiter: Any) -> None:
        super().__init__()
        self._engine = engine
        self._stop_on_exception: bool | None = getattr(waiter, "stop_on_exception", None)
        self.error: DeadlockError | None = None

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps until the event is set. Raises ``DeadlockError`` if that would never happen."""
        # ``as_completed`` keeps those that it has not yielded in ``pending``, ``wait`` all of them in ``fs``.
        names = sys._getframe(1).f_locals
        futures = names.get("pending", names.get("fs"))
        if timeout is not None or not isinstance(futures, set):
            return super().wait(timeout)
        registry: AnnouncesWaits = self._engine.waits
        ticket = registry.enter(_StandardWait(self._engine, futures, self, self._stop_on_exception))
        try:
            super().wait()
        finally:
            registry.leave(ticket)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return True


class _StandardWait:
    """See ``BlockingWait``."""

    __slots__ = ("_engine", "_event", "_futures", "_stop_on_exception")

    def __init__(
        self, engine: object, futures: Collection[Any], event: AnnouncedEvent, stop_on_exception: bool | None
    ) -> None:
        self._engine = engine
        self._futures = futures
        self._event = event
        self._stop_on_exception = stop_on_exception
        """None: the first future that is done ends the wait; otherwise all of them do, or the first that failed."""

    def need(self) -> Need[Any] | None:
        """See ``BlockingWait``."""
        if self._event.is_set():
            return None
        futures = tuple(self._futures)
        done = [future for future in futures if future.done()]
        # Those that are done and end the wait may not have set the event yet.
        if done and (self._stop_on_exception is None or (self._stop_on_exception and any(map(_failed, done)))):
            return None
        own = tuple(future for future in futures if _is_of(self._engine, future) and not future.done())
        # A future of another executor may come, and one is enough unless all are awaited.
        if not own or (self._stop_on_exception is not False and len(own) + len(done) < len(futures)):
            return None
        return Need(own, any=self._stop_on_exception is not False)

    def refuse(self, error: DeadlockError) -> None:
        """See ``BlockingWait``."""
        self._event.error = error
        self._event.set()

    def __repr__(self) -> str:
        return f"{len(self._futures)} futures"


def _failed(future: Any) -> bool:
    return not future.cancelled() and future.exception() is not None


def _is_of(engine: object, future: Any) -> bool:
    # A task, which takes a worker; a refresh has none.
    return getattr(future, "_owner", None) is engine and hasattr(future, "_task")
