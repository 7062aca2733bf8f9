"""How often a manager is read for those who watch it."""

from __future__ import annotations

SHARE = 0.02
"""Of one processor, for the reading of managers: with thousands of workers, readings get rarer."""


def pause(interval: float, cost: float) -> float:
    """Returns the seconds to wait after a reading that took ``cost`` seconds, where one is wanted every ``interval``."""
    return max(interval - cost, cost / SHARE)
