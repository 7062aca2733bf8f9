"""Overdue: follows how long each worker has been making or destroying its resource."""

from __future__ import annotations

from .events import Seat


class Overdue:
    """Remembers when each callback that runs now is to have returned. Not thread-safe.

    ``create_timeout`` and ``destroy_timeout`` are in seconds; None: no limit. Each costs O(workers that start or end) when
    something is asked, and nothing where it is None.
    """

    __slots__ = ("_create_timeout", "_creations", "_destroy_timeout", "_destructions")

    def __init__(self, create_timeout: float | None, destroy_timeout: float | None) -> None:
        self._create_timeout = create_timeout
        self._destroy_timeout = destroy_timeout
        self._creations: dict[Seat, float] = {}
        self._destructions: dict[Seat, float] = {}

    def begin_creation(self, seat: Seat, now: float) -> None:
        """The worker begins to make its resource."""
        if self._create_timeout is not None:
            self._creations[seat] = now + self._create_timeout

    def creation_ended(self, seat: Seat) -> None:
        """It has its resource, or none will come of it."""
        self._creations.pop(seat, None)

    def begin_destruction(self, seat: Seat, now: float) -> None:
        """The worker begins to destroy its resource."""
        if self._destroy_timeout is not None:
            self._destructions[seat] = now + self._destroy_timeout

    def forget(self, seat: Seat) -> None:
        """The worker is gone."""
        self._creations.pop(seat, None)
        self._destructions.pop(seat, None)

    def forget_all(self) -> None:
        """No worker is waited for any more."""
        self._creations.clear()
        self._destructions.clear()

    @property
    def moment(self) -> float | None:
        """When the next one is overdue, or None."""
        # Each limit is the same for all, so the first of each is due first.
        return min(
            (moment for due in (self._creations, self._destructions) for moment in [*due.values()][:1]), default=None
        )

    def take(self, now: float) -> list[tuple[Seat, bool, float]]:
        """Returns those that are overdue, each once: the worker, whether it makes its resource, and the limit."""
        taken: list[tuple[Seat, bool, float]] = []
        limits = ((self._creations, True, self._create_timeout), (self._destructions, False, self._destroy_timeout))
        for due, creates, limit in limits:
            for seat in [seat for seat, moment in due.items() if moment <= now]:
                del due[seat]
                assert limit is not None
                taken.append((seat, creates, limit))
        return taken
