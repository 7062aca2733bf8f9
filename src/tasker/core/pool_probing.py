"""PoolProber: has idle resources of ``run_task``'s pool checked at an interval; what both engines have in common.

A resource is out of the pool while it is checked, so no caller gets it. Two may want to end that: the check, which has returned, and
the supervisor, which gives it up. The first of them decides: either the resource goes back or is replaced, or the pool has long got
another one and this one is only destroyed, whenever its check returns.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from tasker.config import Config
from tasker.control import events as ev
from tasker.core.ages import Age, Ages
from tasker.core.counters import Counters
from tasker.core.probing import interval_of, passes
from tasker.logs import GuardedLogger


class AgedResource(Protocol):
    """What is used here of the handle of a resource."""

    used: float
    """When it was last used or checked."""

    @property
    def age(self) -> Age: ...


H = TypeVar("H", bound=AgedResource)
H_co = TypeVar("H_co", bound=AgedResource, covariant=True)


class ProbingPoolEngine(Protocol):
    """The part of an engine that is used here."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def now(self) -> Callable[[], float]:
        """The clock of the events."""
        ...

    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor."""


class ProbedPool(Protocol[H_co]):
    """The part of a pool that is used here."""

    @property
    def ages(self) -> Ages: ...

    def take_rested(self, interval: float) -> H_co | None:
        """Takes out the idle resource whose check has been due for longest, if one is due and may be taken."""
        ...

    def next_probe_at(self, interval: float) -> float:
        """Returns when to look again (the clock of the events)."""
        ...


class PoolProbe(Generic[H]):
    """The check of one resource."""

    __slots__ = ("_undecided", "handle")

    def __init__(self, handle: H) -> None:
        self.handle: H = handle
        self._undecided = [True]

    def decide(self) -> bool:
        """Returns whether the caller is the first to ask. Thread-safe."""
        try:
            return self._undecided.pop()
        except IndexError:
            return False


class PoolProber(abc.ABC, Generic[H]):
    """See the module's docstring. Its public methods are called where the supervisor's actions are carried out."""

    def __init__(self, engine: ProbingPoolEngine, pool: ProbedPool[H]) -> None:
        self._engine = engine
        self._pool = pool
        self._interval: float | None = interval_of(engine.config)
        self._probe: PoolProbe[H] | None = None
        """The one that has begun last."""

    def probe(self) -> None:
        """Has a resource checked, if one is due; reports ``PoolProbed`` in the end."""
        assert self._interval is not None
        handle = self._pool.take_rested(self._interval)
        if handle is None:
            self._over()
            return
        self._probe = probe = PoolProbe(handle)
        self._begin(probe)

    def give_up(self) -> None:
        """Keeps the resource that is being checked out of the pool; reports ``PoolProbeStuck``, unless the check has just ended."""
        probe = self._probe
        if probe is None or not probe.decide():
            return  # ``PoolProbed`` is on the way
        why = f"has not returned within check_timeout={self._engine.config.check_timeout} seconds"
        passes(self._engine, "run_task", why)
        self._pool.ages.forget(probe.handle.age)  # no refresh waits for it
        self._engine.report(ev.PoolProbeStuck())
        self._interrupt(probe.handle)

    @abc.abstractmethod
    def abandon(self) -> None:
        """Has nothing wait any more for a check that hangs."""

    @abc.abstractmethod
    def _begin(self, probe: PoolProbe[H]) -> None:
        """Has the resource checked, and sees to what follows."""

    @abc.abstractmethod
    def _interrupt(self, handle: H) -> None:
        """Ends a check that hangs, where that is possible."""

    def _serves_on(self, probe: PoolProbe[H], why: str | None) -> bool | None:
        """Returns whether a resource serves on of which ``check_resource`` says ``why`` it does not (None: it does); None if it
        was given up, so that nothing lacks it."""
        if not probe.decide():
            return None
        probe.handle.used = self._engine.now()
        return passes(self._engine, "run_task", why)

    def _postpone(self) -> None:
        """Reports that nothing was checked: not at once again, since what is due still is."""
        assert self._interval is not None
        self._probe = None
        self._engine.report(ev.PoolProbed(self._engine.now() + self._interval))

    def _over(self) -> None:
        assert self._interval is not None
        self._probe = None
        self._engine.report(ev.PoolProbed(self._pool.next_probe_at(self._interval)))
