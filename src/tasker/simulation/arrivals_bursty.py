"""Arrival processes that are burstier than independent arrivals: as real traces are."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from .arrivals import NonHomogeneousPoisson, Poisson


@dataclass(frozen=True, slots=True)
class MarkovModulated:
    """A Markov-modulated Poisson process: the rate jumps at random between several values, each of which lasts
    exponentially long."""

    states: tuple[tuple[float, float], ...]
    """(tasks a second, mean seconds in the state); from each state, any other one follows with equal probability."""

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        now, state = 0.0, 0
        while now < duration:
            rate, mean = self.states[state]
            end = min(duration, now + rng.expovariate(1 / mean))
            for moment in Poisson(rate).times(rng, end - now):
                yield now + moment
            now = end
            state = (state + rng.randrange(1, len(self.states))) % len(self.states)


@dataclass(frozen=True, slots=True)
class OnOffSources:
    """Sources that are on and off by turns, for times that are Pareto distributed: their sum is self-similar, bursty at
    every time scale (W. Willinger et al., "Self-Similarity Through High-Variability", 1997)."""

    sources: int
    rate: float
    """Of each source while it is on, in tasks a second."""
    mean: float
    """Seconds, of on and of off."""
    alpha: float = 1.4

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        return heapq.merge(*(self._source(random.Random(rng.getrandbits(64)), duration) for _ in range(self.sources)))

    def _source(self, rng: random.Random, duration: float) -> Iterator[float]:
        least = self.mean * (self.alpha - 1) / self.alpha
        now, on = -rng.random() * 4 * self.mean, rng.random() < 0.5
        while now < duration:
            end = now + least * rng.paretovariate(self.alpha)
            if on:
                yield from (
                    now + moment
                    for moment in Poisson(self.rate).times(rng, min(end, duration) - now)
                    if now + moment >= 0
                )
            now, on = end, not on


@dataclass(frozen=True, slots=True)
class Functions:
    """The invocations of a few hundred functions as in the Azure traces: most are rare, a few make most of the load, some
    are fired by timers, all at the same second, and some come in bursts (M. Shahrad et al., "Serverless in the Wild",
    2020)."""

    count: int
    rate: float
    """Of all together, in tasks a second, on average."""

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        # Popularity falls as a power of the rank (Zipf), which makes the most popular tenth most of the load.
        weights = [1 / (rank + 1) ** 1.1 for rank in range(self.count)]
        scale = self.rate / math.fsum(weights)
        streams = [
            self._function(random.Random(rng.getrandbits(64)), scale * weight, rank % 3, duration)
            for rank, weight in enumerate(weights)
        ]
        return heapq.merge(*streams)

    def _function(self, rng: random.Random, rate: float, kind: int, duration: float) -> Iterator[float]:
        if kind == 0:  # requests of users
            yield from Poisson(rate).times(rng, duration)
        elif kind == 1:  # a timer: each minute at a full second, all its invocations at once
            second = float(rng.randrange(0, 60, 15))
            while second < duration:
                each = rate * 60
                yield from [second] * (int(each) + (rng.random() < each % 1))
                second += 60.0
        else:  # an event that leads to several invocations in a short time
            for moment in Poisson(rate / 10).times(rng, duration):
                burst = sorted(moment + rng.expovariate(10.0) for _ in range(1 + int(rng.expovariate(1 / 9))))
                yield from (one for one in burst if one < duration)


def sawtooth(low: float, high: float, period: float) -> NonHomogeneousPoisson:
    """Returns a rate that rises from ``low`` to ``high`` in each period, and falls at once at its end."""
    return NonHomogeneousPoisson(lambda moment: low + (high - low) * (moment % period) / period, max(low, high))


def flash_crowd(low: float, high: float, begin: float, rise: float, decay: float) -> NonHomogeneousPoisson:
    """Returns the rate ``low`` until ``begin``, from where it rises to ``high`` within ``rise`` seconds, and then falls by
    a factor of e in each ``decay`` seconds."""

    def rate(moment: float) -> float:
        since = moment - begin
        if since < 0:
            return low
        return low + (high - low) * (since / rise if since < rise else math.exp(-(since - rise) / decay))

    return NonHomogeneousPoisson(rate, max(low, high))


def noisy_diurnal(low: float, high: float, period: float, noise: float, seed: int) -> NonHomogeneousPoisson:
    """Returns a sine as ``diurnal`` does, whose rate in each ten seconds is multiplied by a log-normal factor with a
    deviation of ``noise``."""
    rng = random.Random(f"{seed} noise")
    factors = [rng.lognormvariate(-noise * noise / 2, noise) for _ in range(1000)]
    most = 2.5

    def rate(moment: float) -> float:
        wave = (low + high) / 2 - (high - low) / 2 * math.cos(2 * math.pi * moment / period)
        return wave * min(most, factors[int(moment / 10) % len(factors)])

    return NonHomogeneousPoisson(rate, most * max(low, high))
