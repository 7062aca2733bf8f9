"""How long tasks take: one class for each distribution, all given by their mean in seconds."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class Services(Protocol):
    """A stream of service times: the same ``rng`` gives the same stream."""

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """Seconds, without end; or as many as there are tasks."""
        ...


@dataclass(frozen=True, slots=True)
class Equal:
    """Each task takes as long as any other."""

    mean: float

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``Services``."""
        return itertools.repeat(self.mean)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Memoryless: the usual assumption of queueing theory. The standard deviation equals the mean."""

    mean: float

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``Services``."""
        draw, rate = rng.expovariate, 1 / self.mean
        while True:
            yield draw(rate)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """As many services look: a hump and a long tail. ``sigma`` is the standard deviation of the logarithm."""

    mean: float
    sigma: float = 1.0

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``Services``."""
        draw, sigma = rng.lognormvariate, self.sigma
        mu = math.log(self.mean) - sigma**2 / 2
        while True:
            yield draw(mu, sigma)


@dataclass(frozen=True, slots=True)
class Pareto:
    """Heavy-tailed: a few tasks take most of the time. ``alpha`` more than 1; at 2 and below, the variance is infinite."""

    mean: float
    alpha: float = 1.5

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``Services``."""
        draw, alpha = rng.paretovariate, self.alpha
        least = self.mean * (alpha - 1) / alpha
        while True:
            yield least * draw(alpha)


@dataclass(frozen=True, slots=True)
class Given:
    """Those of a trace."""

    seconds: tuple[float, ...]

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``Services``."""
        return iter(self.seconds)


@dataclass(frozen=True, slots=True)
class Drawn:
    """Drawn from those of a trace, each as likely as any other."""

    seconds: tuple[float, ...]

    def durations(self, rng: random.Random, /) -> Iterator[float]:
        """See ``Services``."""
        choice, seconds = rng.choice, self.seconds
        while True:
            yield choice(seconds)
