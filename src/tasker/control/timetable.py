"""A timetable: what is due when, for entries most of which are over before their moment comes."""

from __future__ import annotations

import heapq
import math
from typing import Generic, Protocol, TypeVar

_FEWEST = 64
"""Entries below which none is swept."""


class Entry(Protocol):
    """What has a moment."""

    def over(self) -> bool:
        """Returns whether nothing is to be done about it any more."""
        ...


E = TypeVar("E", bound=Entry)


class Timetable(Generic[E]):
    """Entries by their moments. Not thread-safe. Costs O(log n) for each, where n is at most twice the number of those that are
    not over."""

    __slots__ = ("_heap", "_order", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, E]] = []
        self._order = 0
        self._sweep_at = _FEWEST

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def moment(self) -> float | None:
        """When the first is due, or None."""
        return self._heap[0][0] if self._heap else None

    def add(self, entry: E, due: float) -> None:
        """Adds an entry; it may be in there already, for another moment."""
        self._order += 1  # of two that are due together the one that came first; and entries are not compared
        heapq.heappush(self._heap, (due, self._order, entry))
        if len(self._heap) >= self._sweep_at:
            # Entries that are over would stay until their moment, which may be hours away. Each sweep is paid for by as many
            # additions.
            self._heap = [one for one in self._heap if not one[2].over()]
            heapq.heapify(self._heap)
            self._sweep_at = max(_FEWEST, 2 * len(self._heap))

    def take(self, now: float, most: float = math.inf) -> list[E]:
        """Removes and returns those that are due, at most so many of them, the earliest first."""
        taken: list[E] = []
        while self._heap and self._heap[0][0] <= now and len(taken) < most:
            taken.append(heapq.heappop(self._heap)[2])
        return taken
