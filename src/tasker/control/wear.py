"""Wear: when a resource has served its time, though nothing is wrong with it."""

from __future__ import annotations

JITTER = 0.1
"""The largest share by which a lifetime is shortened at random. Resources that were made at the same time, at the start or
after an outage, would otherwise be replaced at the same time, for ever."""


class Wear:
    """Counts the tasks that one resource has served, and knows until when it may serve. Not thread-safe.

    ``most``: the number of tasks; ``until``: the clock of ``worn``. None: no limit.
    """

    __slots__ = ("_most", "_until", "served")

    def __init__(self, most: int | None, until: float | None) -> None:
        self._most = most
        self._until = until
        self.served: int = 0
        """Tasks that have ended with it."""

    def worn(self, now: float) -> bool:
        """Returns whether it gets no more tasks."""
        if self._most is not None and self.served >= self._most:
            return True
        return self._until is not None and now >= self._until

    def remaining(self, wanted: int) -> int:
        """Returns how many of the wanted tasks it may have."""
        return wanted if self._most is None else min(wanted, self._most - self.served)


def end_of_life(lifetime: float | None, now: float, share: float) -> float | None:
    """Returns until when a resource that was made ``now`` may serve; None without a limit. ``share``, from 0 to 1, is how much
    of the jitter it gets."""
    return None if lifetime is None else now + lifetime * (1.0 - JITTER * share)
