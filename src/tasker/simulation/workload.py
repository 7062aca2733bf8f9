"""A workload: arrivals, service times, and the creation of resources."""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import dataclass, field

from .arrivals import Arrivals
from .creation import Creation
from .services import ServiceTimes


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of one run, drawn in advance, so that all rules and the oracle get the same ones."""

    arrivals: array[float]
    """In seconds since the start, in order."""
    services: array[float]
    """In seconds, one for each arrival."""

    def __len__(self) -> int:
        return len(self.arrivals)

    @property
    def work(self) -> float:
        """The sum of the service times, in seconds."""
        return math.fsum(self.services)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A load to simulate. All times are in seconds."""

    name: str
    arrivals: Arrivals
    services: ServiceTimes
    duration: float
    """When arrivals end and the manager is stopped."""
    creation: Creation = field(default_factory=Creation)
    words: str = ""
    """A description for people."""

    def draw(self, seed: int) -> Tasks:
        """Draws the tasks; the same seed gives the same tasks."""
        # A stream of random numbers each, so that other service times leave the arrivals as they are.
        moments = array("d", self.arrivals.times(random.Random(f"{seed} arrivals"), self.duration))
        durations = self.services.durations(random.Random(f"{seed} services"))
        return Tasks(moments, array("d", (seconds for _, seconds in zip(moments, durations, strict=False))))
