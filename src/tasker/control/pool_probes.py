"""Probes of the idle resources of ``run_task``'s pool, at an interval: which one is next, and what becomes of one that hangs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from . import actions as act

_PATIENCE = 1.0
"""The seconds that the end waits for a probe that was given up: where it can be interrupted, most end at once."""


class IdleResource(Protocol):
    """What the choice depends on."""

    @property
    def used(self) -> float:
        """When it was last used or checked."""
        ...

    @property
    def cools_until(self) -> float:
        """Until when it must not be used."""
        ...

    @property
    def usable(self) -> bool:
        """Whether it may serve another call; if not, it is replaced before that, and need not be checked."""
        ...


T = TypeVar("T", bound=IdleResource)


def _due_at(resource: IdleResource, interval: float) -> float:
    return max(resource.used + interval, resource.cools_until)


def next_to_probe(idle: Iterable[T], interval: float, now: float) -> T | None:
    """Returns the idle resource that has been due for longest, if any is due. Times are in seconds."""
    due = [one for one in idle if _due_at(one, interval) <= now and one.usable]
    return min(due, key=lambda one: _due_at(one, interval), default=None)


def next_probe_at(idle: Iterable[IdleResource], interval: float, now: float) -> float:
    """Returns when one of them is due. One that is in use now is due an interval after that, at the earliest."""
    return min([now + interval, *(_due_at(one, interval) for one in idle if one.usable)])


class PoolProbes:
    """Has idle resources probed one at a time. One that was given up and has not ended is *stuck*: no other begins meanwhile, so
    that a check that always hangs costs one thread. Not thread-safe."""

    def __init__(self, interval: float | None, timeout: float | None, now: float) -> None:
        self._timeout = timeout
        self._next: float | None = None if interval is None else now + interval
        """When to look for one that is due; None: never."""
        self._begun: float | None = None
        """When the probe that is under way has begun."""
        self._overdue = False
        """Whether that is to be given up, which may come too late."""
        self._stuck = False
        self._patience: float | None = None
        """Until when the end waits for one that is stuck."""

    @property
    def awaited(self) -> bool:
        """Whether the end has to wait for a probe."""
        return self._begun is not None or self._patience is not None

    def ended(self, next_at: float) -> None:
        """A probe has ended; ``next_at`` is when to look again."""
        self._settle()
        self._next = next_at

    def given_up(self, now: float) -> None:
        """The probe was given up before it has ended."""
        self._settle()
        self._stuck, self._patience = True, now + _PATIENCE

    def abandon(self) -> bool:
        """Stops waiting. Returns whether a probe is left."""
        left = self._begun is not None or self._stuck
        self._settle()
        return left

    def _settle(self) -> None:
        self._begun, self._overdue, self._stuck, self._patience = None, False, False, None

    def moment(self, *, serving: bool) -> float | None:
        """Returns when ``due`` has to be asked. ``serving``: whether another probe may begin."""
        if self._begun is not None:
            return None if self._timeout is None or self._overdue else self._begun + self._timeout
        if self._stuck:
            return self._patience
        return self._next if serving else None

    def due(self, now: float, *, serving: bool) -> list[act.Action]:
        """Returns the action for which it is time: to begin a probe, or to give one up."""
        moment = self.moment(serving=serving)
        if moment is None or now < moment:
            return []
        if self._stuck:
            self._patience = None
            return []
        if self._begun is not None:
            self._overdue = True
            return [act.GiveUpPoolProbe()]
        self._begun = now
        return [act.ProbePool()]
