"""Deadline: until when a stop or a kill has to be over, and when a kill interrupts what still runs."""

from __future__ import annotations

_LAST = 1.0
"""Seconds, at most, that a kill leaves for the resources behind tasks that have to be interrupted; half of its time, if
that is less."""


class Deadline:
    """The moments are on the clock of ``now``. ``interrupts``: whether tasks can be interrupted by force at all."""

    def __init__(self, *, interrupts: bool) -> None:
        self._may_interrupt = interrupts
        self._at: float | None = None
        self._interrupt_at: float | None = None

    @property
    def moments(self) -> list[float]:
        """The moments at which something is due."""
        return [moment for moment in (self._interrupt_at, self._at) if moment is not None]

    def shorten(self, at: float | None) -> None:
        """Sets an earlier deadline. A later request can only shorten the time: an earlier caller relies on it."""
        if at is not None:
            self._at = at if self._at is None else min(self._at, at)

    def kill(self, at: float | None, now: float) -> None:
        """Sets the deadline of a kill, even if it is later than that of a stop, which does not matter any more."""
        self._at = at
        self.plan_interruption(now)

    def plan_interruption(self, now: float) -> None:
        """Leaves time for the resources before the present deadline."""
        if self._may_interrupt and self._at is not None:
            self._interrupt_at = self._at - min(_LAST, max(0.0, self._at - now) / 2)

    def interrupts(self, now: float) -> bool:
        """Returns, once, whether it is time to interrupt what still runs."""
        if self._interrupt_at is None or now < self._interrupt_at:
            return False
        self._interrupt_at, self._may_interrupt = None, False
        return True

    def passed(self, now: float) -> bool:
        """Returns, once, whether the deadline has passed."""
        if self._at is None or now < self._at:
            return False
        self._at = self._interrupt_at = None
        return True
