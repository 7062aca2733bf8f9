"""How often a manager is read for those who watch it."""

from __future__ import annotations

SHARE = 0.02
"""Of one processor, for the reading of managers: with thousands of workers, readings get rarer."""


LONGEST = 10.0
"""Seconds between two readings, whatever they cost."""


def pause(interval: float, took: float, cost: float) -> float:
    """Returns the seconds to wait after a reading, where one is wanted every ``interval``. ``took``: the seconds since it began;
    ``cost``: those of a processor that it took, which on a busy machine are far less."""
    return max(interval - took, min(cost / SHARE, LONGEST))
