"""Disuse: whether a resource has to be checked before it is used again."""

from __future__ import annotations

_EARLY = 0.9
"""The share of an interval after which a check is due: a timer may be a little early."""


class Disuse:
    """Remembers when a resource was last used or checked. Not thread-safe. ``limit``: how long it may have been idle since when a
    task comes; ``interval``: and when none does (None: for ever)."""

    __slots__ = ("_interval", "_limit", "used")

    def __init__(self, limit: float, now: float, interval: float | None = None) -> None:
        self._limit = limit
        self._interval = interval
        self.used: float = now
        """The clock of ``due``."""

    def due(self, now: float, *, wanted: bool = True) -> bool:
        """Returns whether it has been idle for too long. ``wanted``: whether a task waits for it."""
        idle = now - self.used
        return (wanted and idle > self._limit) or (self._interval is not None and idle >= self._interval * _EARLY)
