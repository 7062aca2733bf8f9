"""Mailbox: the events of a session that come by callback, from other threads, as those of a cluster do.

What drives the session waits here, or has an event loop watch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from tasker.core.flag import Flag

from .events import SessionEvent
from .session import Session

if TYPE_CHECKING:
    import asyncio


class Mailbox:
    """See the module's docstring. Thread-safe; one thread at a time waits."""

    def __init__(self) -> None:
        # Not a Condition, whose methods are Python: Ctrl-C that strikes one of them, as the main thread drives a session in
        # ``run_task``, leaves its lock locked for ever.
        self._lock = threading.RLock()
        self._changed = Flag()
        """Set after each change."""
        self._events: list[SessionEvent] = []
        self._nudged = False
        self._notify: Callable[[], object] = lambda: None
        self.closed: bool = False
        """Whether nothing is delivered any more."""

    def put(self, event: SessionEvent) -> None:
        """Delivers an event; too late once closed."""
        with self._lock:
            if self.closed:
                return
            self._events.append(event)
        self._changed.set()
        self._notify()

    def close(self) -> bool:
        """Takes no more events; what was delivered can still be taken. Returns whether it was open."""
        with self._lock:
            first, self.closed = not self.closed, True
        self._changed.set()
        self._notify()
        return first

    def nudge(self) -> None:
        """Ends a wait."""
        self._nudged = True
        self._changed.set()

    def wait(self, timeout: float | None) -> None:
        """Waits until there is something to take, or for a nudge; ``timeout`` seconds at most (None: no limit)."""
        end = None if timeout is None else monotonic() + timeout
        while not self._is_due():
            self._changed.clear()
            # A change before this look is seen by it; one after it ends the wait.
            if self._is_due() or not self._changed.wait(None if end is None else end - monotonic()):
                break
        self._nudged = False

    def _is_due(self) -> bool:
        return bool(self._events) or self.closed or self._nudged

    def take(self) -> list[SessionEvent]:
        """Removes and returns the events that were delivered. Raises ``EOFError`` if there are none and none can come."""
        with self._lock:
            if self.closed and not self._events:
                raise EOFError
            events, self._events = self._events, []
            return events

    def watch(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], object]) -> MailboxWatch:
        """Has ``loop`` call ``on_ready`` in its own thread whenever there may be something to take."""
        watch = MailboxWatch(self, loop, on_ready)
        self._notify = watch.notify
        watch.notify()
        return watch


class MailboxWatch:
    """Implements ``Watch``."""

    def __init__(self, mailbox: Mailbox, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], object]) -> None:
        self._mailbox = mailbox
        self._loop = loop
        self._on_ready = on_ready
        self._closed = False

    def flush(self) -> None:
        """See ``Watch``. Nothing is ever kept here."""

    def close(self) -> None:
        """See ``Watch``."""
        self._closed = True

    def notify(self) -> None:
        """There may be something to take. From any thread."""
        if not self._closed:
            try:
                self._loop.call_soon_threadsafe(self._call)
            except RuntimeError:  # the loop is closed
                pass

    def _call(self) -> None:
        if not self._closed:
            self._on_ready()
            if self._mailbox.closed:  # before it was watched, perhaps: its end is the last news
                self.notify()


class MailboxSession(Session):
    """A session whose events are delivered to a mailbox; a backend adds what sends them there."""

    def __init__(self, name: str, grace: float) -> None:
        super().__init__(name, grace)
        self._mailbox = Mailbox()

    @property
    def dead(self) -> bool:
        """See ``Session``."""
        return self._mailbox.closed

    def wait(self, timeout: float | None = None) -> None:
        """See ``Session``."""
        self._mailbox.wait(timeout)

    def nudge(self) -> None:
        """See ``Session``."""
        self._mailbox.nudge()

    def events(self) -> list[SessionEvent]:
        """See ``Session``."""
        return self._mailbox.take()

    def watch(self, loop: asyncio.AbstractEventLoop, on_ready: Callable[[], object]) -> MailboxWatch:
        """See ``Session``."""
        return self._mailbox.watch(loop, on_ready)
