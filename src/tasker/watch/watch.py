"""Watch: what is known of one manager, kept up to date by whoever calls ``sample``."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Literal

from tasker.control import notices as say
from tasker.core.feed import Feed
from tasker.core.teller import subscribe

from .failures import Failures
from .history import History
from .points import Point
from .reading import CallsTasks, PoolReading, Watched, read
from .telling import Notable, notable

MOST_EVENTS = 5_000
"""Events between two samples; of more, the oldest are dropped and counted."""

State = Literal["not started", "running", "paused", "stopping", "ended"]


class PoolWatch:
    """One manager. Not thread-safe: the owner guards it. Its events cost the pool as any subscription does."""

    def __init__(self, manager: Watched) -> None:
        self.manager: Watched = manager
        self.history: History = History()
        self.failures: Failures = Failures()
        self.decisions: deque[say.Scaled] = deque(maxlen=100)
        """The last changes of the number of workers, the newest last."""
        self.notables: deque[Notable] = deque(maxlen=100)
        """What else has happened, the newest last."""
        self.last: PoolReading = read(manager)
        """The last reading."""
        self.ended: bool = False
        self._feed: Feed | None = None
        self._caller = manager if isinstance(manager, CallsTasks) else None
        self.subscribe()

    def subscribe(self) -> None:
        """Subscribes to the events, as soon as there is an engine to do so."""
        if self._feed is not None or self.manager._engine is None:
            return
        self._feed = Feed(MOST_EVENTS, (say.ManagerEvent,), lambda: None)
        # Before the subscription: a decision in between is in both, or in none.
        known = self.manager.explain().decisions
        subscribe(self.manager._engine, self._feed)
        for one in known:
            self.decisions.append(say.Scaled(one.at, one.cause, one.before, one.target, one.why))

    @property
    def dropped(self) -> int:
        """How many events were dropped."""
        return 0 if self._feed is None else self._feed.dropped

    @property
    def state(self) -> State:
        """In a word."""
        if self.manager._engine is None:
            return "not started"
        if self.ended:
            return "ended"
        if self.manager.closed:
            return "stopping"
        return "paused" if self.last.stats.paused else "running"

    def sample(self) -> tuple[Point | None, Point | None]:
        """Reads the manager and its events. Returns the new points, as ``History.add``. Costs O(workers + events)."""
        self.subscribe()
        self._take_events()
        self.last = read(self.manager)
        return self.history.add(self.last)

    def _take_events(self) -> None:
        feed = self._feed
        if feed is None:
            return
        for _ in range(MOST_EVENTS):  # and no more: tasks may fail faster than this goes
            event = feed.take()
            if event is None:
                break
            self._take(event)
        if feed.drained:
            self.ended = True

    def _take(self, event: say.ManagerEvent) -> None:
        if isinstance(event, say.Scaled):
            if event.at > max((one.at for one in self.decisions), default=-1.0):
                self.decisions.append(event)
            return
        if isinstance(event, say.TaskEvent):
            if self._caller is not None:
                called = self._caller.called
                event = replace(event, task=called(event.task), error=called(event.error))
            self.failures.add(event)
        told = notable(event)
        if told is not None:
            self.notables.append(told)

    def close(self) -> None:
        """Ends the subscription."""
        if self._feed is not None:
            self._feed.close()
