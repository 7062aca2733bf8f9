"""How numbers are written for people."""

from __future__ import annotations

import pytest

from tasker.control.wording import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.000_002, "2 \N{MICRO SIGN}s"),
        (0.002, "2 ms"),
        (0.0421, "42.1 ms"),
        (0.9996, "1.0 s"),
        (3.14, "3.1 s"),
        (99.96, "100 s"),
        (1234.5, "1234 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """A duration is written in the unit in which it is readable."""
    assert duration(seconds) == text
