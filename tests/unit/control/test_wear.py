"""When a resource has served its time."""

from __future__ import annotations

import pytest

from tasker.control.wear import JITTER, Wear, end_of_life


def test_no_limit() -> None:
    """Without limits it serves for ever."""
    wear = Wear(None, None)
    wear.served = 10**9
    assert not wear.worn(1e18)
    assert wear.remaining(7) == 7


def test_a_number_of_tasks() -> None:
    """It is worn once it has served that many, and may not be given more."""
    wear = Wear(3, None)
    assert wear.remaining(7) == 3
    wear.served = 2
    assert not wear.worn(0.0)
    assert (wear.remaining(7), wear.remaining(1)) == (1, 1)
    wear.served = 3
    assert wear.worn(0.0)


def test_a_lifetime() -> None:
    """It is worn from that moment on."""
    wear = Wear(None, 5.0)
    assert not wear.worn(4.9)
    assert wear.worn(5.0)


def test_jitter() -> None:
    """A lifetime is shortened by a tenth at most."""
    assert end_of_life(None, 3.0, 0.5) is None
    ends = [end_of_life(100.0, 3.0, share) for share in (0.0, 0.5, 1.0)]
    assert ends == pytest.approx([103.0, 98.0, 3.0 + 100 * (1 - JITTER)])
