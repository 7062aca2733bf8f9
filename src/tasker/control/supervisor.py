"""The supervisor: every decision about workers, retries, scaling and the lifecycle, as a pure state machine.

``handle(event, now)`` takes one event after the other and returns what to do. Engines call it from one thread at a
time and carry the actions out afterwards, in order. ``wakeup(now)`` says when it wants to be called again without an
event.

What it holds, after each event, while it is RUNNING or DRAINING (``check`` asserts it):

- workers that start, serve or end never exceed ``max_worker_count``;
- workers that start or serve, less those told to retire, reach the target, unless creation fails or the maximum
  leaves no room until an ending worker has destroyed its resource;
- while creation fails, at most one worker starts.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import actions as act
from . import events as ev
from .creation import CreationGate
from .lifecycle import Move, Phase, moved
from .rates import SlidingRate
from .retry import Verdict, after_unhealthy
from .scaling import RatePolicy, ScalingPolicy, Snapshot
from .workers import WorkerMove, WorkersTable, WorkerState

_STARTING, _READY, _ENDING = WorkerState.STARTING, WorkerState.READY, WorkerState.ENDING
_RATE_WINDOW = 1.0
_DRAIN_TRIES = 5
"""How many creations must have failed in a row before a stop gives up what is queued."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The part of ``Config`` that decisions depend on."""

    worker_count: int
    max_worker_count: int
    max_retries: int = 3
    scales: bool = True
    creation_timeout: float | None = None
    creation_backoff: float = 0.1
    policy: ScalingPolicy = field(default_factory=RatePolicy)


@dataclass(frozen=True, slots=True)
class View:
    """What others may know of the supervisor's state: an immutable snapshot."""

    phase: Phase
    starting: int
    ready: int
    ending: int
    base: int
    """``worker_count`` as it is now; ready workers beyond it are burst workers."""
    most: int
    """``max_worker_count`` as it is now."""
    limit: int
    """The most workers that can serve the queue."""
    lost: int
    replaced: int
    abandoned: int
    failing_creations: int
    creation_error: str | None
    target: int


class Supervisor:
    """See the module's docstring. Not thread-safe."""

    def __init__(self, plan: Plan, rng: random.Random, now: float) -> None:
        self.phase: Phase = Phase.RUNNING
        self.table: WorkersTable = WorkersTable()
        self._base = plan.worker_count
        self._most = plan.max_worker_count
        self._plan = plan
        self._target = 0
        self._retiring = 0
        self._gate = CreationGate(plan.creation_backoff, rng)
        self._pool_gate = CreationGate(plan.creation_backoff, rng)
        self._pool_missing = 0
        self._pool_filling = False
        self._none_ready_since: float | None = now
        self._deadline: float | None = None
        self._grace = 0.0
        self._nothing_runs = False
        self._calm_since: float | None = None
        self._calm_peak = 0
        self._arrivals = SlidingRate(_RATE_WINDOW, now)
        self._completions = SlidingRate(_RATE_WINDOW, now)
        self._lost = self._replaced = self._abandoned = 0
        self._handlers: dict[type, Callable[[Any, float], list[act.Action]]] = {
            ev.Started: self._started,
            ev.WorkerReady: self._worker_ready,
            ev.CreationFailed: self._creation_failed,
            ev.WorkerRetiring: self._worker_retiring,
            ev.AttemptFailed: self._attempt_failed,
            ev.WorkerEnded: self._worker_ended,
            ev.WorkerLost: self._worker_lost,
            ev.AllBlocked: self._all_blocked,
            ev.PoolResourceLost: self._pool_resource_lost,
            ev.PoolRefilled: self._pool_refilled,
            ev.PoolRefillFailed: self._pool_refill_failed,
            ev.Tick: self._tick,
            ev.Wakeup: self._nothing,
            ev.Resized: self._resized,
            ev.StopRequested: self._stop,
            ev.KillRequested: self._kill,
            ev.Drained: self._drained,
        }

    # -- the face -------------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: float) -> list[act.Action]:
        """Takes note of an event; returns what is to be done, in order."""
        if self.phase is Phase.STOPPED:
            return self._late(event)
        actions = self._handlers[type(event)](event, now)
        actions += self._expire(now)
        actions += self._reconcile(now)
        actions += self._close()
        return actions

    def wakeup(self, now: float) -> float | None:
        """When it wants a ``Wakeup`` if nothing happens before (the clock of ``now``), or None."""
        if self.phase is Phase.STOPPED:
            return None
        times = [] if self._deadline is None else [self._deadline]
        if self._serving:
            if self._gate.failures and not self.table.count(_STARTING) and self._missing():
                times.append(self._gate.retry_at)
            if self._pool_missing and not self._pool_filling:
                times.append(self._pool_gate.retry_at)
            timeout = self._plan.creation_timeout
            if timeout is not None and self._none_ready_since is not None:
                # Tasks come at any time, and each may wait that long: look several times within it.
                times.append(max(self._none_ready_since + timeout, now + min(1.0, timeout / 8)))
        return min(times, default=None)

    def view(self) -> View:
        """The present state."""
        return View(
            phase=self.phase,
            starting=self.table.count(_STARTING),
            ready=self.table.count(_READY),
            ending=self.table.count(_ENDING),
            base=self._base,
            most=self._most,
            limit=self._most if self._plan.scales else self._base,
            lost=self._lost,
            replaced=self._replaced,
            abandoned=self._abandoned,
            failing_creations=self._gate.failures,
            creation_error=self._gate.error,
            target=self._target,
        )

    def check(self) -> None:
        """Asserts what always holds."""
        starting, ready, ending = (self.table.count(state) for state in (_STARTING, _READY, _ENDING))
        assert self._base <= self._most
        assert self._retiring >= 0
        if self._serving and self._target:
            assert self._base <= self._target <= self._most, (self._base, self._target, self._most)
            if not self._gate.failures and starting + ready + ending < self._most:
                assert starting + ready - self._retiring >= self._target
        if self.phase is Phase.STOPPED:
            assert not self.table.states

    # -- workers --------------------------------------------------------------------------------------------------

    def _started(self, event: ev.Started, now: float) -> list[act.Action]:
        self._target = self._base
        return []

    def _worker_ready(self, event: ev.WorkerReady, now: float) -> list[act.Action]:
        if self.table.move(event.seat, WorkerMove.CREATED):
            self._none_ready_since = None
            if self._gate.failures:
                recovered = act.Log("info", "resources can be made again, after %d failures", (self._gate.failures,))
                self._gate.succeeded()
                return [recovered]
        return []

    def _creation_failed(self, event: ev.CreationFailed, now: float) -> list[act.Action]:
        if not self.table.move(event.seat, WorkerMove.CREATION_FAILED):
            return []
        delay = self._gate.failed(now, event.error)
        text = "a resource could not be made (%d in a row, next try in %.2f s): %s"
        actions: list[act.Action] = [act.Log("warning", text, (self._gate.failures, delay, event.error))]
        hopeless = self._gate.failures >= _DRAIN_TRIES and not self.table.count(_READY, _STARTING)
        if self.phase is Phase.DRAINING and hopeless:
            # Whoever stops a manager waits for it; a resource that may never come back must not keep him.
            actions.append(act.FailQueued(event.error))
        return actions

    def _worker_retiring(self, event: ev.WorkerRetiring, now: float) -> list[act.Action]:
        self._retiring = max(0, self._retiring - 1)
        self._begin_ending(event.seat, now)
        return []

    def _attempt_failed(self, event: ev.AttemptFailed, now: float) -> list[act.Action]:
        if self._begin_ending(event.seat, now):
            self._replaced += 1
        if self.phase is Phase.KILLING:
            return [act.DropTask(event.task)]
        verdict = after_unhealthy(event.attempts, event.once, self._plan.max_retries)
        if verdict is Verdict.RETRY:
            return [act.Requeue(event.task)]
        return [act.FailTask(event.task, own=verdict is Verdict.OWN_ERROR)]

    def _worker_ended(self, event: ev.WorkerEnded, now: float) -> list[act.Action]:
        self.table.move(event.seat, WorkerMove.ENDED)
        return []

    def _worker_lost(self, event: ev.WorkerLost, now: float) -> list[act.Action]:
        if not self.table.move(event.seat, WorkerMove.LOST):
            return []
        self._lost += 1
        self._note_readiness(now)
        return [act.Log("error", "worker %d was lost: %s", (event.seat.slot, event.reason))]

    def _begin_ending(self, seat: ev.Seat, now: float) -> bool:
        if not self.table.move(seat, WorkerMove.BEGAN_ENDING):
            return False
        self._note_readiness(now)
        return True

    def _note_readiness(self, now: float) -> None:
        if self._none_ready_since is None and not self.table.count(_READY):
            self._none_ready_since = now

    @property
    def _serving(self) -> bool:
        return self.phase in (Phase.RUNNING, Phase.DRAINING)

    def _reconcile(self, now: float) -> list[act.Action]:
        """Brings the number of workers to what is wanted, as far as it may be done now."""
        starting = self.table.count(_STARTING)
        surplus = starting + self.table.count(_READY) - self._retiring - (self._target if self._serving else 0)
        if surplus > 0:
            self._retiring += surplus
            return [act.Retire(surplus)]
        if not self._serving:
            return []
        count = self._gate.allowed(now, self._missing(), starting)
        return [act.StartWorker(self.table.seat_new()) for _ in range(count)] + self._refill(now)

    def _missing(self) -> int:
        """How many workers are wanted that there is room for."""
        starting, ready, ending = (self.table.count(state) for state in (_STARTING, _READY, _ENDING))
        wanted = self._target - (starting + ready - self._retiring)
        return max(0, min(wanted, self._most - (starting + ready + ending)))

    # -- the pool of run_task -------------------------------------------------------------------------------------

    def _pool_resource_lost(self, event: ev.PoolResourceLost, now: float) -> list[act.Action]:
        self._pool_missing += 1
        return []

    def _pool_refilled(self, event: ev.PoolRefilled, now: float) -> list[act.Action]:
        self._pool_missing -= 1
        self._pool_filling = False
        self._pool_gate.succeeded()
        return []

    def _pool_refill_failed(self, event: ev.PoolRefillFailed, now: float) -> list[act.Action]:
        self._pool_filling = False
        delay = self._pool_gate.failed(now, event.error)
        text = "a resource for run_task could not be made (next try in %.2f s): %s"
        return [act.Log("warning", text, (delay, event.error))]

    def _refill(self, now: float) -> list[act.Action]:
        if self._pool_filling or not self._pool_gate.allowed(now, self._pool_missing, 0):
            return []
        self._pool_filling = True
        return [act.RefillPool()]

    # -- scaling --------------------------------------------------------------------------------------------------

    def _tick(self, event: ev.Tick, now: float) -> list[act.Action]:
        load = event.load
        self._arrivals.sample(now, load.arrived)
        self._completions.sample(now, load.ended)
        if load.queued or self._calm_since is None:
            self._calm_since = None if load.queued else now
            self._calm_peak = 0
        self._calm_peak = max(self._calm_peak, load.running)
        if not self._plan.scales or not self._serving:
            return []
        snapshot = Snapshot(
            worker_count=self._base,
            max_worker_count=self._most,
            workers=self._target,
            queued=load.queued,
            running=load.running,
            arrival_rate=self._arrivals.rate(),
            completion_rate=self._completions.rate(),
            calm_since=self._calm_since,
            calm_peak=self._calm_peak,
        )
        try:
            decision = self._plan.policy.decide(snapshot, now)
            return self._aim(operator.index(decision.target), decision.why)
        except Exception as error:  # a user's policy; the number of workers stays
            return [act.Log("error", "the scaling policy failed: %s: %s", (type(error).__name__, error))]

    def _aim(self, target: int, why: str) -> list[act.Action]:
        target = max(self._base, min(target, self._most))
        if target == self._target or not self._serving:
            return []
        before, self._target = self._target, target
        self._calm_since = None
        return [act.Log("info", "scaling from %d to %d workers: %s", (before, target, why))]

    def _all_blocked(self, event: ev.AllBlocked, now: float) -> list[act.Action]:
        living = self.table.count(_STARTING, _READY) - self._retiring
        if not self._plan.scales or event.workers < living:
            return []
        return self._aim(max(self._target, living + 1), f"all {living} workers run tasks that wait for other tasks")

    def _resized(self, event: ev.Resized, now: float) -> list[act.Action]:
        self._base, self._most = event.worker_count, event.max_worker_count
        if not self._target:
            return []
        target = self._base if not self._plan.scales else self._target
        return self._aim(target, f"resized to {self._base} base workers and at most {self._most}")

    def _nothing(self, event: ev.Wakeup, now: float) -> list[act.Action]:
        return []

    # -- the end --------------------------------------------------------------------------------------------------

    def _stop(self, event: ev.StopRequested, now: float) -> list[act.Action]:
        first = self.phase is Phase.RUNNING
        self.phase = moved(self.phase, Move.STOP)
        if self.phase is not Phase.KILLING:
            self._grace = event.grace
            self._sooner(event.deadline)
        if not first:
            return []
        return [act.RefuseTasks(event.reason), act.Log("info", "stopping: %s", (event.reason,))]

    def _kill(self, event: ev.KillRequested, now: float) -> list[act.Action]:
        first = self.phase is not Phase.KILLING
        self.phase = moved(self.phase, Move.KILL)
        if not first:
            self._sooner(event.deadline)
            return []
        self._deadline = event.deadline
        return [
            act.RefuseTasks(event.reason),
            act.Log("info", "killing: %s", (event.reason,)),
            act.DropQueued(),
            act.CancelRunning(),
        ]

    def _sooner(self, deadline: float | None) -> None:
        if deadline is not None:
            self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)

    def _drained(self, event: ev.Drained, now: float) -> list[act.Action]:
        if self.phase is not Phase.RUNNING:
            self.phase = moved(self.phase, Move.DRAINED)
            self._nothing_runs = True
        return []

    def _expire(self, now: float) -> list[act.Action]:
        """What the passing of time brings: the deadline of a stop or kill, and of waiting for a first worker."""
        return self._expire_deadline(now) or self._expire_queued(now)

    def _expire_queued(self, now: float) -> list[act.Action]:
        timeout, since = self._plan.creation_timeout, self._none_ready_since
        if not self._serving or timeout is None or since is None or now - since < timeout:
            return []
        error = self._gate.error or f"no worker was ready within creation_timeout={timeout} seconds"
        return [act.FailQueued(error, before=now - timeout)]

    def _expire_deadline(self, now: float) -> list[act.Action]:
        if self._deadline is None or now < self._deadline:
            return []
        self._deadline = None
        if self.phase is not Phase.KILLING:
            return self._kill(ev.KillRequested("the timeout of stop has passed", deadline=now + self._grace), now)
        left = tuple(self.table.states)
        # Where the deadline comes with the kill itself, nobody was told yet to end once he is idle.
        untold = self.table.count(_STARTING, _READY) - self._retiring
        self._abandoned += len(left)
        self.table.states.clear()
        self._nothing_runs = True
        return [act.Abandon(left), *([act.Retire(untold)] if untold > 0 else [])]

    def _close(self) -> list[act.Action]:
        if self.phase in (Phase.CLOSING, Phase.KILLING) and self._nothing_runs and not self.table.states:
            self.phase = moved(self.phase, Move.EMPTIED)
            return [act.Finish()]
        return []

    def _late(self, event: ev.Event) -> list[act.Action]:
        """After the end, only a task that comes back from an abandoned worker needs a decision."""
        return [act.DropTask(event.task)] if isinstance(event, ev.AttemptFailed) else []
