"""Numbers in the form in which people read them."""

from __future__ import annotations

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


def clock(seconds: float | None) -> str:
    """Returns a duration as h:mm:ss or m:ss; "-" for None."""
    if seconds is None:
        return "-"
    if seconds >= 100 * 3600:
        return f"{seconds / 86400:,.0f} days"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def duration(seconds: float) -> str:
    """Returns a latency in the unit that suits it: s, ms or µs."""
    # 0.9995: a value that would be rounded up to 1000 of one unit is shown as 1 of the next.
    unit, size = next((u for u in _UNITS if seconds >= 0.9995 * u[1]), _UNITS[-1])
    return f"{_three_digits(seconds / size)} {unit}"


def _three_digits(number: float) -> str:
    """Returns a number with three digits and without an exponent."""
    # From 99.95 on, `.3g` may need an exponent: 1234 would be 1.23e+03.
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.3g}"


def rate(per_second: float) -> str:
    """Returns a rate in items a second."""
    return f"{_three_digits(per_second)}/s"


def one_line(text: str, width: int) -> str:
    """Returns a text on one line, cut off at a width."""
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
