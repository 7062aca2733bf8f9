"""The times of day in result lines."""

from __future__ import annotations

import time

OFFSET = time.time() - time.monotonic()
"""What makes seconds since 1970 of ``time.monotonic``. Taken once: a clock that is set during a run moves none of its items."""


def seconds_since_1970(moment: float | None) -> float | None:
    """Returns what the clock on the wall showed at a moment of ``time.monotonic``, to the microsecond; None for None."""
    return None if moment is None else round(moment + OFFSET, 6)
