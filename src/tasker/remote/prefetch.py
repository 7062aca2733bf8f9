"""How many tasks to send ahead of their turn.

A round trip to another process costs tens of microseconds and two switches between processes; a short task costs less. So
while many wait, a session gets as many as take it a few milliseconds by what the last ones took: then it is never idle between
two, and still nothing waits long behind it. What it has not begun when it turns out to be slower than that goes back to the
queue.
"""

from __future__ import annotations

TARGET = 0.003
"""Seconds of work that a session has in flight."""
PATIENCE = 0.005
"""Seconds without an event after which what has not begun goes back."""
OVERHEAD = 3e-6
"""Seconds, about, that a session takes for a task beside the time that it reports. So it has 1,000 in flight at most."""
BYTES = 1 << 20
"""Bytes of tasks in flight, about."""
_NEW = 0.2
"""The weight of the latest measurement."""


class Prefetch:
    """Follows how long the tasks of one worker take and how large they are."""

    __slots__ = ("_seconds", "_size", "allowed")

    def __init__(self, allowed: bool) -> None:
        self.allowed: bool = allowed
        self._seconds: float | None = None
        self._size = 0.0

    def took(self, seconds: float) -> None:
        """Notes how long a task took."""
        known = self._seconds
        # Up at once, down slowly: what is overestimated costs a round trip, what is underestimated holds up tasks.
        if known is None or seconds > 10 * known:
            self._seconds = seconds
        else:
            self._seconds = known + _NEW * (seconds - known)

    def weighed(self, size: float) -> None:
        """Notes the mean size of the tasks of a message, in bytes."""
        self._size = size if size > self._size else self._size + _NEW * (size - self._size)

    def slow(self) -> None:
        """Notes that nothing was reported in time: one task at a time, until something is."""
        self._seconds = None

    def in_hand(self, queued: int, workers: int) -> int:
        """Returns how many tasks should be in flight, the running one included; ``queued``: those that wait or are in
        flight here."""
        seconds = self._seconds
        if not self.allowed or seconds is None:
            return 1
        fair = queued // max(1, workers)
        by_time = TARGET / (seconds + OVERHEAD)
        by_size = BYTES / max(self._size, 1.0)
        return max(1, int(min(fair, by_time, by_size)))
