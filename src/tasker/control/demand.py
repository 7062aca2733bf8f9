"""What is asked of the workers, measured: from the load at each tick to what a policy may decide on."""

from __future__ import annotations

from collections import deque

from .events import Load, Seat
from .rates import SlidingRate
from .scaling import Window

RECENT = 1.0
USUAL = 10.0
_WEIGHT = 0.3
"""Of the newest creation in the mean: four of them are three quarters of it."""


class _Flow:
    """Three sliding rates over one window."""

    __slots__ = ("_arrived", "_busy", "_ended")

    def __init__(self, seconds: float, now: float) -> None:
        self._arrived = SlidingRate(seconds, now)
        self._ended = SlidingRate(seconds, now)
        self._busy = SlidingRate(seconds, now)

    def sample(self, now: float, load: Load, busy: float) -> None:
        """Enters a tick; ``busy`` is how many worker-seconds tasks have taken so far."""
        self._arrived.sample(now, load.arrived)
        self._ended.sample(now, load.ended)
        self._busy.sample(now, busy)

    def window(self) -> Window:
        """What went through."""
        return Window(self._arrived.rate(), self._ended.rate(), self._busy.rate(), self._busy.elapsed)


class Demand:
    """Remembers the load of the last seconds and how many workers it needed. Not thread-safe."""

    __slots__ = ("_at", "_busy", "_peaks", "_recent", "_running", "_usual")

    def __init__(self, now: float) -> None:
        self._recent = _Flow(RECENT, now)
        self._usual = _Flow(USUAL, now)
        self._at = now
        self._running = 0
        self._busy = 0.0
        self._peaks: deque[tuple[float, int]] = deque()

    def sample(self, now: float, load: Load) -> None:
        """Enters a tick. What ran in between is taken for the mean of what ran at its ends."""
        self._busy += (now - self._at) * (self._running + load.running) / 2
        self._at, self._running = now, load.running
        for flow in (self._recent, self._usual):
            flow.sample(now, load, self._busy)

    @property
    def recent(self) -> Window:
        """The last ``RECENT`` seconds."""
        return self._recent.window()

    @property
    def usual(self) -> Window:
        """The last ``USUAL`` seconds."""
        return self._usual.window()

    def needed(self, now: float, count: int) -> None:
        """So many workers were needed now. Forgets what was no more than that: at most as many moments are remembered
        as there are different numbers."""
        while self._peaks and self._peaks[-1][1] <= count:
            self._peaks.pop()
        self._peaks.append((now, count))

    @property
    def peaks(self) -> tuple[tuple[float, int], ...]:
        """When so many were last needed, ever later and ever fewer."""
        return tuple(self._peaks)


class CreationClock:
    """Measures how long making a resource takes: from the order to the report, by seat."""

    __slots__ = ("_begun", "_mean")

    def __init__(self) -> None:
        self._begun: dict[Seat, float] = {}
        self._mean: float | None = None

    def begin(self, seat: Seat, now: float) -> None:
        """It was ordered."""
        self._begun[seat] = now

    def ready(self, seat: Seat, now: float) -> None:
        """It was made."""
        taken = now - self._begun.pop(seat, now)
        self._mean = taken if self._mean is None else (1 - _WEIGHT) * self._mean + _WEIGHT * taken

    def forget(self, seat: Seat) -> None:
        """It came to nothing, which says nothing about how long one takes."""
        self._begun.pop(seat, None)

    def seconds(self, now: float) -> float | None:
        """A weighted mean of the last ones; before the first, how long the oldest one under way has taken."""
        if self._mean is not None or not self._begun:
            return self._mean
        return now - min(self._begun.values())
