"""Restarts: whether workers end so often, otherwise than planned, that a person has to look.

Replacing what is broken hides that it breaks. A supervisor in Erlang therefore gives up after more than ``n`` restarts in ``t``
seconds; a pool must not, because what it replaces may well work again in a minute. So it raises an *alarm*, once, and goes on.
The alarm is over when there were ``t`` seconds without more than ``n`` restarts in ``t`` seconds: it does not come and go while
the restarts are just as many as are allowed.
"""

from __future__ import annotations

from collections import deque

from . import actions as act


class Restarts:
    """Counts workers that were replaced as unhealthy, were lost, or got no resource. Not thread-safe.

    ``intensity``: ``(n, t)``, with ``t`` in seconds; None: there is never an alarm, and nothing is counted.
    """

    __slots__ = ("_begun", "_last", "_most", "_over_at", "_seconds", "_told", "_within")

    def __init__(self, intensity: tuple[int, float] | None) -> None:
        self._most, self._seconds = intensity or (0, 0.0)
        self._within: deque[float] = deque(maxlen=self._most + 1 if intensity else 0)
        """When the last ``n + 1`` were."""
        self._last = ""
        self._begun = 0
        """The restarts since the alarm was raised, those that have raised it included."""
        self._over_at: float | None = None
        self._told = False

    @property
    def alarm(self) -> bool:
        """Whether there are too many."""
        return self._over_at is not None

    @property
    def moment(self) -> float | None:
        """When the alarm is over, if nothing else happens; None if there is none."""
        return self._over_at

    def note(self, now: float, reason: str) -> None:
        """A worker has ended otherwise than planned."""
        within = self._within
        within.append(now)
        self._last = reason
        self._begun = self._begun + 1 if self.alarm else len(within)
        if within and len(within) == within.maxlen and now - within[0] <= self._seconds:
            self._over_at = now + self._seconds

    def judge(self, now: float) -> list[act.Action]:
        """Returns the action for an alarm that has come or gone since the last time."""
        if self._over_at is not None and now >= self._over_at:
            self._over_at = None
            self._within.clear()
        if self.alarm is self._told:
            return []
        self._told = self.alarm
        return [act.RestartAlarm(self.alarm, self._begun, self._most, self._seconds, self._last)]
