"""Idleness: for how long workers may be idle, whatever the policy says."""

from __future__ import annotations

from collections import deque

from .events import Load


class Idleness:
    """Remembers how many workers were in use lately, and which were made lately. Not thread-safe.

    ``timeout``: the seconds for which a worker may be idle; None: no limit. Which of several workers is idle does not matter:
    those beyond the most that were in use at any moment of that time.
    """

    __slots__ = ("_arrived", "_ended", "_peaks", "timeout")

    def __init__(self, timeout: float | None) -> None:
        self.timeout: float | None = timeout
        self._arrived = self._ended = 0
        self._peaks: deque[tuple[float, int]] = deque()
        """(moment, workers): the moments increase, the numbers decrease."""

    def sample(self, now: float, load: Load) -> None:
        """Enters a tick."""
        if self.timeout is None:
            return
        used = load.queued + load.running
        # What began and ended between two ticks has used a worker as well.
        if (load.arrived, load.ended) != (self._arrived, self._ended):
            used = max(used, 1)
            self._arrived, self._ended = load.arrived, load.ended
        if used:
            self.note(now, used)

    def note(self, now: float, count: int) -> None:
        """So many workers are in use, or are about to be made."""
        if self.timeout is None:
            return
        while self._peaks and self._peaks[-1][1] <= count:
            self._peaks.pop()
        self._peaks.append((now, count))

    def most(self, now: float) -> int | None:
        """Returns how many workers were in use at the same time within the timeout; None without one."""
        if self.timeout is None:
            return None
        while self._peaks and now >= self._peaks[0][0] + self.timeout:  # as a clock adds that is moved by the timeout
            self._peaks.popleft()
        return self._peaks[0][1] if self._peaks else 0
