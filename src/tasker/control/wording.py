"""How numbers and failures are written for people."""

from __future__ import annotations

from .health import Health


def duration(seconds: float) -> str:
    """Returns a duration in the unit in which it is readable: 2 ms, and not 0 s."""
    if seconds >= 99.95:
        return f"{seconds:.0f} s"
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    if seconds >= 0.9995e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} \N{MICRO SIGN}s" if seconds >= 5e-7 else "0 s"


def attempt_failed(health: Health) -> str:
    """Returns what is logged when a task may be tried again: a format for worker, task, attempt and error."""
    return f"worker %s{_consequence(health)}: %s failed (attempt %d) with %s"


SNOOZES = "worker %s: %s snoozes for %s seconds"
"""A format for worker, task and seconds."""


def left_unhealthy(health: Health) -> str:
    """Returns what is logged when a task was cancelled and the resource is to blame: a format for worker and task."""
    return f"worker %s{_consequence(health)}: %s left it unhealthy when it was cancelled"


def _consequence(health: Health) -> str:
    if health.replaces:
        return " replaces its resource"
    return f" cools down for {duration(health.seconds)}" if health.blames else ""
