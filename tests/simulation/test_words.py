"""Durations as people read them."""

from __future__ import annotations

import pytest

from tasker.simulation.words import seconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (2.5e-6, "2.5 µs"), (0.0123, "12.3 ms"), (0.9999, "1 s"), (12.345, "12.3 s"), (1234.5, "1,234 s")],
)
def test_durations(value: float, shown: str) -> None:
    """A duration has three digits and a suitable unit."""
    assert seconds(value) == shown.replace("µ", "\N{MICRO SIGN}")
