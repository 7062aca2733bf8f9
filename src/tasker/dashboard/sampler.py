"""Sampler: one thread that reads all managers of a dashboard every second, and tells who is connected.

What is sent is encoded once in a second, however many are connected: the pool pays for a view, not for each viewer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.watch.pacing import pause
from tasker.watch.reading import Watched
from tasker.watch.watch import PoolWatch

from .wire import hello, tick

_log = logging.getLogger("tasker.dashboard")
INTERVAL_S = 1.0


class Sampler:
    """Thread-safe. ``arguments``: whether those of running tasks are shown."""

    def __init__(self, managers: Sequence[Watched], *, arguments: bool = False) -> None:
        # While a sample is taken or encoded. Never taken by a loop: a sample of an AsyncTaskManager may wait for that loop.
        self._lock = threading.Lock()
        self._listening = threading.Lock()
        self._managers = tuple(managers)
        self._arguments = arguments
        self._watches: list[PoolWatch] = []
        self._listeners: dict[int, Callable[[], object]] = {}
        self._stop = Flag()
        self._thread: Daemon | None = None
        self.latest: tuple[int, bytes] = (0, b"")
        """The number of the last tick, and what was new in it; empty if nobody listened."""
        self._hello: tuple[int, bytes] = (-1, b"")

    def start(self) -> None:
        """Begins to sample, unless it has. After ``close``, it does nothing. May wait. If it raises, as where the event loop of a
        manager is stuck, it can be called again."""
        with self._lock:
            if self._thread is not None or self._stop.is_set():
                return
            try:
                for manager in self._managers:
                    self._watches.append(PoolWatch(manager))
                self._sample()
            except BaseException:
                self._close_watches()
                raise
            self._thread = Daemon(self._run, "tasker-dashboard-sampler")
        self._thread.start()

    def _close_watches(self) -> None:
        watches, self._watches = self._watches, []
        for watch in watches:
            watch.close()

    def _run(self) -> None:
        took = cost = 0.0
        while not self._stop.wait(pause(INTERVAL_S, took, cost)):
            began, spent = time.monotonic(), time.thread_time()
            try:
                with self._lock:
                    self._sample()
            except Exception:  # the page goes on with the next one
                _log.exception("a sample for the dashboard failed")
            self._tell()
            took, cost = time.monotonic() - began, time.thread_time() - spent
        # Here, and not in `close`, which may come while the watches are being made.
        for watch in self._watches:
            watch.close()

    def _sample(self) -> None:
        points = [watch.sample() for watch in self._watches]
        number = self.latest[0] + 1
        data = tick(number, self._watches, points, self._arguments) if self._listeners else b""
        self.latest = (number, data)

    def _tell(self) -> None:
        with self._listening:
            listeners = list(self._listeners.values())
        for listener in listeners:
            listener()

    def hello(self) -> tuple[int, bytes]:
        """Returns the number of the last tick, and all that was known then: what a page begins with. May wait."""
        with self._lock:
            number = self.latest[0]
            if self._hello[0] != number:
                self._hello = (number, hello(number, self._watches, self._arguments))
            return self._hello

    def listen(self, listener: Callable[[], object]) -> Callable[[], object]:
        """Has the listener called after each tick and at the end, in a thread of the sampler's; it must not wait. Returns what
        ends that."""
        key = id(listener)
        with self._listening:
            self._listeners[key] = listener

        def unlisten() -> None:
            with self._listening:
                self._listeners.pop(key, None)

        return unlisten

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._stop.is_set()

    def close(self) -> None:
        """Ends the sampling, and tells so. Harmless if repeated."""
        self._stop.set()
        self._tell()

    def manager(self, number: int) -> Watched:
        """Returns a manager by its number on the page. Raises ``LookupError`` if there is none."""
        if not 0 <= number < len(self._managers):
            raise LookupError(f"there is no manager {number}")
        return self._managers[number]
