"""Sparkline: a row of numbers as bars of a character each."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*%#"


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """Returns the last ``width`` values as bars from 0 to the greatest of them, filled up on the left; a space for NaN."""
    shown = list(values[-width:]) if width > 0 else []
    top = max((value for value in shown if not isnan(value)), default=0.0)
    return "".join(_bar(value, top, bars) for value in shown).rjust(max(0, width))


def _bar(value: float, top: float, bars: str) -> str:
    if isnan(value):
        return " "
    return bars[min(len(bars) - 1, int(value / top * len(bars)))] if top > 0 else bars[0]
