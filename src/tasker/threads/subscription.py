"""Subscription: what ``TaskManager.events`` returns."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, Self

from tasker.control.notices import ManagerEvent
from tasker.core.checks import check_timeout
from tasker.core.feed import FeedHolder, Kinds, check_subscription, forbid_iteration, require_callback
from tasker.core.flag import Flag
from tasker.core.listener import WaitedFeed, listen
from tasker.core.teller import WatchedEngine, subscribe


class Subscription(FeedHolder, Iterator[ManagerEvent]):
    """The events of one manager, for one subscriber, from ``manager.events()`` on.

    Without a callback, iterate over it: each step waits for the next event, and the iteration ends after ``StopEnded``, or when
    the subscription is closed. One thread at a time may iterate; the rest is thread-safe. As a context manager, it is closed at
    the end of the block. One that is collected is closed, unless it has a callback.
    """

    _feed: WaitedFeed

    def __init__(
        self, engine: WatchedEngine, callback: Callable[[Any], object] | None, kinds: Kinds, most: int
    ) -> None:
        check_subscription(callback, kinds, most)
        self._callback = callback
        self._ended = Flag()
        self._feed = WaitedFeed(most, kinds)
        if callback is None:
            weakref.finalize(self, self._feed.close).atexit = False
            subscribe(engine, self._feed)
        else:
            listen(engine, self._feed, callback, self._ended.set)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to ``timeout`` seconds (None: no limit) until the callback has had its last event. Returns whether it has.

        Raises ``RuntimeError`` if there is no callback, and ``ValueError`` for a wrong timeout.
        """
        check_timeout(timeout)
        require_callback(self._callback)
        return self._ended.wait(timeout)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ManagerEvent:
        forbid_iteration(self._callback)
        event = self._feed.next()
        if event is None:
            raise StopIteration
        return event
