"""How numbers and failures are written for people."""

from __future__ import annotations

import pytest

from tasker.control.health import Health
from tasker.control.wording import attempt_failed, duration, left_unhealthy


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
    """It says what becomes of the resource."""
    values = ("crew-1", "task #1 fn", 2, "OSError: gone")
    assert attempt_failed(Health.OK) % values == "worker crew-1: task #1 fn failed (attempt 2) with OSError: gone"
    text = "worker crew-1 replaces its resource: task #1 fn failed (attempt 2) with OSError: gone"
    assert attempt_failed(Health.REPLACE) % values == attempt_failed(Health.DEPENDENCY_DOWN) % values == text
    text = "worker crew-1 cools down for 30.0 s: task #1 fn left it unhealthy when it was cancelled"
    assert left_unhealthy(Health.COOL_DOWN(30)) % values[:2] == text
