"""Does more help? Compares the throughput with different numbers of workers, each measured while the queue was never
empty, and says how many are useful.

More workers do not raise the throughput where all of them wait for the same thing: a processor (pure Python under the
GIL), a saturated database. Then they cost resources, and often throughput. Taken up from .NET's thread pool, which
climbs the hill of measured throughput (J. Hellerstein et al., "Optimizing concurrency levels in the .NET ThreadPool",
2008), and Netflix's ``concurrency-limits``, which compares the present with what was measured before. Other than these
it does nothing at all unless the queue is saturated, and judges only what is larger than the error of the measurement.

Rules:

- A *spell* is a time in which the number of ready workers stays the same. A saturated spell in which each worker has
  completed a few tasks makes a *point*: throughput with so many workers, and its error. Where the queue was empty at
  times, that many workers can do at least so much: good enough to say that fewer had done as much as more do.
- More workers *help* if each brings at least ``SHARE`` of what the former ones brought on average. If not, the limit
  is the smaller number, or, where the two lie far apart, their geometric mean, which is tried next.
- A smaller number is measured again while it is the limit; if the larger one proves to have been better (the tasks
  changed in between), the limit falls at once.
- A limit ends by itself after a pause, so that more are tried again; the pause doubles each time, up to ``PAUSE_MOST``.
- Where the queue stays saturated for seconds, and will for as long again, and nothing exact is known of fewer workers, half
  as many are tried for a short time; so rarely that making the resources again costs next to nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .events import Load

SHARE = 0.25
PAUSE_FIRST = 30.0
PAUSE_MOST = 300.0
FRESH = 60.0
SPELL_MOST = 10.0
LEAST = 10
EACH = 3
"""A point takes so many completions, in all and for each worker: the first ones began with another number of them."""
PROBE_AFTER = 3.0
PROBE_EVERY = 60.0
PROBE_CREATIONS = 100.0
PROBE_FOR = 20.0


@dataclass(frozen=True, slots=True)
class Point:
    """Measured throughput. Completions in disjoint times are taken for independent (Poisson)."""

    workers: int
    rate: float
    """Tasks a second; where not ``exact``, a lower bound."""
    completions: int
    at: float
    exact: bool = True

    @property
    def error(self) -> float:
        """Two standard deviations, tasks a second."""
        return 2 * self.rate / math.sqrt(self.completions)


def compared(fewer: Point, more: Point) -> int:
    """1: the additional workers help; -1: they do not; 0: that can't be told."""
    worth = 1 + SHARE * (more.workers / fewer.workers - 1)
    if more.exact and more.rate + more.error < (fewer.rate - fewer.error) * worth:
        return -1
    return int(fewer.exact and more.rate - more.error > (fewer.rate + fewer.error) * worth)


@dataclass(frozen=True, slots=True)
class _Tick:
    at: float
    load: Load
    ready: int


class Trials:
    """See the module's docstring. Not thread-safe."""

    __slots__ = ("_begun", "_last", "_limit", "_pause", "_points", "_probed", "_probing", "_saturated", "_until", "why")

    def __init__(self, now: float) -> None:
        self.why: str = ""
        """What was measured, in words and numbers."""
        self._points: dict[int, Point] = {}
        self._last = self._begun = _Tick(now, Load(0, 0, 0, 0), 0)
        self._saturated = False
        self._limit: int | None = None
        self._until = now
        self._pause = PAUSE_FIRST
        self._probing = False
        self._probed = now - PROBE_EVERY

    @property
    def useful(self) -> int | None:
        """More workers than that do not help, as far as is known."""
        return self._limit

    def forget(self) -> None:
        """What was measured does not hold any more."""
        self._points.clear()
        self._lift()

    def sample(self, now: float, load: Load, ready: int, least: int, creation_time: float) -> None:
        """Enters a tick with ``ready`` workers, those included that will retire; ``least`` will remain."""
        self._expire(now)
        tick, last = _Tick(now, load, ready), self._last
        self._last = tick
        if ready != last.ready:
            self._note(_point(last, tick, max(ready, last.ready), exact=False))
            self._begun, self._saturated = tick, True
            return
        # As many as waited at the last tick were not all started since: so the queue was never empty.
        started = load.ended - last.load.ended + load.running - last.load.running
        saturated = bool(load.queued and last.load.queued >= started)
        idle = not (last.load.queued or last.load.running)
        if idle or saturated != self._saturated or last.at - self._begun.at >= SPELL_MOST:
            self._begun, self._saturated = last, saturated
        point = _point(self._begun, tick, ready, exact=saturated)
        self._note(point)
        if point is not None and saturated:
            self._judge(point, now)
            self._probe(point, now, least, creation_time)

    def _note(self, point: Point | None) -> None:
        if point is None:
            return
        known = self._points.get(point.workers)
        if known is None or point.exact or (not known.exact and point.rate > known.rate):
            self._points[point.workers] = point

    def _expire(self, now: float) -> None:
        self._points = {count: point for count, point in self._points.items() if now - point.at < FRESH}
        if self._limit is None or now < self._until:
            return
        if not self._probing:
            self._points = {count: point for count, point in self._points.items() if count <= self._limit}
            self._pause = min(2 * self._pause, PAUSE_MOST)
            self._probed = now  # the way up comes first
        self._limit, self._probing = None, False

    def _judge(self, point: Point, now: float) -> None:
        """What the newest measurement says, together with the others."""
        for count in sorted(self._points):
            other = self._points[count]
            if count < point.workers:
                verdict = compared(other, point)
                if verdict < 0:
                    self._hold(other, point, now)
                    return
                self._pause = PAUSE_FIRST if verdict else self._pause
            elif count > point.workers:
                verdict = compared(point, other)
                if verdict > 0:
                    # What was known of even fewer had led astray.
                    self._points = {known: one for known, one in self._points.items() if known >= point.workers}
                    self._lift()
                elif verdict and self._probing:
                    self._hold(point, other, now)

    def _lift(self) -> None:
        self._limit = None
        self._probing = False
        self._pause = PAUSE_FIRST

    def _hold(self, fewer: Point, more: Point, now: float) -> None:
        near = more.workers <= 2 * fewer.workers
        self._limit = fewer.workers if near else math.isqrt(fewer.workers * more.workers)
        self._until = now + self._pause
        self._probing = False
        measured = f"{more.workers} completed {more.rate:.1f}/s, {fewer.workers} had done {fewer.rate:.1f}/s"
        self.why = f"more workers do not help: {measured}"

    def _probe(self, point: Point, now: float, least: int, creation_time: float) -> None:
        """Looks what half as many do, where nothing is known of fewer."""
        known = any(count < point.workers and other.exact for count, other in self._points.items())
        if known or self._limit is not None or point.workers <= least or now - self._begun.at < PROBE_AFTER:
            return
        lasts = self._last.load.queued >= PROBE_AFTER * point.rate
        if lasts and now >= self._probed + max(PROBE_EVERY, PROBE_CREATIONS * creation_time):
            self._limit = max(least, point.workers // 2)
            self._until = now + PROBE_FOR
            self._probing = True
            self._probed = now
            self.why = f"{point.workers} workers complete {point.rate:.1f}/s, and it is tried whether fewer do"


def _point(begun: _Tick, tick: _Tick, workers: int, *, exact: bool) -> Point | None:
    """What was completed meanwhile, where that is enough to tell anything."""
    completions, seconds = tick.load.ended - begun.load.ended, tick.at - begun.at
    if seconds <= 0 or completions < max(LEAST, EACH * workers if exact else 0) or not workers:
        return None
    return Point(workers, completions / seconds, completions, tick.at, exact)
