"""How many tasks to send to a child ahead of their turn.

A round trip costs tens of microseconds and two switches between processes; a short task costs less. So while many wait, a
child gets as many as take it a few milliseconds by what the last ones took: then it is never idle between two, and still
nothing waits long behind it. What it has not begun when it turns out to be slower than that goes back to the queue.
"""

from __future__ import annotations

TARGET = 0.003
"""Seconds of work that a child has in hand."""
PATIENCE = 0.005
"""Seconds without an answer after which what has not begun goes back."""
MOST = 256
"""Tasks in hand at most."""
BYTES = 1 << 20
"""Bytes of tasks in hand, about."""
_NEW = 0.2


class Prefetch:
    """Follows how long the tasks of one worker take and how large they are."""

    __slots__ = ("_seconds", "_size", "allowed")

    def __init__(self, allowed: bool) -> None:
        self.allowed: bool = allowed
        self._seconds: float | None = None
        self._size = 0.0

    def took(self, seconds: float) -> None:
        """A task took that long."""
        known = self._seconds
        if known is None or seconds > 10 * known:
            self._seconds = seconds
        else:
            self._seconds = known + _NEW * (seconds - known)

    def weighed(self, size: float) -> None:
        """Orders were so large, in bytes each."""
        self._size = size if size > self._size else self._size + _NEW * (size - self._size)

    def slow(self) -> None:
        """Something did not answer in time: one at a time, until there is an answer."""
        self._seconds = None

    def in_hand(self, queued: int, workers: int) -> int:
        """How many tasks the child should have, the running one included; ``queued``: those that wait."""
        seconds = self._seconds
        if not self.allowed or seconds is None:
            return 1
        fair = queued // max(1, workers)
        by_time = TARGET / max(seconds, 1e-6)
        by_size = BYTES / max(self._size, 1.0)
        return max(1, int(min(fair, by_time, by_size, MOST)))
