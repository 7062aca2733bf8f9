"""History: the last hour in constant memory, in steps of a second for ten minutes and of ten seconds before that."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from .points import COLUMNS, Point, point
from .reading import PoolReading


class Recorder:
    """The last points, at one step, in a ring for each column. Not thread-safe: the owner guards it.

    ``step``: seconds between two points, at least; ``most``: how many points are kept.
    """

    def __init__(self, step: float, most: int) -> None:
        self.step: float = step
        self._most = most
        self._times = array("d", bytes(8 * most))
        self._columns = [array("d", bytes(8 * most)) for _ in COLUMNS]
        self._count = 0
        self._before: PoolReading | None = None

    def __len__(self) -> int:
        return min(self._count, self._most)

    def add(self, reading: PoolReading) -> Point | None:
        """Makes a point of the time since the last one, and returns it. None: the step is not over yet."""
        before = self._before
        if before is None:
            self._before = reading
            return None
        # A quarter of a second early is early enough: a thread that samples every second never does so exactly.
        if reading.at - before.at < self.step - min(0.25, self.step / 4):
            return None
        values = point(before, reading)
        self._before = reading
        place = self._count % self._most
        self._times[place] = reading.at
        for column, value in zip(self._columns, values, strict=True):
            column[place] = value
        self._count += 1
        return values

    def columns(self) -> dict[str, Sequence[float]]:
        """Returns the points by column, the oldest first, and ``at``: when each step ended, in ``time.monotonic`` seconds."""
        return {
            "at": self._in_order(self._times),
            **dict(zip(COLUMNS, map(self._in_order, self._columns), strict=True)),
        }

    def tail(self, column: str, most: int) -> list[float]:
        """Returns the last values of a column, at most so many, the oldest first."""
        ring = self._columns[COLUMNS.index(column)]
        return [ring[place % self._most] for place in range(self._count - min(most, len(self)), self._count)]

    def _in_order(self, ring: array[float]) -> array[float]:
        if self._count <= self._most:
            return ring[: self._count]
        first = self._count % self._most
        return ring[first:] + ring[:first]


class History:
    """An hour of one manager: ``fine`` and ``coarse``."""

    def __init__(self) -> None:
        self.fine: Recorder = Recorder(1.0, 600)
        self.coarse: Recorder = Recorder(10.0, 360)

    def __iter__(self) -> Iterator[Recorder]:
        return iter((self.fine, self.coarse))

    def add(self, reading: PoolReading) -> tuple[Point | None, Point | None]:
        """Adds a reading, and returns the new points: a fine and a coarse one, where there are."""
        return self.fine.add(reading), self.coarse.add(reading)
