"""Finds out whether more workers help: compares the throughput of different numbers of workers.

More workers do not raise the throughput if all of them wait for the same thing: a processor (pure Python under the
GIL), a saturated database. Then they cost resources, and often throughput. The idea is that of .NET's thread pool,
which climbs the hill of measured throughput (J. Hellerstein et al., "Optimizing concurrency levels in the .NET
ThreadPool", 2008), and of Netflix's ``concurrency-limits``, which compares the present with earlier measurements.
Unlike these, it does nothing unless the queue is saturated, and judges only differences that are larger than the error
of the measurement.

A *measurement* covers an interval in which the number of ready workers was constant. It is *exact* if the queue was
never empty during the interval: then the workers completed all that they could. A long backlog proves that by its
numbers. A short one, such as that of clients that each wait for their answer, does not; there, it counts that tasks
waited and all workers were busy at each of several ticks in a row, if tasks also took much longer than usual, or while
other numbers of workers are tried.

Fewer workers are tried where the backlog is long, or where tasks take several times as long as they do when nothing
waits: by Little's law, the throughput times that uncontended service time is the number of workers that do anything but
wait for each other (L. Brakmo and L. Peterson, "TCP Vegas", 1995, bound a window in this way).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .events import Load

MIN_GAIN = 0.25
"""More workers help if each of them adds at least this share of what each of the fewer ones completed on average."""
PAUSE_INITIAL = 30.0
PAUSE_MAX = 300.0
"""Seconds for which a limit holds before more workers are tried again: doubled each time, up to the maximum."""
MAX_AGE = 60.0
"""Seconds after which a measurement says nothing about the present load."""
INTERVAL_MAX = 10.0
"""Seconds after which an interval begins anew, so that a measurement follows a load that changes."""
MIN_COMPLETIONS = 10
MIN_COMPLETIONS_EACH = 3
"""Completions that a measurement takes, in all and for each worker: the first tasks to end were started by another
number of workers."""
PROBE_AFTER = 3.0
"""Seconds of saturation, past and to come, before fewer workers are tried."""
PROBE_EVERY = 60.0
PROBE_CREATIONS = 100.0
"""Between two trials of fewer workers lie so many seconds and so many creation times, so that making the resources
again costs next to nothing."""
PROBE_FOR = 20.0
"""Seconds after which a trial of fewer or of more workers ends without a result."""
SEEN = 10
"""Ticks in a row at which tasks waited and all workers were busy, that count as an interval in which this was so."""
CROWDED = 2.0
"""Workers stand in each other's way if tasks take so many times as long as uncontended ones."""
SLACK = 1.5
"""The workers that are tried where they do, as a multiple of those that are doing anything."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measured throughput. Completions in disjoint intervals are taken to be independent (Poisson)."""

    workers: int
    rate: float
    """Tasks a second; a lower bound if not ``exact``."""
    completions: int
    at: float
    exact: bool = True

    @property
    def error(self) -> float:
        """Two standard deviations, in tasks a second; four of a lower bound, which is the largest of several."""
        return (2 if self.exact else 4) * self.rate / math.sqrt(self.completions)


def compared(fewer: Measurement, more: Measurement) -> int:
    """Returns 1 if the additional workers help, -1 if they do not, 0 if the measurements are not exact enough to
    say."""
    worth = 1 + MIN_GAIN * (more.workers / fewer.workers - 1)
    # A lower bound only proves that its workers complete at least so much: so `more` may be one where it helps, and
    # `fewer` may be one where the additional workers do not.
    if more.exact and more.rate + more.error < (fewer.rate - fewer.error) * worth:
        return -1
    return int(fewer.exact and more.rate - more.error > (fewer.rate + fewer.error) * worth)


@dataclass(frozen=True, slots=True)
class _Tick:
    at: float
    load: Load
    ready: int


class Trials:
    """Measures the throughput at each tick, and limits the number of workers accordingly. Not thread-safe."""

    __slots__ = (
        "_begun",
        "_climbs",
        "_known",
        "_last",
        "_limit",
        "_more",
        "_pause",
        "_probed",
        "_probing",
        "_proved",
        "_saturated",
        "_ticks",
        "_uncontended",
        "_until",
        "why",
    )

    def __init__(self, now: float) -> None:
        self.why: str = ""
        """The measurements behind the last limit, in words and numbers."""
        self._known: dict[int, Measurement] = {}
        self._last = self._begun = _Tick(now, Load(0, 0, 0, 0), 0)
        self._saturated = False
        self._proved = True
        """Whether numbers prove that the queue was never empty in this interval."""
        self._ticks = 0
        """Of this interval."""
        self._uncontended: tuple[float, float] | None = None
        """(seconds, moment): the shortest service time of late, and when it was measured."""
        self._limit: int | None = None
        self._more = 0
        """More workers than the limit, which were found not to help."""
        self._climbs = False
        """Whether more workers than the last limit are being tried."""
        self._until = now
        self._pause = PAUSE_INITIAL
        self._probing = False
        self._probed = now - PROBE_EVERY

    @property
    def useful(self) -> int | None:
        """The limit: more workers than this do not help, as far as is known. None if there is no limit."""
        return self._limit

    @property
    def probing(self) -> bool:
        """Whether the limit is a trial of fewer workers."""
        return self._probing

    def forget(self) -> None:
        """Discards all measurements and the limit."""
        self._known.clear()
        self._lift()

    def sample(
        self,
        now: float,
        load: Load,
        ready: int,
        least: int,
        creation_time: float,
        *,
        settled: bool = True,
        service: float | None = None,
    ) -> None:
        """Enters a tick.

        ``ready`` counts the ready workers, including those that are going to retire; ``least`` is the number below
        which no limit may fall; ``settled`` says that no worker starts or has to retire, without which no trial of
        fewer begins; ``service`` is the usual service time. Times are seconds.
        """
        self._expire(now)
        self._note_service(now, service)
        tick, last = _Tick(now, load, ready), self._last
        self._last = tick
        if ready != last.ready:
            # Which of the two numbers of workers completed these tasks is unknown. For the larger one it is a lower
            # bound in any case.
            self._note(_measured(last, tick, max(ready, last.ready), exact=False))
            self._begin(tick, saturated=True)
            return
        # If the queue held more tasks at the last tick than were started since, it was never empty in between.
        started = load.ended - last.load.ended + load.running - last.load.running
        proved = bool(load.queued and last.load.queued >= started)
        saturated = proved or (_full(tick) and _full(last))
        idle = not (last.load.queued or last.load.running)
        if idle or saturated != self._saturated or last.at - self._begun.at >= INTERVAL_MAX:
            self._begin(last, saturated=saturated)
        self._ticks += 1
        self._proved = self._proved and proved
        seen = self._ticks >= SEEN and (self._probing or self._climbs or self._crowded(tick))
        exact = saturated and (self._proved or seen)
        measurement = _measured(self._begun, tick, ready, exact=exact)
        self._note(measurement)
        if measurement is not None and exact:
            # In this order: a trial of fewer workers is for a pool of which no comparison is known.
            self._judge(measurement, now)
            if settled:
                self._probe(measurement, now, least, creation_time)

    def _begin(self, tick: _Tick, *, saturated: bool) -> None:
        self._begun, self._saturated, self._proved, self._ticks = tick, saturated, True, 0

    def _note_service(self, now: float, service: float | None) -> None:
        known = self._uncontended
        if service is not None and (known is None or service <= known[0] or now - known[1] > PAUSE_MAX):
            self._uncontended = (service, now)

    def _note(self, measurement: Measurement | None) -> None:
        if measurement is None:
            return
        known = self._known.get(measurement.workers)
        # The newest exact measurement counts; a lower bound replaces only a smaller lower bound.
        if known is None or measurement.exact or (not known.exact and measurement.rate > known.rate):
            self._known[measurement.workers] = measurement

    def _expire(self, now: float) -> None:
        """Forgets old measurements, and ends a limit whose time is up, so that more workers are tried again."""
        self._known = {count: known for count, known in self._known.items() if now - known.at < MAX_AGE}
        if self._limit is None or now < self._until:
            return
        if self._probing:
            self._uncontended = None  # it did not say how many workers are of use
            self._limit, self._probing = None, False
            return
        # More workers must be measured anew: the old measurement would bring the same limit back at once.
        self._known = {count: known for count, known in self._known.items() if count <= self._limit}
        self._probed = now  # more workers are tried before fewer are
        if not self._climbs:
            self._pause = min(2 * self._pause, PAUSE_MAX)
        self._climb(now)

    def _climb(self, now: float) -> None:
        """Tries twice as many workers, and not all at once: if they do not help, the fewer creations were in vain."""
        assert self._limit is not None
        more = 2 * self._limit
        self._climbs = more < self._more
        self._limit = more if self._climbs else None
        self._more = self._more if self._climbs else 0
        self._until = now + PROBE_FOR
        self.why = f"{more} workers are tried again, which did not help before"

    def _judge(self, newest: Measurement, now: float) -> None:
        """Compares the newest measurement with the others, and sets or lifts the limit."""
        for count in sorted(self._known):
            other = self._known[count]
            if count < newest.workers:
                verdict = compared(other, newest)
                if verdict < 0:
                    self._hold(other, newest, now)
                    return
                self._pause = PAUSE_INITIAL if verdict else self._pause
                if verdict and self._climbs and newest.workers == self._limit:
                    self._climb(now)
            elif count > newest.workers:
                verdict = compared(newest, other)
                if verdict > 0:
                    # The tasks changed after the measurements of even fewer workers, which led to this limit.
                    self._known = {known: one for known, one in self._known.items() if known >= newest.workers}
                    self._lift()
                elif verdict and self._probing:
                    self._hold(newest, other, now)

    def _lift(self) -> None:
        self._limit = None
        self._probing = self._climbs = False
        self._more = 0
        self._pause = PAUSE_INITIAL

    def _hold(self, fewer: Measurement, more: Measurement, now: float) -> None:
        # If the two numbers lie far apart, the best one may lie between them, so their geometric mean is tried next.
        near = more.workers <= 2 * fewer.workers
        self._limit = fewer.workers if near else math.isqrt(fewer.workers * more.workers)
        self._until = now + self._pause
        self._probing = self._climbs = False
        self._more = max(self._more, more.workers)
        measured = f"{more.workers} completed {more.rate:.1f}/s, {fewer.workers} had done {fewer.rate:.1f}/s"
        self.why = f"more workers do not help: {measured}"

    def _probe(self, newest: Measurement, now: float, least: int, creation_time: float) -> None:
        """Tries fewer workers for a short time, if nothing exact is known of fewer and there is reason to."""
        known = any(count < newest.workers and other.exact for count, other in self._known.items())
        if known or self._limit is not None or newest.workers <= least or now - self._begun.at < PROBE_AFTER:
            return
        useful = self._in_use(newest.rate)
        lasts = self._last.load.queued >= PROBE_AFTER * newest.rate
        crowded = CROWDED * useful <= newest.workers
        if (lasts or crowded) and now >= self._probed + max(PROBE_EVERY, PROBE_CREATIONS * creation_time):
            fewer = min(newest.workers // 2, math.ceil(SLACK * useful)) if crowded else newest.workers // 2
            self._limit = max(least, fewer)
            self._until = now + PROBE_FOR
            self._probing = True
            self._probed = now
            self.why = f"{newest.workers} workers complete {newest.rate:.1f}/s, and it is tried whether fewer do"

    def _in_use(self, rate: float) -> float:
        """Returns how many workers are needed for this throughput if none of them waits for another one; infinitely many if
        that is not known."""
        return math.inf if self._uncontended is None else rate * self._uncontended[0]

    def _crowded(self, tick: _Tick) -> bool:
        """Returns whether the workers of this interval stand in each other's way."""
        completions, seconds = tick.load.ended - self._begun.load.ended, tick.at - self._begun.at
        return CROWDED * self._in_use(completions / seconds) <= tick.ready


def _full(tick: _Tick) -> bool:
    """Returns whether tasks waited although all workers were busy."""
    return tick.load.queued > 0 and tick.load.running >= tick.ready > 0


def _measured(begun: _Tick, tick: _Tick, workers: int, *, exact: bool) -> Measurement | None:
    """Returns the throughput between two ticks; None if too few tasks were completed to say anything."""
    completions, seconds = tick.load.ended - begun.load.ended, tick.at - begun.at
    if (
        seconds <= 0
        or completions < max(MIN_COMPLETIONS, MIN_COMPLETIONS_EACH * workers if exact else 0)
        or not workers
    ):
        return None
    return Measurement(workers, completions / seconds, completions, tick.at, exact)
