"""Numbers in the form in which people read them."""

from __future__ import annotations

from tasker.watch.texts import clean
from tasker.watch.wording import rate, three_digits

__all__ = ["clock", "duration", "one_line", "rate"]

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
    return f"{three_digits(seconds / size)} {unit}"


def one_line(text: str, width: int) -> str:
    """Returns a text on one line, with escapes for what would move the cursor or change colours, cut off at a width."""
    flat = clean(text)
    return flat if len(flat) <= width else flat[: width - 1] + "…"
