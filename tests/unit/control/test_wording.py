"""How numbers and failures are written for people."""

from __future__ import annotations

import pytest

from tasker.control.wording import attempt_failed, duration


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


def test_a_failed_attempt() -> None:
    """It says whether the resource goes as well."""
    values = ("crew-1", "task #1 fn", 2, "OSError: gone")
    assert attempt_failed(own=True) % values == "worker crew-1: task #1 fn failed (attempt 2) with OSError: gone"
    text = "worker crew-1 replaces its resource: task #1 fn failed (attempt 2) with OSError: gone"
    assert attempt_failed(own=False) % values == text
