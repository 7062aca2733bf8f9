"""Listener: a thread that gives the events of a feed to a callback, which may be as slow as it likes."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from tasker.control.notices import ManagerEvent
from tasker.core.daemon import Daemon
from tasker.core.feed import Feed, Kinds
from tasker.core.teller import WatchedEngine, subscribe


class WaitedFeed(Feed):
    """A feed that a thread waits for."""

    def __init__(self, most: int, kinds: Kinds) -> None:
        # A token for each time that the subscriber has to look. In C, so that Ctrl-C may strike where it waits.
        self._looks: queue.SimpleQueue[None] = queue.SimpleQueue()
        put = self._looks.put
        super().__init__(most, kinds, lambda: put(None))

    def next(self) -> ManagerEvent | None:
        """Waits for the next event, and returns it; None at the end."""
        while (event := self.take()) is None:
            if self.drained:
                return None
            self._looks.get()
        return event


def listen(
    engine: WatchedEngine, feed: WaitedFeed, callback: Callable[[Any], object], ended: Callable[[], object]
) -> None:
    """Starts the thread, and then subscribes. ``ended`` is called when the callback has had its last event. If it raises, Ctrl-C
    above all, the thread ends."""
    log = engine.log

    def serve() -> None:
        try:
            for event in iter(feed.next, None):
                try:
                    callback(event)
                except BaseException as error:
                    log.fault("a callback of events()", error)
                del event  # a thread that waits must not keep it
        finally:
            ended()

    feed.on_fork = ended
    try:
        Daemon(serve, f"{engine.config.name}-events").start()
        subscribe(engine, feed)
    except BaseException:
        feed.close()  # which the thread waits for, and nobody else has
        raise
