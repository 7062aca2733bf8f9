"""The simulated creation of resources: how long it takes, and when it fails."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Creation:
    """The behaviour of ``on_create`` and ``on_destroy`` in a simulated pool. All times are in seconds."""

    time: float = 0.0
    """The duration of a creation, whether it succeeds or fails."""
    failing: float = 0.0
    """The share of creations that fail, from 0 to 1."""
    outage: tuple[float, float] | None = None
    """(begin, end): every creation that begins in this interval fails, as if a database were down."""
    destroy_time: float = 0.0
    """The duration of destroying a resource."""
    spread: float = 0.0
    """The standard deviation of the logarithm of a creation's duration, whose mean is ``time``; 0: all take as long."""

    def duration(self, rng: random.Random) -> float:
        """Draws how long a creation takes."""
        if not self.spread:
            return self.time
        return self.time * rng.lognormvariate(-self.spread * self.spread / 2, self.spread)

    def error(self, begun: float, rng: random.Random) -> str | None:
        """Returns why a creation that began at ``begun`` fails; None if it succeeds."""
        if self.outage is not None and self.outage[0] <= begun < self.outage[1]:
            return "simulated outage"
        if self.failing and rng.random() < self.failing:
            return "simulated failure"
        return None
