"""Overdue: follows how long each worker has been making, checking, resetting or destroying its resource."""

from __future__ import annotations

from .events import Seat

OPTIONS = {
    "on_create": "create_timeout",
    "check_resource": "check_timeout",
    "on_return": "return_timeout",
    "on_destroy": "destroy_timeout",
}
"""The callbacks that may take too long, and the options that limit them."""


class Overdue:
    """Remembers when each callback that runs now is to have returned. Not thread-safe.

    ``limits``: in seconds, by callback; None: no limit. Each costs O(workers that start, check or end) when something is asked,
    and nothing where it is None.
    """

    __slots__ = ("_due", "_limits")

    def __init__(self, limits: dict[str, float | None]) -> None:
        self._limits = {callback: limit for callback, limit in limits.items() if limit is not None}
        self._due: dict[str, dict[Seat, float]] = {callback: {} for callback in self._limits}

    def begin(self, callback: str, seat: Seat, now: float) -> None:
        """The worker is about to call it."""
        if callback in self._due:
            self._due[callback][seat] = now + self._limits[callback]

    def forget(self, seat: Seat, *callbacks: str) -> None:
        """The worker has returned from one of these, or is gone (none is given)."""
        for callback, due in self._due.items():
            if not callbacks or callback in callbacks:
                due.pop(seat, None)

    def forget_all(self) -> None:
        """No worker is waited for any more."""
        for due in self._due.values():
            due.clear()

    @property
    def moment(self) -> float | None:
        """When the next one is overdue, or None."""
        # Each limit is the same for all, so the first of each is due first.
        return min((moment for due in self._due.values() for moment in [*due.values()][:1]), default=None)

    def take(self, now: float) -> list[tuple[Seat, str, float]]:
        """Returns those that are overdue, each once: the worker, the callback, and its limit."""
        taken: list[tuple[Seat, str, float]] = []
        for callback, due in self._due.items():
            for seat in [seat for seat, moment in due.items() if moment <= now]:
                del due[seat]
                taken.append((seat, callback, self._limits[callback]))
        return taken
