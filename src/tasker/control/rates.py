"""Rates over a sliding window: how much a growing number grew in the last seconds."""

from __future__ import annotations

from collections import deque


class SlidingRate:
    """Remembers (time, number) samples of a window and answers growth a second. Not thread-safe."""

    __slots__ = ("_samples", "_spacing", "window")

    def __init__(self, window: float, now: float, number: float = 0) -> None:
        self.window: float = window
        # A window of 100 samples is exact enough, and constant in memory however often it is fed.
        self._spacing = window / 100
        self._samples: deque[tuple[float, float]] = deque([(now, number)])

    def sample(self, now: float, number: float) -> None:
        """Enters the number at a time; samples closer than a hundredth of the window are merged."""
        if len(self._samples) > 1 and now - self._samples[-2][0] < self._spacing:
            self._samples.pop()
        self._samples.append((now, number))
        while len(self._samples) > 2 and self._samples[1][0] <= now - self.window:
            self._samples.popleft()

    @property
    def elapsed(self) -> float:
        """Seconds between the oldest and the newest sample of the window."""
        return self._samples[-1][0] - self._samples[0][0]

    def rate(self) -> float:
        """Growth a second between the oldest and the newest sample of the window."""
        elapsed = self.elapsed
        return (self._samples[-1][1] - self._samples[0][1]) / elapsed if elapsed > 0 else 0.0
