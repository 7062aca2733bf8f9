"""How numbers and failures are written for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Returns a duration in the unit in which it is readable: 2 ms, and not 0 s."""
    if seconds >= 99.95:
        return f"{seconds:.0f} s"
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    if seconds >= 0.9995e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} \N{MICRO SIGN}s" if seconds >= 5e-7 else "0 s"


def attempt_failed(*, own: bool) -> str:
    """Returns what is logged when a task may be tried again: a format for worker, task, attempt and error."""
    return (
        "worker %s: %s failed (attempt %d) with %s"
        if own
        else "worker %s replaces its resource: %s failed (attempt %d) with %s"
    )


LEFT_UNHEALTHY = "worker %s replaces its resource: %s left it unhealthy when it was cancelled"
"""A format for worker and task."""

SNOOZES = "worker %s: %s snoozes for %s seconds"
"""A format for worker, task and seconds."""
