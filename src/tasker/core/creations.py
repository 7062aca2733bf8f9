"""How long the creations of resources have taken: one histogram for a manager, whoever has made them."""

from __future__ import annotations

import threading
from collections import deque

from tasker.metrics.histogram import Histogram
from tasker.metrics.meter import BATCH


class CreationTimes:
    """Counts the seconds that creations took which succeeded. Thread-safe, and safe to interrupt by a signal handler that makes
    a resource itself, or asks for the numbers."""

    __slots__ = ("_entering", "_histogram", "_lately", "_lock")

    def __init__(self) -> None:
        self._histogram = Histogram()
        self._lately: deque[float] = deque()
        """What is not in the histogram yet: appending is one step, which nothing interrupts."""
        self._lock = threading.RLock()
        self._entering = False

    def add(self, seconds: float) -> None:
        """Counts a creation."""
        # `run_task` without a pool makes a resource a call: so they are entered in batches, as a worker's tasks are.
        self._lately.append(seconds)
        if len(self._lately) >= BATCH:
            self._enter()

    def _enter(self) -> None:
        with self._lock:
            if self._entering:  # a signal handler, in the middle of what follows
                return
            self._entering = True
            try:
                self._histogram.add_all([self._lately.popleft() for _ in range(len(self._lately))])
            finally:
                self._entering = False

    def histogram(self) -> Histogram:
        """Returns a copy, which belongs to the caller."""
        total = Histogram()
        with self._lock:
            self._enter()  # not a copy of the rest: without the GIL, another thread may append while it is made
            total.merge(self._histogram)
        return total

    def renew_lock(self) -> None:
        """In a forked child."""
        self._lock = threading.RLock()
