"""When resources may be made: freely while it works, one at a time and ever more rarely while it fails.

Exponential backoff with "equal jitter" (half fixed, half random), so that many processes whose database came back do
not call all at once, and none calls at once after a failure (M. Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

import random

MOST = 30.0


class CreationGate:
    """Remembers consecutive failures. ``rng`` is given, so a test sees the same jitter each time."""

    __slots__ = ("_first", "_rng", "error", "failures", "retry_at")

    def __init__(self, first: float, rng: random.Random) -> None:
        self._first = first
        self._rng = rng
        self.failures: int = 0
        self.error: str | None = None
        self.retry_at: float = 0.0

    def failed(self, now: float, error: str) -> float:
        """Notes a failure; returns the seconds until the next try."""
        self.failures += 1
        self.error = error
        delay = min(MOST, self._first * 2.0 ** min(self.failures - 1, 30))
        delay = delay / 2 + self._rng.random() * delay / 2
        self.retry_at = now + delay
        return delay

    def succeeded(self) -> None:
        """It works (again)."""
        self.failures = 0
        self.error = None

    def allowed(self, now: float, wanted: int, starting: int) -> int:
        """How many of ``wanted`` creations may begin now while ``starting`` are under way."""
        if not self.failures:
            return wanted
        return min(wanted, 1) if not starting and now >= self.retry_at else 0
