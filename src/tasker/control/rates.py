"""Rates over a sliding window: the growth of a counter in the last seconds."""

from __future__ import annotations

from collections import deque


class SlidingRate:
    """Remembers (time, number) samples of a window and returns the growth a second. Not thread-safe."""

    __slots__ = ("_samples", "_spacing", "window")

    def __init__(self, window: float, now: float, number: float = 0) -> None:
        self.window: float = window
        # 100 samples in a window are exact enough, and bound the memory however often it is fed.
        self._spacing = window / 100
        self._samples: deque[tuple[float, float]] = deque([(now, number)])

    def sample(self, now: float, number: float) -> None:
        """Enters the number at a moment; samples closer than a hundredth of the window are merged."""
        # Compared with the last sample but one: compared with the last, which moves with each merge, samples in quick
        # succession would merge into one for ever.
        if len(self._samples) > 1 and now - self._samples[-2][0] < self._spacing:
            self._samples.pop()
        self._samples.append((now, number))
        # The newest sample that is older than the window stays: the growth since the edge is measured from it.
        while len(self._samples) > 2 and self._samples[1][0] <= now - self.window:
            self._samples.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds between the oldest and the newest sample of the window."""
        return self._samples[-1][0] - self._samples[0][0]

    def rate(self) -> float:
        """The growth a second between the oldest and the newest sample of the window; 0 while there is one only."""
        elapsed = self.elapsed
        return (self._samples[-1][1] - self._samples[0][1]) / elapsed if elapsed > 0 else 0.0
