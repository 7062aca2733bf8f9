"""Arrival processes, one class for each. All times are in seconds since the start, all rates in tasks a second."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class Arrivals(Protocol):
    """An arrival process; the same state of ``rng`` gives the same arrivals."""

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """Yields the moments of the arrivals in [0, duration), in order."""
        ...


@dataclass(frozen=True, slots=True)
class Regular:
    """Equidistant arrivals, one every ``1 / rate`` seconds, the first at 0."""

    rate: float

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        moments = (number / self.rate for number in itertools.count())
        return itertools.takewhile(lambda moment: moment < duration, moments)


@dataclass(frozen=True, slots=True)
class Poisson:
    """A Poisson process: independent arrivals, as from very many users, with exponential times between them."""

    rate: float

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        between, now = rng.expovariate, 0.0
        while (now := now + between(self.rate)) < duration:
            yield now


@dataclass(frozen=True, slots=True)
class NonHomogeneousPoisson:
    """Independent arrivals whose rate varies over time."""

    rate: Callable[[float], float]
    """The rate at a moment; never more than ``highest``."""
    highest: float

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        # Thinning: of the arrivals at the highest rate, each is kept with the probability rate / highest (P. Lewis and
        # G. Shedler, "Simulation of Nonhomogeneous Poisson Processes by Thinning", 1979).
        for moment in Poisson(self.highest).times(rng, duration):
            if rng.random() * self.highest < self.rate(moment):
                yield moment


@dataclass(frozen=True, slots=True)
class TraceArrivals:
    """The arrivals of a trace."""

    moments: tuple[float, ...]

    def times(self, rng: random.Random, duration: float, /) -> Iterator[float]:
        """See ``Arrivals``."""
        return itertools.takewhile(lambda moment: moment < duration, self.moments)


def square(low: float, high: float, period: float) -> NonHomogeneousPoisson:
    """Returns a square wave: ``low`` in the first half of each period, ``high`` in the second."""
    return NonHomogeneousPoisson(lambda moment: low if moment % period < period / 2 else high, max(low, high))


def ramp(low: float, high: float, duration: float) -> NonHomogeneousPoisson:
    """Returns a rate that changes linearly from ``low`` to ``high`` within the duration."""
    return NonHomogeneousPoisson(lambda moment: low + (high - low) * min(1.0, moment / duration), max(low, high))


def spike(low: float, high: float, begin: float, length: float) -> NonHomogeneousPoisson:
    """Returns the rate ``low``, but ``high`` for ``length`` seconds from ``begin`` on."""
    return NonHomogeneousPoisson(lambda moment: high if begin <= moment < begin + length else low, max(low, high))


def diurnal(low: float, high: float, period: float) -> NonHomogeneousPoisson:
    """Returns a sine between ``low`` (at the start) and ``high`` with that period, as of day and night."""
    middle, swing = (low + high) / 2, (high - low) / 2
    return NonHomogeneousPoisson(
        lambda moment: middle - swing * math.cos(2 * math.pi * moment / period), max(low, high)
    )
