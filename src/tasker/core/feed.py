"""Feed: the bounded queue between a manager and one of its subscribers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tasker.control.notices import ManagerEvent, StopEnded

Kinds = type[ManagerEvent] | tuple[type[ManagerEvent], ...]


class Feed:
    """Takes events from any thread, never waits, and drops the oldest event where the subscriber is too slow.

    ``most``: how many events wait at most; ``kinds``: the others are not for this subscriber, but for ``StopEnded``. ``wake`` is
    called when the subscriber waits, and there is something for it: an event, or the end. It must not wait itself.
    """

    def __init__(self, most: int, kinds: Kinds, wake: Callable[[], object]) -> None:
        self._most = most
        self._kinds = kinds
        self._wake = wake
        self._waiting_events: deque[ManagerEvent] = deque()
        # Reentrant: a finalizer or a signal handler may end a task, or close a feed, in the middle of a ``put``.
        self._lock = threading.RLock()
        self._asleep = True
        self._closed = False
        self.on_fork: Callable[[], object] = bool
        """Called in a forked child."""
        self.dropped: int = 0
        """How many events were dropped."""
        self.over: bool = False
        """Whether nothing more comes in."""
        self.drained: bool = False
        """Whether the last ``take`` has found nothing, and nothing more comes."""

    def put(self, event: ManagerEvent) -> None:
        """Adds an event. From any thread."""
        last = type(event) is StopEnded
        if not (last or isinstance(event, self._kinds)):
            return
        with self._lock:
            if self.over:
                return
            if len(self._waiting_events) >= self._most:
                with suppress(IndexError):  # closed meanwhile
                    self._waiting_events.popleft()
                self.dropped += 1
            self._waiting_events.append(event)
            if last:  # and not ``= last``: it may have been closed meanwhile
                self.over = True
            # After the event was added: ``close``, which takes no lock, notes first that it is closed and then clears.
            if self._closed:
                self._waiting_events.clear()
            asleep, self._asleep = self._asleep, False
        if asleep:
            self._wake()

    def take(self) -> ManagerEvent | None:
        """Returns the next event; None: there is none, and ``wake`` will be called unless it is ``drained``."""
        with self._lock:
            try:
                return self._waiting_events.popleft()
            except IndexError:
                self._asleep = True
                # Under the lock: the last event, which may come a moment later, makes it ``over`` at once.
                self.drained = self.over
                return None

    def close(self) -> None:
        """Has nothing more come, what waits included. From any thread, and from finalizers."""
        self._closed = self.over = True
        self._waiting_events.clear()
        self._wake()

    def forked(self) -> None:
        """In a forked child: closes it. Another thread may have had the lock, and the thread of a callback does not exist here."""
        self._lock = threading.RLock()
        self.close()
        self.on_fork()


def check_subscription(callback: object, kinds: Any, most: object) -> None:
    """Raises ``TypeError`` or ``ValueError`` for a wrong argument of a subscription."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, got {callback!r}")
    if isinstance(most, bool) or not isinstance(most, int):
        raise TypeError(f"most must be an int, got {most!r}")
    if most < 1:
        raise ValueError(f"most must be at least 1, got {most!r}")
    for kind in kinds if isinstance(kinds, tuple) else (kinds,):
        if not (isinstance(kind, type) and issubclass(kind, ManagerEvent)):
            raise TypeError(f"kinds must be a class of tasker.events or a tuple of them, got {kind!r}")


def forbid_iteration(callback: object) -> None:
    """Raises ``RuntimeError`` if a subscription has a callback."""
    if callback is not None:
        raise RuntimeError("this subscription has a callback, which gets the events: it can't be iterated over")


def require_callback(callback: object) -> None:
    """Raises ``RuntimeError`` if a subscription has none."""
    if callback is None:
        raise RuntimeError("this subscription has no callback whose end wait() could wait for: iterate over it")


class FeedHolder:
    """What all subscriptions have in common."""

    _feed: Feed

    @property
    def dropped(self) -> int:
        """How many events were dropped, because ``most`` were waiting already: the oldest ones."""
        return self._feed.dropped

    @property
    def closed(self) -> bool:
        """Whether no more events come in: it was closed, or the manager has ended."""
        return self._feed.over

    def close(self) -> None:
        """Ends the subscription, and returns at once. Events that wait are dropped; a callback that is under way goes on.
        Harmless if repeated. May be called from any thread."""
        self._feed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
