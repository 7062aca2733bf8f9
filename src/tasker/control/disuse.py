"""Disuse: whether a resource has to be checked before it is used again."""

from __future__ import annotations


class Disuse:
    """Remembers when a resource was last used or checked. Not thread-safe. ``limit``: how long it may have been idle since."""

    __slots__ = ("_limit", "used")

    def __init__(self, limit: float, now: float) -> None:
        self._limit = limit
        self.used: float = now
        """The clock of ``due``."""

    def due(self, now: float) -> bool:
        """Returns whether it has been idle for too long."""
        return now - self.used > self._limit
