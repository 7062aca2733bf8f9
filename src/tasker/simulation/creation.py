"""How making a resource goes: how long it takes, and when it fails."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Creation:
    """What ``on_create`` and ``on_destroy`` of the simulated pool do. All times in seconds."""

    time: float = 0.0
    """That making a resource takes, also where it fails in the end."""
    failing: float = 0.0
    """The share of creations that fail, from 0 to 1."""
    outage: tuple[float, float] | None = None
    """From when to when every creation that begins fails: the database is away."""
    destroy_time: float = 0.0
    """That ending a resource takes."""

    def error(self, begun: float, rng: random.Random) -> str | None:
        """Why a creation that began then fails, or None where it does not."""
        if self.outage is not None and self.outage[0] <= begun < self.outage[1]:
            return "simulated outage"
        if self.failing and rng.random() < self.failing:
            return "simulated failure"
        return None
