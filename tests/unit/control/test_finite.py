"""What counts as a number of seconds."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from tasker.control.finite import is_duration, is_finite


class Seconds(float):
    """As numpy's ``float64``."""


@pytest.mark.parametrize("value", [0, 1, 2.5, Seconds(2.5), sys.float_info.max, int(sys.float_info.max), 5e-324])
def test_numbers(value: float) -> None:
    """Of either sign; a duration is not negative."""
    assert is_finite(value) and is_finite(-value)
    assert is_duration(value)
    assert is_duration(-value) is (value == 0)


@pytest.mark.parametrize("value", [None, "1", True, False, 1j, [1], object(), math.nan, -math.inf, 10**400, -(10**400)])
def test_what_is_none(value: Any) -> None:
    """Nor is an integer that no float can hold."""
    assert not is_finite(value)
    assert not is_duration(value)


def test_infinity() -> None:
    """It is no finite number, but how long a wait without a limit may last."""
    assert not is_finite(math.inf)
    assert is_duration(math.inf)
