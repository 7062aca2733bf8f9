"""How fast items are handed to the workers, for --rate and --delay."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from time import monotonic

LEAD_S = 0.01
"""Seconds by which items may be handed over late and then faster, to catch up; and for which items may wait for a worker."""
LOOK_S = 0.002
"""Seconds between two looks at whether the workers have taken what waits."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Pacing:
    """Evenly spread moments. For one thread.

    No item is handed over while others wait, or those would be started at once when workers are free again.
    """

    def __init__(self, interval: float, wait: Callable[[float], bool], now: Callable[[], float] = monotonic) -> None:
        """``interval``: seconds between two items. ``wait``: waits so many seconds, and returns whether the run is being
        stopped."""
        self._interval = interval
        self._wait = wait
        self._now = now
        self._next = -math.inf
        self._most = max(1, int(LEAD_S / interval))

    def await_turn(self, waiting: Callable[[], int]) -> bool:
        """Waits until the next item may be handed over; ``waiting`` tells how many wait for a worker. Returns False if the run is
        being stopped."""
        held_up = False
        while waiting() >= self._most:
            held_up = True
            if self._wait(min(LOOK_S, self._interval)):
                return False
        now = self._now()
        if held_up:
            # The one in front has only just begun.
            self._next = max(self._next, now + self._interval)
        if self._next > now and self._wait(self._next - now):
            return False
        late = LEAD_S if self._interval < LEAD_S else 0.0
        self._next = max(self._next + self._interval, self._now() - late + self._interval)
        return True


def rate(text: str) -> float:
    """Parses N, N/s, N/m or N/h. Returns the seconds between two items."""
    number, slash, unit = text.partition("/")
    try:
        items = float(number)
    except ValueError:
        items = math.nan
    interval = _UNITS.get(unit if slash else "s", math.nan) / items if items > 0 else math.nan
    if not 0 < interval < math.inf:
        raise argparse.ArgumentTypeError(
            f"must be a number of items above 0, as in 10, 10/s, 600/m or 36000/h, not {text!r}"
        )
    return interval
