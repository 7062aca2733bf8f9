"""Numbers that are checked before anything is computed from them."""

from __future__ import annotations

import math
from typing import TypeGuard

_MOST = math.ldexp(1.0 - 2.0**-53, 1024)
"""The largest float. An int has no largest value, and ``math.isfinite`` raises for one that is larger than this."""


def is_finite(value: object) -> TypeGuard[float]:
    """Returns whether a value is a number that a float can hold, other than a bool, NaN and the infinities."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST <= value <= _MOST


def is_duration(value: object) -> TypeGuard[float]:
    """Returns whether a value is a number of seconds, at least 0: a finite one, or ``inf``."""
    return (is_finite(value) and value >= 0) or (isinstance(value, float) and value == math.inf)
