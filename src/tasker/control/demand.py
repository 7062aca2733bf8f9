"""Measures the demand for workers: turns the load at each tick into the numbers that a policy decides on."""

from __future__ import annotations

from collections import deque

from .events import Load, Seat
from .holding import REMEMBERED, Level
from .rates import SlidingRate
from .scaling import Window

RECENT = 1.0
USUAL = 10.0
"""The two windows, in seconds: the short one notices a change, the long one is exact."""
_WEIGHT = 0.3
"""The weight of the newest creation in the exponentially weighted mean: the last four make up three quarters of it."""


class _WindowRates:
    """The sliding rates of one window."""

    __slots__ = ("_arrived", "_busy", "_ended", "_squares", "_tasks")

    def __init__(self, seconds: float, now: float) -> None:
        self._arrived = SlidingRate(seconds, now)
        self._ended = SlidingRate(seconds, now)
        self._busy = SlidingRate(seconds, now)
        self._tasks = SlidingRate(seconds, now)
        self._squares = SlidingRate(seconds, now)

    def sample(self, now: float, load: Load, busy: float, tasks: float, squares: float) -> None:
        """Enters a tick; ``busy`` is the worker-seconds that tasks have taken so far, ``tasks`` and ``squares`` the
        integrals over time of the tasks in the pool, and of their square."""
        self._arrived.sample(now, load.arrived)
        self._ended.sample(now, load.ended)
        self._busy.sample(now, busy)
        self._tasks.sample(now, tasks)
        self._squares.sample(now, squares)

    def window(self) -> Window:
        """Returns the rates."""
        # The growth of the worker-seconds, per second, is the mean number of tasks that ran at the same time.
        return Window(self._arrived.rate(), self._ended.rate(), self._busy.rate(), self._busy.elapsed)

    def peakedness(self) -> float:
        """Returns the variance of the tasks in the pool divided by their mean; 1 if there were none."""
        mean = self._tasks.rate()
        return max(0.0, self._squares.rate() / mean - mean) if mean > 0 else 1.0


class Demand:
    """Remembers the load of the last seconds and the number of workers that it needed. Not thread-safe."""

    __slots__ = (
        "_at",
        "_busy",
        "_levels",
        "_need",
        "_needed_at",
        "_peaks",
        "_recent",
        "_running",
        "_squares",
        "_tasks",
        "_usual",
    )

    def __init__(self, now: float) -> None:
        self._recent = _WindowRates(RECENT, now)
        self._usual = _WindowRates(USUAL, now)
        self._at = now
        self._running = 0
        self._busy = 0.0
        self._tasks = self._squares = 0.0
        self._peaks: deque[tuple[float, int]] = deque()
        self._need = 0
        self._needed_at = now
        self._levels: list[Level] = []

    def sample(self, now: float, load: Load) -> None:
        """Enters a tick."""
        # How many tasks ran between two ticks is not known: the mean of both (the trapezoidal rule).
        self._busy += (now - self._at) * (self._running + load.running) / 2
        tasks = load.queued + load.running
        self._tasks += (now - self._at) * tasks
        self._squares += (now - self._at) * tasks * tasks
        self._at, self._running = now, load.running
        for rates in (self._recent, self._usual):
            rates.sample(now, load, self._busy, self._tasks, self._squares)

    @property
    def recent(self) -> Window:
        """The last ``RECENT`` seconds."""
        return self._recent.window()

    @property
    def usual(self) -> Window:
        """The last ``USUAL`` seconds."""
        return self._usual.window()

    @property
    def peakedness(self) -> float:
        """The variance of the tasks in the pool divided by their mean, over the last ``USUAL`` seconds: 1 for independent
        arrivals, more if they come in bursts, less if they are regular."""
        return self._usual.peakedness()

    def needed(self, now: float, count: int, shortest: float = 0.0) -> None:
        """Records that ``count`` workers were needed at ``now``. Gaps below ``shortest`` seconds are not remembered."""
        self._note_levels(now, count, shortest)
        # An earlier need that was no greater can never be the greatest of a window again, since each window that
        # contains it contains this one. So the numbers decrease, and there are at most as many as different needs.
        while self._peaks and self._peaks[-1][1] <= count:
            self._peaks.pop()
        self._peaks.append((now, count))

    def _note_levels(self, now: float, count: int, shortest: float) -> None:
        levels, before, last = self._levels, self._need, self._needed_at
        self._need, self._needed_at = count, now
        levels.extend(Level() for _ in range(count - len(levels)))
        for place in range(before, count):
            level = levels[place]
            if level.since is not None:
                gap = now - level.since
                levels[place] = Level(None, level.gaps if gap < shortest else (*level.gaps, gap)[-REMEMBERED:])
        for place in range(count, before):
            levels[place] = Level(last, levels[place].gaps)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that were ever needed: first that of the first worker."""
        return tuple(self._levels)

    @property
    def peaks(self) -> tuple[tuple[float, int], ...]:
        """(moment, workers): when that many were last needed; the moments increase, the numbers decrease."""
        return tuple(self._peaks)


class CreationClock:
    """Measures how long making a resource takes: from the order to the report, by seat. Not thread-safe."""

    __slots__ = ("_begun", "_lately", "_mean")

    def __init__(self) -> None:
        self._begun: dict[Seat, float] = {}
        self._lately: deque[float] = deque()
        self._mean: float | None = None

    def begin(self, seat: Seat, now: float) -> None:
        """The creation was ordered."""
        self._begun[seat] = now
        self._lately.append(now)
        self.begun_lately(now)  # which drops the others: where nothing scales, nothing else asks

    def begun_lately(self, now: float) -> int:
        """Returns how many creations were ordered in the last ``USUAL`` seconds."""
        while self._lately and self._lately[0] <= now - USUAL:
            self._lately.popleft()
        return len(self._lately)

    def ready(self, seat: Seat, now: float) -> float | None:
        """The resource was made. Returns when that began, or None if it was given up just before."""
        begun = self._begun.pop(seat, None)
        if begun is None:
            return None
        taken = now - begun
        self._mean = taken if self._mean is None else (1 - _WEIGHT) * self._mean + _WEIGHT * taken
        return begun

    def forget(self, seat: Seat) -> float | None:
        """The creation came to nothing: it failed, or its worker ended. Returns when it began, or None if it is not
        under way."""
        # Not measured: a refused connection fails within a millisecond, whatever a creation that succeeds takes.
        return self._begun.pop(seat, None)

    def seconds(self, now: float) -> float | None:
        """Returns the weighted mean, in seconds; until a first resource was made, the age of the oldest creation that
        is under way; None if there is none."""
        if self._mean is not None or not self._begun:
            return self._mean
        return now - min(self._begun.values())
