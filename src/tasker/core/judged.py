"""JudgedWorker: what both engines' workers have in common: how they begin to serve, and what follows for them from what an
error of a task says of the resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tasker.control import events as ev
from tasker.control.health import Health, HealthKind
from tasker.control.wording import left_unhealthy
from tasker.control.workers import WorkerState
from tasker.core.counters import Shard
from tasker.logs import GuardedLogger


class JudgingEngine(Protocol):
    """The part of an engine that is used here."""

    @property
    def log(self) -> GuardedLogger: ...
    def report(self, event: ev.Event) -> None:
        """Passes an event to the supervisor."""

    def check_drained(self) -> None:
        """Has the engine look whether anything is still outstanding, or runs."""

    def dependency_down(self, error: BaseException, begun: float) -> None:
        """Notes that what resources depend on is down, as an attempt has found out that began then."""


class JudgedWorker:
    """The part of a worker that both engines share. For the worker's thread or loop alone."""

    engine: JudgingEngine
    seat: ev.Seat
    name: str
    state: WorkerState
    now: Callable[[], float]
    overdue: str
    """The task that it runs although that has its outcome, in words; empty: none."""
    shard: Shard
    made_at: float | None = None
    """When it had its resource (the clock of ``now``)."""
    served_before: int = 0
    """What earlier workers have served in its slot, whose numbers it goes on with."""
    cools_until: float
    """Until when its resource must not be used, after ``Health.COOL_DOWN``; 0: it may be."""

    @property
    def cooling(self) -> bool:
        """Whether its resource must not be used now."""
        return self.cools_until > self.now()

    def _begin_serving(self) -> None:
        """It has its resource."""
        self.made_at, self.served_before = self.now(), self.shard.done + self.shard.sent_back
        self.state = WorkerState.READY
        self.engine.report(ev.WorkerReady(self.seat))

    def _follow(self, health: Health, error: BaseException, begun: float) -> Health:
        """Notes what follows for others than the task that has raised ``error``, in an attempt that began at ``begun``."""
        if health.kind is HealthKind.COOL_DOWN:
            self.cools_until = self.now() + health.seconds
        elif health.kind is HealthKind.DEPENDENCY_DOWN:
            self.engine.dependency_down(error, begun)
        return health

    def _left_unhealthy(self, label: str, health: Health) -> None:
        """Reports what a task that was cancelled has done to the resource."""
        self.engine.log.log("warning", left_unhealthy(health), self.name, label)
        if health.replaces:
            self.engine.report(ev.WorkerUnhealthy(self.seat))

    def _come_back(self, health: Health) -> Health:
        """The attempt has ended of a task that had its outcome before, so that this worker was taken to be stuck."""
        label, self.overdue = self.overdue, ""
        if not health.replaces:
            self.state = WorkerState.READY
            self.engine.report(ev.WorkerReturned(self.seat))
        if health.blames:
            self._left_unhealthy(label, health)
        self.engine.check_drained()  # a pause waits for such a task
        return health
