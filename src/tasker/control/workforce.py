"""The workforce: which workers start, serve and end, how many are missing, and what becomes of those that take too long.

It counts workers and makes them; how many there should be is the scaler's decision, and when none is made any more the
supervisor's. A worker that has been making or destroying its resource for longer than ``create_timeout`` or
``destroy_timeout``, or that runs an overdue task (``limits``), is *stuck*: what it is in cannot be interrupted in a
thread, so the worker is left to it, and another one takes its place. One that returns from a task serves again, and if
that makes one too many, the surplus retires. Up to ``max_stuck_workers`` of them are replaced in that way; any further
one counts against the maximum, so that callbacks that hang cost a bounded number of threads and resources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import actions as act
from .creation import BreakerState, CreationGate, recovered
from .events import Seat, WorkerChecked, WorkerChecking
from .overdue import OPTIONS, Overdue
from .parking import Parking
from .renewal import Renewal, Roster
from .restarts import Restarts
from .scaler import Scaler, WorkerCounts
from .surplus import Surplus
from .view import Plan
from .workers import WorkerMove, WorkersTable, WorkerState

_STARTING, _READY, _ENDING, _STUCK = WorkerState.STARTING, WorkerState.READY, WorkerState.ENDING, WorkerState.STUCK
_PARKED = WorkerState.PARKED
_BETWEEN_TASKS = ("check_resource", "on_return")
_DRAIN_TRIES = 5
"""The rounds of creations that have to fail in a row before a stop gives up the queued tasks."""


class Workforce:
    """See the module's docstring. Not thread-safe."""

    def __init__(self, plan: Plan, scaler: Scaler, gate: CreationGate, now: float) -> None:
        self.table: WorkersTable = WorkersTable()
        self.surplus: Surplus = Surplus()
        self._parking = Parking()
        self.gate: CreationGate = gate
        self.renewal: Renewal = Renewal(self.table)
        self.none_ready_since: float | None = now
        """Since when no worker has been ready; None if one is."""
        self.restarts: Restarts = Restarts(plan.restart_intensity)
        self.lost: int = 0
        self.replaced: int = 0
        self.renewed: int = 0
        self._scaler = scaler
        self._overdue = Overdue({callback: getattr(plan, option) for callback, option in OPTIONS.items()})
        self._replaceable = plan.max_stuck_workers
        self._slots = plan.slots

    # -- what happens to workers ----------------------------------------------------------------------------------

    def ready(self, seat: Seat, now: float) -> list[act.Action]:
        """A worker has its resource and serves."""
        if not self.table.move(seat, WorkerMove.CREATED):
            return []
        self.none_ready_since = None
        self.renewal.noticed(seat)
        return self._created(seat, now)

    def dropped(self, seat: Seat, now: float) -> list[act.Action]:
        """A worker has its resource, and is about to destroy it without having served."""
        late = self.table.states.get(seat) is _STUCK
        if not self.table.move(seat, WorkerMove.DROPPED) or late:
            return []
        self._overdue.begin("on_destroy", seat, now)
        return self._created(seat, now)

    def _created(self, seat: Seat, now: float) -> list[act.Action]:
        # Forgotten, so that a worker that has begun to serve before it could be dropped counts as ready.
        self.surplus.forget(seat)
        self._overdue.forget(seat, "on_create")
        return recovered(self.gate, now, self._scaler.clock.ready(seat, now))

    def creation_failed(self, seat: Seat, error: str, now: float) -> list[act.Action]:
        """A worker got no resource and is gone. Returns the warning that announces the next try."""
        late = self.table.states.get(seat) is _STUCK
        if not self.table.move(seat, WorkerMove.CREATION_FAILED) or late:
            return []
        return [self._failed(seat, error, now)]

    def _failed(self, seat: Seat, error: str, now: float) -> act.Action:
        self.surplus.forget(seat)
        self._overdue.forget(seat, "on_create")
        self.restarts.note(now, f"its resource could not be made: {error}")
        delay = self.gate.failed(now, error, self._scaler.clock.forget(seat))
        text = "a resource could not be made (%d in a row, next try in %.2f s): %s"
        return act.Log("warning", text, (self.gate.failures, delay, error))

    @property
    def handlers(self) -> dict[type, Callable[[Any, float], list[act.Action]]]:
        """What is done at each event of a check."""
        return {WorkerChecking: self._checking, WorkerChecked: self._checked}

    def _checking(self, event: WorkerChecking, now: float) -> list[act.Action]:
        """A worker is about to have its resource checked or reset."""
        if event.seat in self.table.states:
            self._overdue.begin(event.callback, event.seat, now)
        return []

    def _checked(self, event: WorkerChecked, now: float) -> list[act.Action]:
        """That has been done in time. If it is not fit, the worker is about to destroy it."""
        seat = event.seat
        self._overdue.forget(seat, "check_resource", "on_return")
        if self.table.move(seat, WorkerMove.CHECKED):
            self.none_ready_since = None
            if not event.fit:
                self.replace(seat, now)
        return []

    def begin_ending(self, seat: Seat, now: float) -> bool:
        """A worker is about to destroy its resource. Returns False if it is not known any more."""
        if not self.table.move(seat, WorkerMove.BEGAN_ENDING):
            return False
        self._overdue.begin("on_destroy", seat, now)
        self._note_readiness(now)
        return True

    def park(self, seat: Seat, now: float) -> None:
        """A ready worker takes no tasks for the time being."""
        self.table.move(seat, WorkerMove.PARKED)
        self._note_readiness(now)

    def unpark(self, seat: Seat) -> None:
        """A parked worker takes tasks again."""
        if self.table.move(seat, WorkerMove.UNPARKED):
            self.none_ready_since = None

    def retire(self, seat: Seat, now: float) -> None:
        """A worker obeys an order to retire."""
        self.surplus.obeyed()
        self.begin_ending(seat, now)

    def replace(self, seat: Seat, now: float) -> None:
        """A worker is about to destroy its resource, which is unhealthy."""
        if self.begin_ending(seat, now):
            self.replaced += 1
            self.restarts.note(now, "its resource was unhealthy")

    def renew(self, seat: Seat, now: float) -> None:
        """A worker is about to destroy its resource, which is healthy and has served its time."""
        if self.begin_ending(seat, now):
            self.renewed += 1

    def ended(self, seat: Seat) -> None:
        """A worker has destroyed its resource and is gone."""
        if self.table.move(seat, WorkerMove.ENDED):
            self._overdue.forget(seat)

    def died(self, seat: Seat, reason: str, now: float, *, may_have_retired: bool = False) -> list[act.Action]:
        """A worker is gone, and its resource was not destroyed. ``may_have_retired``: it may have taken an order to retire."""
        state = self.table.states.get(seat)
        served, started = state is _READY, state is _STARTING
        if not self.table.move(seat, WorkerMove.LOST):
            return []
        if served and may_have_retired:
            # In doubt: a count too high keeps the last worker of a stop for ever, one too low costs one resource.
            self.surplus.obeyed()
        self.lost += 1
        self.restarts.note(now, f"it was lost: {reason}")
        self.surplus.forget(seat)
        self._overdue.forget(seat)
        begun = self._scaler.clock.forget(seat)
        if started:
            self.gate.failed(now, reason, begun)  # or it would be replaced at once, again and again
        self._note_readiness(now)
        return [act.Log("error", "worker %d was lost: %s", (seat.slot, reason))]

    def _note_readiness(self, now: float) -> None:
        if self.none_ready_since is None and not self.table.count(_READY):
            self.none_ready_since = now

    def excuse(self, now: float) -> None:
        """What was until now does not count against workers that are not ready: no task could start."""
        if self.none_ready_since is not None:
            self.none_ready_since = now

    # -- those that take too long ---------------------------------------------------------------------------------

    @property
    def next_overdue(self) -> float | None:
        """When the next worker is stuck, unless it ends before."""
        return self._overdue.moment

    @property
    def wedged(self) -> bool:
        """Whether as many workers are stuck as the maximum allows, so that none can be made until one of them returns."""
        return not self.table.count(_STARTING, _READY, _PARKED, _ENDING) and self._room() <= 0

    def give_up(self, now: float) -> list[act.Action]:
        """Returns the actions for the workers that have just become stuck."""
        actions: list[act.Action] = []
        for seat, callback, limit in self._overdue.take(now):
            self.table.move(seat, WorkerMove.GIVEN_UP)
            self._note_readiness(now)
            creates = callback == "on_create"
            error = f"{callback} has not returned within {OPTIONS[callback]}={limit} seconds"
            actions.append(
                act.GiveUp(seat, error if creates else None, checks=callback if callback in _BETWEEN_TASKS else "")
            )
            if creates:
                self._failed(seat, error, now)  # what it logs is in the next line
            actions.append(self._stuck(seat, error))
        return actions

    def overdue(self, seat: Seat, error: str, now: float) -> list[act.Action]:
        """A worker runs a task that has its outcome."""
        if self.table.states.get(seat) is not _READY:
            return []
        self.table.move(seat, WorkerMove.GIVEN_UP)
        self._note_readiness(now)
        return [self._stuck(seat, error)]

    def returned(self, seat: Seat) -> list[act.Action]:
        """A worker has returned from such a task, and serves."""
        if not self.table.move(seat, WorkerMove.RETURNED):
            return []
        self.none_ready_since = None
        self.renewal.noticed(seat)
        return [act.Log("info", "worker %d has returned from its task, and serves again", (seat.slot,))]

    def _stuck(self, seat: Seat, error: str) -> act.Action:
        stuck, most = self.table.count(_STUCK), self._replaceable
        text = "worker %d is stuck: %s; another one may take its place (%d are stuck, of which %d may be replaced)"
        if stuck > most:
            text = "worker %d is stuck: %s; no other one takes its place (%d are stuck, of which %d may be replaced)"
        return act.Log("error", text, (seat.slot, error, stuck, most))

    def only_stuck_left(self) -> bool:
        """Returns whether workers are left, and all of them are stuck."""
        return bool(self.table.states) and self.table.count(_STUCK) == len(self.table.states)

    def abandon(self) -> tuple[Seat, ...]:
        """Forgets all workers and returns their seats."""
        left = tuple(self.table.states)
        self.table.states.clear()
        self.surplus.abandon()
        self._overdue.forget_all()
        return left

    # -- how many -------------------------------------------------------------------------------------------------

    @property
    def counts(self) -> WorkerCounts:
        """The present workers, by state."""
        gone = self.surplus
        return WorkerCounts(self.table.count(_READY), self.table.count(_STARTING), self.retiring, gone.dropped)

    @property
    def retiring(self) -> int:
        """How many ready workers have to end as soon as they can."""
        return self.surplus.retiring + self.renewal.leaving

    @property
    def target(self) -> int:
        """How many there should be."""
        return self._scaler.target

    @property
    def staying(self) -> int:
        """How many start, serve or are parked, and do not have to go."""
        return self.table.count(_STARTING, _READY, _PARKED) - self.surplus.leaving - self.renewal.leaving

    @property
    def wanted(self) -> int:
        """How many should start or serve: the target, and what a renewal needs beyond it."""
        return self._scaler.target + self.renewal.extra

    @property
    def gives_up_queued(self) -> bool:
        """Whether a stop has no hope of a worker for what is queued."""
        hopeless = self.gate.failures >= _DRAIN_TRIES and not self.table.count(_READY, _STARTING)
        return hopeless or self.wedged

    def reconcile(self, now: float, under_way: int, *, serving: bool) -> list[act.Action]:
        """Returns the actions that bring the number of workers to the target, as far as possible now; if not ``serving``,
        none is started. ``under_way``: the resources that are being made now, for workers or ``run_task``."""
        surplus = self.staying - self._scaler.target
        if surplus > 0 and serving and self._scaler.tries_fewer and not self.renewal.active:
            return self._parking.settle(surplus)
        actions = self._parking.settle(0)  # first: a worker that has to retire may be one of them
        if self.renewal.active:
            actions += self._renew(now, serving=serving)
            surplus = self.staying - self.wanted
            if surplus > 0 and serving and self.table.count(_PARKED):
                return actions  # those that were parked serve again first, or few would be ready meanwhile
        actions += self.surplus.settle(surplus, self.table.seats(_STARTING)) if surplus else []
        if surplus > 0 or not serving:
            return actions
        return actions + [self._start(now) for _ in range(self.gate.allowed(now, self.missing(), under_way))]

    def _renew(self, now: float, *, serving: bool) -> list[act.Action]:
        if not serving:
            self.renewal.rest()
            return []
        state = self.gate.state
        failing = state is BreakerState.HALF_OPEN or (state is BreakerState.OPEN and now < self.gate.retry_at)
        roster = Roster(self._scaler.target, self.surplus.retiring, self._room(), failing)
        return self.renewal.settle(roster)

    def _start(self, now: float) -> act.Action:
        seat = self.table.seat_new()
        self.gate.begun(now)
        self._scaler.clock.begin(seat, now)
        self._overdue.begin("on_create", seat, now)
        return act.StartWorker(seat)

    def missing(self) -> int:
        """Returns how many workers should be started, within the maximum."""
        return max(0, min(self.wanted - self.staying, self._room()))

    def _room(self) -> int:
        # An ending worker still has its resource, so it counts against the maximum.
        not_replaced = max(0, self.table.count(_STUCK) - self._replaceable)
        room = self._scaler.most - self.table.count(_STARTING, _READY, _PARKED, _ENDING) - not_replaced
        return room if self._slots is None else min(room, self._slots - len(self.table.states))

    def may_grow(self, *, serving: bool, draining: bool) -> bool:
        """Returns whether a further worker may be made although none of the present ones ends."""
        if not serving or (draining and self.gate.failures >= _DRAIN_TRIES):
            return False
        # A worker that has to retire, but runs a task that waits, keeps its resource until then. One that is to be dropped
        # when it has started is kept as soon as it is needed.
        present = self.table.count(_STARTING, _READY) - self.surplus.dropped
        # A stuck worker may return, as an ending one ends; a parked one serves again as soon as it is needed.
        return present - self.retiring < self._scaler.limit and present < self._scaler.most

    def check(self, *, serving: bool) -> None:
        """Asserts the invariants. For tests."""
        scaler, retiring, dropped = self._scaler, self.surplus.retiring, self.surplus.dropped
        starting = self.table.count(_STARTING)
        assert scaler.base <= scaler.most
        assert retiring >= 0 and 0 <= dropped <= starting
        assert serving or not scaler.target
        assert self.table.count(_READY, _PARKED) >= self.renewal.leaving
        if scaler.target:
            assert scaler.base <= scaler.target <= scaler.most, (scaler.base, scaler.target, scaler.most)
            if self.gate.closed and self._room() > 0:
                assert self.staying >= scaler.target
