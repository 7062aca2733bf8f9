"""Outage: what follows from a circuit breaker that is not closed: when a creation is tried again, by whom, and whether tasks
wait for that."""

from __future__ import annotations

from . import actions as act
from .creation import BreakerState, CreationGate
from .events import DependencyDown
from .pool import PoolState
from .workers import WorkerState
from .workforce import Workforce


class Outage:
    """Looks at the breaker, the workers and the pool of ``run_task`` together. Has no state of its own. Not thread-safe."""

    def __init__(self, gate: CreationGate, workforce: Workforce, pool: PoolState, *, fails_fast: bool) -> None:
        self._gate = gate
        self._workforce = workforce
        self._pool = pool
        self._fails_fast = fails_fast

    @property
    def _lacks(self) -> bool:
        workforce = self._workforce
        return bool(workforce.missing() or self._pool.wanted or workforce.renewal.waits)

    @property
    def due(self) -> float | None:
        """When a creation is tried again, while they fail and a resource is missing; perhaps it is under way."""
        return self._gate.retry_at if not self._gate.closed and self._lacks else None

    @property
    def next_probe(self) -> float | None:
        """When the supervisor has to wake up for that, or None if there is nothing to wake up for."""
        under_way = self._workforce.table.count(WorkerState.STARTING) or self._pool.filling
        waits = self._gate.state is BreakerState.OPEN and not under_way and self._lacks
        return self._gate.retry_at if waits else None

    @property
    def callers_probe_at(self) -> float | None:
        """When a caller of ``run_task`` may make the probe, because nothing else is missing."""
        return self._gate.retry_at if self._gate.state is BreakerState.OPEN and not self._lacks else None

    @property
    def in_vain(self) -> str | None:
        """Why tasks do not wait for a worker, where that is not wanted and none is to be had; None: they wait."""
        gate, table = self._gate, self._workforce.table
        if not self._fails_fast or gate.closed or table.count(WorkerState.READY, WorkerState.PARKED):
            return None
        if not self._workforce.target:  # nothing is tried until a task comes
            return None
        # Those that began before the first failure may still succeed. Nothing waits for the probe alone.
        if gate.state is BreakerState.OPEN and table.count(WorkerState.STARTING):
            return None
        return gate.error or "creations fail"

    def dependency_down(self, event: DependencyDown, now: float) -> list[act.Action]:
        """A task, or a look at a resource, has found out that what resources depend on is down."""
        delay = self._gate.dependency_down(now, event.error, event.begun)
        if delay is None:
            return []
        text = "what resources depend on is down (the next is made in %.2f s): %s"
        return [act.Log("warning", text, (delay, event.error))]
