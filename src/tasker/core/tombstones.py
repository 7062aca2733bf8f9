"""Tombstones: counts the ended tasks that stay in a queue, and decides when they are swept out."""

from __future__ import annotations

import itertools

LONG: int = 10_000
"""The number of queued tasks from which on an ended one stays, because a search for it would cost too much."""


class Tombstones:
    """Counts since the last sweep. Thread-safe, and without a lock: ``cancel`` may come from a signal handler."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._latest = 0
        self._due = False

    def __bool__(self) -> bool:
        """Whether the queue may hold ended tasks."""
        return self._latest > 0

    def add(self, queued: int) -> bool:
        """Counts one more among ``queued`` tasks. Returns True, once until the next sweep, if it is time for one.

        A sweep costs O(queued). It is due when half of the queue has ended, so each ending pays for two tasks.
        """
        self._latest = number = next(self._numbers)
        if self._due or 2 * number < max(queued, LONG):
            return False
        self._due = True
        return True

    def swept(self) -> None:
        """Begins to count again. To be called before the sweep: what ends during one may be missed by it."""
        self._numbers = itertools.count(1)
        self._latest = 0
        self._due = False
