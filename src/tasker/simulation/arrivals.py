"""When tasks arrive: one class for each kind of stream. All times are seconds since the start, all rates per second."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class Arrivals(Protocol):
    """A stream of arrivals: the same ``rng`` gives the same stream."""

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """The moments of the arrivals in [0, duration), in order."""
        ...


@dataclass(frozen=True, slots=True)
class Regular:
    """One every ``1 / rate`` seconds, the first at once."""

    rate: float

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        moments = (number / self.rate for number in itertools.count())
        return itertools.takewhile(lambda moment: moment < duration, moments)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Independent arrivals, as from very many users: exponential times between two of them."""

    rate: float

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        between, now = rng.expovariate, 0.0
        while (now := now + between(self.rate)) < duration:
            yield now


@dataclass(frozen=True, slots=True)
class Varying:
    """Independent arrivals whose rate changes: a Poisson process of the highest rate, thinned out to the rate of the
    moment (P. Lewis and G. Shedler, "Simulation of Nonhomogeneous Poisson Processes by Thinning", 1979)."""

    rate: Callable[[float], float]
    """At a moment; never more than ``highest``."""
    highest: float

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        for moment in Poisson(self.highest).times(rng, duration):
            if rng.random() * self.highest < self.rate(moment):
                yield moment


@dataclass(frozen=True, slots=True)
class Given:
    """Those of a trace."""

    moments: tuple[float, ...]

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        return itertools.takewhile(lambda moment: moment < duration, self.moments)


def square(low: float, high: float, period: float) -> Varying:
    """``low`` for the first half of each period, ``high`` for the second."""
    return Varying(lambda moment: low if moment % period < period / 2 else high, max(low, high))


def ramp(low: float, high: float, duration: float) -> Varying:
    """From ``low`` to ``high``, steadily, within the duration."""
    return Varying(lambda moment: low + (high - low) * min(1.0, moment / duration), max(low, high))


def spike(low: float, high: float, begin: float, length: float) -> Varying:
    """``low``, but ``high`` for ``length`` seconds from ``begin`` on."""
    return Varying(lambda moment: high if begin <= moment < begin + length else low, max(low, high))


def diurnal(low: float, high: float, period: float) -> Varying:
    """Between ``low`` (at the start) and ``high`` along a sine of that period: a day and a night."""
    middle, swing = (low + high) / 2, (high - low) / 2
    return Varying(lambda moment: middle - swing * math.cos(2 * math.pi * moment / period), max(low, high))
