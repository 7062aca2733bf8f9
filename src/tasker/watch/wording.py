"""Rates and sizes as people read them. Durations are in ``control.wording``."""

from __future__ import annotations


def three_digits(number: float) -> str:
    """Returns a number with three digits and without an exponent."""
    # From 99.95 on, `.3g` may need an exponent: 1234 would be 1.23e+03.
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def rate(per_second: float) -> str:
    """Returns a rate: so many a second."""
    return f"{three_digits(per_second)}/s"


def progress(done: float, total: float | None) -> str:
    """Returns how far a task is, in percent where its total is known and is not zero."""
    return f"{100 * done / total:.0f}%" if total else three_digits(done)
