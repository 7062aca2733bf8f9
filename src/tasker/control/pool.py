"""PoolState: what the supervisor knows of the resources of ``run_task``: those of its pool, and those that its callers make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import actions as act
from . import events as ev
from .creation import CreationGate, recovered
from .pool_probes import PoolProbes


class PoolState:
    """Has lost resources made again and outdated ones replaced, one at a time, and the pool closed once. Not thread-safe."""

    def __init__(self, gate: CreationGate, probes: PoolProbes, *, exists: bool) -> None:
        self._gate = gate
        self.probes: PoolProbes = probes
        self.missing: int = 0
        """How many resources are to be made, the one that is being made included."""
        self._begun = 0.0
        self.filling: bool = False
        """Whether one is being made."""
        self.caller_creations: int = 0
        """The creations by callers that failed."""
        self._open = exists
        self._kept = exists
        self._refreshes = 0
        self._renewing = 0
        """Which refresh the ``RenewPool`` under way is for."""
        self._stale = False
        """Whether outdated resources may be idle."""
        self.current: bool = True
        """Whether no resource of ``run_task`` is outdated, lent and temporary ones included."""

    @property
    def wanted(self) -> int:
        """How many resources are to be made now, one that is being made included."""
        return self.missing + self._stale

    @property
    def awaits_lent(self) -> bool:
        """Whether outdated resources may be lent, and no idle one is left."""
        return not self.current and not self._stale

    def refresh(self) -> list[act.Action]:
        """All of its resources are outdated."""
        self._refreshes += 1
        self._stale = self._open
        self.current = False
        return [act.OutdatePool()]

    @property
    def alive(self) -> bool:
        """Whether resources of the pool may be left, or one is being made or checked."""
        return self._kept or self.filling or self.probes.awaited

    def abandon(self) -> tuple[bool, bool, bool]:
        """Stops waiting. Returns whether resources are left, and whether one is being made, and checked."""
        left = self._kept, self.filling, self.probes.abandon()
        self._kept = self.filling = False
        return left

    @property
    def handlers(self) -> dict[type, Callable[[Any, float], list[act.Action]]]:
        """What is done at each event that concerns it."""
        return {
            ev.PoolResourceLost: self._lost,
            ev.PoolRefilled: self._refilled,
            ev.PoolRefillFailed: self._refill_failed,
            ev.PoolRenewed: self._renewed,
            ev.PoolCurrent: self._is_current,
            ev.PoolClosed: self._closed,
            ev.PoolProbeStuck: self._probe_stuck,
            ev.PoolProbed: self._probed,
            ev.CallerCreation: self._caller_creation,
        }

    def _lost(self, event: ev.PoolResourceLost, now: float) -> list[act.Action]:
        self.missing += 1
        return []

    def _probe_stuck(self, event: ev.PoolProbeStuck, now: float) -> list[act.Action]:
        self.missing += 1
        self.probes.given_up(now)
        return []

    def _probed(self, event: ev.PoolProbed, now: float) -> list[act.Action]:
        self.probes.ended(event.next_at)
        return []

    def _refilled(self, event: ev.PoolRefilled, now: float) -> list[act.Action]:
        self.missing -= 1
        self.filling = False
        return recovered(self._gate, now, self._begun)

    def _renewed(self, event: ev.PoolRenewed, now: float) -> list[act.Action]:
        self.filling = False
        if not event.left and self._renewing == self._refreshes:  # else it was seen before the last refresh
            self._stale = False
        if event.made:
            return recovered(self._gate, now, self._begun)
        self._gate.withdrawn()
        return []

    def _is_current(self, event: ev.PoolCurrent, now: float) -> list[act.Action]:
        self.current = True
        return []

    def _refill_failed(self, event: ev.PoolRefillFailed, now: float) -> list[act.Action]:
        self.filling = False
        return self._failed(event.error, self._begun, now)

    def _caller_creation(self, event: ev.CallerCreation, now: float) -> list[act.Action]:
        self.caller_creations += 1
        if event.error is None:
            return recovered(self._gate, now, event.begun)
        return self._failed(event.error, event.begun, now)

    def _failed(self, error: str, begun: float, now: float) -> list[act.Action]:
        delay = self._gate.failed(now, error, begun)
        text = "a resource for run_task could not be made (next try in %.2f s): %s"
        return [act.Log("warning", text, (delay, error))]

    def _closed(self, event: ev.PoolClosed, now: float) -> list[act.Action]:
        # The resources are destroyed; one that is being made will be, too.
        self._kept = False
        return []

    def refill(self, now: float, under_way: int) -> list[act.Action]:
        """Returns the action that makes a missing resource, or one in place of an outdated one, if it is time. ``under_way``:
        the workers that are making theirs."""
        # One at a time; ``PoolRefilled`` and ``PoolRenewed`` lead to the next one.
        if self.filling or not self._gate.allowed(now, self.wanted, under_way):
            return []
        self.filling = True
        self._begun = now
        self._gate.begun(now)
        if self.missing:
            return [act.RefillPool()]
        self._renewing = self._refreshes
        return [act.RenewPool()]

    def close(self) -> list[act.Action]:
        """Returns the action that closes the pool, the first time."""
        was_open, self._open, self._stale = self._open, False, False
        return [act.ClosePool()] if was_open else []
