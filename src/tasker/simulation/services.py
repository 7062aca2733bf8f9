"""Distributions of service times (how long a task occupies its worker), one class for each, given by the mean in
seconds."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class ServiceTimes(Protocol):
    """A source of service times; the same state of ``rng`` gives the same times."""

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """Yields service times in seconds, without end or at least one for each task."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same time for every task."""

    mean: float

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``ServiceTimes``."""
        return itertools.repeat(self.mean)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Exponential: memoryless, the usual assumption of queueing theory. The standard deviation equals the mean."""

    mean: float

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``ServiceTimes``."""
        draw, rate = rng.expovariate, 1 / self.mean
        while True:
            yield draw(rate)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Log-normal: one mode and a long tail, as many real services have. ``sigma`` is the standard deviation of the
    logarithm."""

    mean: float
    sigma: float = 1.0

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``ServiceTimes``."""
        draw, sigma = rng.lognormvariate, self.sigma
        mu = math.log(self.mean) - sigma**2 / 2  # the mean is exp(mu + sigma**2 / 2)
        while True:
            yield draw(mu, sigma)


@dataclass(frozen=True, slots=True)
class Pareto:
    """Pareto: heavy-tailed, a few tasks take most of the time. ``alpha`` must be more than 1; up to 2, the variance is
    infinite."""

    mean: float
    alpha: float = 1.5

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``ServiceTimes``."""
        draw, alpha = rng.paretovariate, self.alpha
        least = self.mean * (alpha - 1) / alpha  # the mean is least * alpha / (alpha - 1)
        while True:
            yield least * draw(alpha)


@dataclass(frozen=True, slots=True)
class TraceServiceTimes:
    """The service times of a trace, in order, each for the arrival of the same task."""

    seconds: tuple[float, ...]

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``ServiceTimes``."""
        return iter(self.seconds)


@dataclass(frozen=True, slots=True)
class Empirical:
    """The empirical distribution of a trace: drawn from its service times with replacement, all equally likely."""

    seconds: tuple[float, ...]

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``ServiceTimes``."""
        choice, seconds = rng.choice, self.seconds
        while True:
            yield choice(seconds)
