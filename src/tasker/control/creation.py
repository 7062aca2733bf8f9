"""The gate for creations: open while they succeed; one at a time, with growing delays, while they fail."""

from __future__ import annotations

import random

MAX_DELAY = 30.0
"""Seconds."""


class CreationGate:
    """Counts consecutive failures, and decides how many creations may begin. Not thread-safe.

    Creations that were under way at the same time fail for the same reason, so together they are one failure: a *round*.

    ``first`` is the delay after the first failure, in seconds; it doubles with each further one, up to 30 s. The
    random numbers of the jitter come from ``rng``, so that a test can repeat them.
    """

    __slots__ = ("_delay", "_failed_at", "_first", "_rng", "error", "failures", "retry_at")

    def __init__(self, first: float, rng: random.Random) -> None:
        self._first = first
        self._rng = rng
        self.failures: int = 0
        self.error: str | None = None
        self.retry_at: float = 0.0
        self._failed_at: float = 0.0
        """When the first failure of this round was reported."""
        self._delay: float = 0.0

    def failed(self, now: float, error: str, begun: float | None = None) -> float:
        """Records the failure of a creation that began at ``begun`` (None: after all others); returns the seconds until
        the next attempt."""
        self.error = error
        if self.failures and begun is not None and begun <= self._failed_at:
            self.retry_at = now + self._delay
            return self._delay
        self.failures += 1
        self._failed_at = now
        # The exponent is bounded because a float overflows at 2.0 ** 1024, and a resource may fail for days.
        delay = min(MAX_DELAY, self._first * 2.0 ** min(self.failures - 1, 30))
        # "Equal jitter", half fixed and half random: many processes whose database is back do not all connect at the
        # same time, and none retries immediately (M. Brooker, "Exponential Backoff And Jitter", 2015).
        self._delay = delay / 2 + self._rng.random() * delay / 2
        self.retry_at = now + self._delay
        return self._delay

    def succeeded(self) -> None:
        """Forgets the failures."""
        self.failures = 0
        self.error = None

    def allowed(self, now: float, wanted: int, starting: int) -> int:
        """Returns how many of ``wanted`` creations may begin now, while ``starting`` are under way."""
        if not self.failures:
            return wanted
        # One at a time: while the cause persists, each further creation would only fail and load what is down.
        return min(wanted, 1) if not starting and now >= self.retry_at else 0
