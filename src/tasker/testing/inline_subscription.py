"""InlineSubscription: what ``InlineTaskManager.events`` returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tasker.control.notices import ManagerEvent
from tasker.core.feed import Feed, Kinds, check_subscription
from tasker.core.teller import WatchedEngine, subscribe
from tasker.threads.subscription import Subscription


class InlineWatchedEngine(WatchedEngine, Protocol):
    """The part of an engine that is used here."""

    def soon(self, call: Callable[[], None]) -> None:
        """Has ``call`` made between two of the next events."""


class InlineSubscription(Subscription):
    """As any other, without a thread: nothing waits here."""

    _feed: Feed  # type: ignore[assignment]

    def __init__(
        self, engine: InlineWatchedEngine, callback: Callable[[Any], object] | None, kinds: Kinds, most: int
    ) -> None:
        check_subscription(callback, kinds, most)
        self._callback = callback
        self._log = engine.log
        self._feed = Feed(most, kinds, lambda: None if callback is None else engine.soon(self._deliver))
        subscribe(engine, self._feed)

    def _deliver(self) -> None:
        assert self._callback is not None
        while (event := self._feed.take()) is not None:
            try:
                self._callback(event)
            except BaseException as error:
                self._log.fault("a callback of events()", error)

    def wait(self, timeout: float | None = None) -> bool:
        """Returns whether the last event has come; there is nothing to wait for."""
        return self.closed

    def __next__(self) -> ManagerEvent:
        event = self._feed.take()
        if event is None:
            raise StopIteration
        return event
