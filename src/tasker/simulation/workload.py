"""A workload: what arrives, how long it takes, and how making a resource goes."""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import dataclass, field

from .arrivals import Arrivals
from .creation import Creation
from .services import Services


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of one run, drawn beforehand: so each rule and the oracle see the very same ones."""

    arrivals: array[float]
    """In seconds since the start, in order."""
    services: array[float]
    """In seconds, one for each arrival."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def work(self) -> float:
        """The seconds that a worker would need for all of them."""
        return math.fsum(self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A load to simulate."""

    name: str
    arrivals: Arrivals
    services: Services
    duration: float
    """Seconds after which nothing more arrives and the manager is stopped."""
    creation: Creation = field(default_factory=Creation)
    words: str = ""
    """What it is like, for people."""

    def draw(self, seed: int) -> Tasks:
        """The tasks, the same for the same seed. Arrivals and service times have a stream of random numbers each, so
        one of them may be changed without the other."""
        moments = array("d", self.arrivals.times(random.Random(f"{seed} arrivals"), self.duration))
        durations = self.services.durations(random.Random(f"{seed} services"))
        return Tasks(moments, array("d", (seconds for _, seconds in zip(moments, durations, strict=False))))
