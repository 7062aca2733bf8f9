"""The supervisor: makes every decision about workers, retries, scaling and the lifecycle, as a pure state machine.

``handle(event, now)`` takes one event after the other and returns the actions to carry out, in order. ``wakeup(now)``
returns when it has to be called again even without an event.

After each event, while the phase is RUNNING or DRAINING (``check`` asserts the second):

- the workers that start, serve or end are at most ``max_worker_count``;
- the workers that start or serve, less those that have to go, reach the target, unless creations fail or the maximum
  leaves no room until an ending worker has destroyed its resource;
- no ready worker has to go while another one is making a resource that will serve;
- while creations fail, at most one worker starts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from . import actions as act
from . import events as ev
from .attempts import Verdict, after_unhealthy
from .creation import CreationGate
from .deadline import Deadline
from .lifecycle import Move, Phase, moved
from .pool import PoolState
from .scaler import Scaler, WorkerCounts
from .surplus import Surplus
from .view import Plan, View
from .workers import WorkerMove, WorkersTable, WorkerState

_STARTING, _READY, _ENDING = WorkerState.STARTING, WorkerState.READY, WorkerState.ENDING
_DRAIN_TRIES = 5
"""The rounds of creations that have to fail in a row before a stop gives up the queued tasks."""


class Supervisor:
    """Decides; see the module's docstring. Not thread-safe: an engine calls it for one event at a time."""

    def __init__(self, plan: Plan, rng: random.Random, now: float) -> None:
        self.phase: Phase = Phase.RUNNING
        self.table: WorkersTable = WorkersTable()
        self._plan = plan
        policy = plan.policy if plan.scales else None
        base, most = plan.worker_count, plan.max_worker_count
        self._scaler = Scaler(base, most, policy, plan.target_wait, now, plan.max_memory)
        self._surplus = Surplus()
        self._gate = CreationGate(plan.creation_backoff, rng)
        self._pool = PoolState(CreationGate(plan.creation_backoff, rng), exists=plan.has_pool)
        self._none_ready_since: float | None = now
        self._deadline = Deadline(interrupts=plan.interrupts)
        self._grace = 0.0
        self._nothing_runs = False
        self._lost = self._replaced = self._abandoned = 0
        self._handlers: dict[type, Callable[[Any, float], list[act.Action]]] = {
            ev.Started: self._started,
            ev.WorkerReady: self._worker_ready,
            ev.WorkerDropped: self._worker_dropped,
            ev.CreationFailed: self._creation_failed,
            ev.WorkerRetiring: self._worker_retiring,
            ev.WorkerWorn: self._worker_worn,
            ev.WorkerUnhealthy: self._worker_unhealthy,
            ev.AttemptFailed: self._attempt_failed,
            ev.WorkerEnded: self._worker_ended,
            ev.WorkerDied: self._worker_lost,
            ev.AllBlocked: self._all_blocked,
            ev.PoolResourceLost: self._pool_resource_lost,
            ev.PoolRefilled: self._pool_refilled,
            ev.PoolRefillFailed: self._pool_refill_failed,
            ev.PoolClosed: self._pool_closed,
            ev.Tick: self._tick,
            ev.Wakeup: self._nothing,
            ev.Resized: self._resized,
            ev.StopRequested: self._stop,
            ev.KillRequested: self._kill,
            ev.Drained: self._drained,
        }

    # -- for engines ----------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: float) -> list[act.Action]:
        """Records an event. Returns the actions to carry out, in order."""
        if self.phase is Phase.STOPPED:
            return self._late(event)
        # In this order: what has expired may end workers, and only then can be seen which are missing; the end is
        # reached when none is left.
        actions = self._handlers[type(event)](event, now)
        actions += self._expire(now)
        actions += self._reconcile(now)
        actions += self._close()
        return actions

    def wakeup(self, now: float) -> float | None:
        """Returns when it needs a ``Wakeup`` if nothing happens before (the clock of ``now``), or None."""
        if self.phase is Phase.STOPPED:
            return None
        times = self._deadline.moments
        if self._serving:
            if self._gate.failures and not self.table.count(_STARTING) and self._missing():
                times.append(self._gate.retry_at)
            if (moment := self._pool.retry_at) is not None:
                times.append(moment)
            timeout = self._plan.creation_timeout
            if timeout is not None and self._none_ready_since is not None:
                # Tasks arrive at any time, and each may wait that long. Checking several times within that time keeps
                # the delay small without a timer for each task.
                times.append(max(self._none_ready_since + timeout, now + min(1.0, timeout / 8)))
        return min(times, default=None)

    def view(self) -> View:
        """Returns the present state."""
        scaler = self._scaler
        return View(
            phase=self.phase,
            awaits_drain=self.phase in (Phase.DRAINING, Phase.KILLING) and not self._nothing_runs,
            starting=self.table.count(_STARTING) - self._surplus.dropped,
            ready=self.table.count(_READY),
            ending=self.table.count(_ENDING) + self._surplus.dropped,
            retiring=self._surplus.retiring,
            base=scaler.base,
            most=scaler.most,
            limit=scaler.limit,
            may_grow=self._may_grow,
            lost=self._lost,
            replaced=self._replaced,
            abandoned=self._abandoned,
            failing_creations=self._gate.failures,
            creation_error=self._gate.error,
            target=scaler.target,
            latest=scaler.latest,
            snapshot=scaler.snapshot,
            decisions=scaler.journal.entries,
            next_creation=self._gate.retry_at if self._gate.failures and self._missing() else None,
        )

    def check(self) -> None:
        """Asserts the invariants. For tests."""
        starting, ready, ending = (self.table.count(state) for state in (_STARTING, _READY, _ENDING))
        base, target, most = self._scaler.base, self._scaler.target, self._scaler.most
        assert base <= most
        retiring, dropped = self._surplus.retiring, self._surplus.dropped
        assert retiring >= 0 and 0 <= dropped <= starting
        assert self._serving or not target
        if target:
            assert base <= target <= most, (base, target, most)
            if not self._gate.failures and starting + ready + ending < most:
                assert starting - dropped + ready - retiring >= target
        if self.phase is Phase.STOPPED:
            assert not self.table.states

    # -- workers --------------------------------------------------------------------------------------------------

    def _started(self, event: ev.Started, now: float) -> list[act.Action]:
        self._scaler.start(now)
        return []

    def _worker_ready(self, event: ev.WorkerReady, now: float) -> list[act.Action]:
        if not self.table.move(event.seat, WorkerMove.CREATED):
            return []
        self._none_ready_since = None
        return self._created(event.seat, now)

    def _worker_dropped(self, event: ev.WorkerDropped, now: float) -> list[act.Action]:
        return self._created(event.seat, now) if self.table.move(event.seat, WorkerMove.DROPPED) else []

    def _created(self, seat: ev.Seat, now: float) -> list[act.Action]:
        # Forgotten, so that a worker that has begun to serve before it could be dropped counts as ready.
        self._surplus.forget(seat)
        self._scaler.clock.ready(seat, now)
        if not self._gate.failures:
            return []
        times = self._gate.failures
        failures = "1 failure" if times == 1 else f"{times} failures in a row"
        recovered = act.Log("info", "resources can be made again, after %s", (failures,))
        self._gate.succeeded()
        return [recovered]

    def _creation_failed(self, event: ev.CreationFailed, now: float) -> list[act.Action]:
        if not self.table.move(event.seat, WorkerMove.CREATION_FAILED):
            return []
        self._surplus.forget(event.seat)
        delay = self._gate.failed(now, event.error, self._scaler.clock.forget(event.seat))
        if self.phase is Phase.KILLING:
            return []  # most likely the creation was cancelled, and there is no next try to announce
        text = "a resource could not be made (%d in a row, next try in %.2f s): %s"
        actions: list[act.Action] = [act.Log("warning", text, (self._gate.failures, delay, event.error))]
        gives_up = self._gate.failures >= _DRAIN_TRIES and not self.table.count(_READY, _STARTING)
        if self.phase is Phase.DRAINING and gives_up:
            # The caller of ``stop`` waits for the queued tasks, and the resource may never come back.
            actions.append(act.FailQueued(event.error))
        return actions

    def _worker_retiring(self, event: ev.WorkerRetiring, now: float) -> list[act.Action]:
        self._surplus.obeyed()
        self._begin_ending(event.seat, now)
        return []

    def _worker_worn(self, event: ev.WorkerWorn, now: float) -> list[act.Action]:
        self._begin_ending(event.seat, now)
        return []

    def _worker_unhealthy(self, event: ev.WorkerUnhealthy, now: float) -> list[act.Action]:
        self._replace(event.seat, now)
        return []

    def _attempt_failed(self, event: ev.AttemptFailed, now: float) -> list[act.Action]:
        self._replace(event.seat, now)
        # The task is decided about even if the worker is unknown, because it has no other way to an outcome.
        killing = self.phase is Phase.KILLING
        retries = self._plan.max_retries
        verdict = after_unhealthy(event.attempts, retries, once=event.once, cancelled=event.cancelled, killing=killing)
        if verdict is Verdict.KILLED:
            return [act.DropTask(event.task)]
        if verdict is Verdict.TRY_AGAIN:
            return [act.Requeue(event.task)]
        return [act.FailTask(event.task, own=verdict is Verdict.ENDED)]

    def _worker_ended(self, event: ev.WorkerEnded, now: float) -> list[act.Action]:
        self.table.move(event.seat, WorkerMove.ENDED)
        return []

    def _worker_lost(self, event: ev.WorkerDied, now: float) -> list[act.Action]:
        if not self.table.move(event.seat, WorkerMove.LOST):
            return []
        self._lost += 1
        self._surplus.forget(event.seat)
        self._scaler.clock.forget(event.seat)
        self._note_readiness(now)
        return [act.Log("error", "worker %d was lost: %s", (event.seat.slot, event.reason))]

    def _begin_ending(self, seat: ev.Seat, now: float) -> bool:
        if not self.table.move(seat, WorkerMove.BEGAN_ENDING):
            return False
        self._note_readiness(now)
        return True

    def _replace(self, seat: ev.Seat, now: float) -> None:
        if self._begin_ending(seat, now):
            self._replaced += 1

    def _note_readiness(self, now: float) -> None:
        if self._none_ready_since is None and not self.table.count(_READY):
            self._none_ready_since = now

    @property
    def _serving(self) -> bool:
        return self.phase in (Phase.RUNNING, Phase.DRAINING)

    def _reconcile(self, now: float) -> list[act.Action]:
        """Returns the actions that bring the number of workers to the target, as far as possible now."""
        starting = self.table.count(_STARTING)
        surplus = starting + self.table.count(_READY) - self._surplus.leaving - self._scaler.target
        actions = self._surplus.settle(surplus, self.table.seats(_STARTING)) if surplus else []
        if surplus > 0 or not self._serving:
            return actions
        count = self._gate.allowed(now, self._missing(), starting)
        return actions + [self._start(now) for _ in range(count)] + self._pool.refill(now)

    def _start(self, now: float) -> act.Action:
        seat = self.table.seat_new()
        self._scaler.clock.begin(seat, now)
        return act.StartWorker(seat)

    def _missing(self) -> int:
        """Returns how many workers should be started, within the maximum."""
        starting, ready, ending = (self.table.count(state) for state in (_STARTING, _READY, _ENDING))
        wanted = self._scaler.target - (starting + ready - self._surplus.leaving)
        # An ending worker still has its resource, so it counts against the maximum.
        return max(0, min(wanted, self._scaler.most - (starting + ready + ending)))

    @property
    def _may_grow(self) -> bool:
        """Whether a further worker may be made although none of the present ones ends."""
        if not self._serving or (self.phase is Phase.DRAINING and self._gate.failures >= _DRAIN_TRIES):
            return False
        # A worker that has to retire, but runs a task that waits, keeps its resource until then. One that is to be dropped
        # when it has started is kept as soon as it is needed.
        present = self.table.count(_STARTING, _READY) - self._surplus.dropped
        return present - self._surplus.retiring < self._scaler.limit and present < self._scaler.most

    # -- the pool of run_task -------------------------------------------------------------------------------------

    def _pool_resource_lost(self, event: ev.PoolResourceLost, now: float) -> list[act.Action]:
        self._pool.lost()
        return []

    def _pool_refilled(self, event: ev.PoolRefilled, now: float) -> list[act.Action]:
        self._pool.refilled()
        return []

    def _pool_refill_failed(self, event: ev.PoolRefillFailed, now: float) -> list[act.Action]:
        return self._pool.refill_failed(event.error, now)

    def _pool_closed(self, event: ev.PoolClosed, now: float) -> list[act.Action]:
        self._pool.alive = False
        return []

    # -- scaling --------------------------------------------------------------------------------------------------

    def _tick(self, event: ev.Tick, now: float) -> list[act.Action]:
        gone = self._surplus
        pool = WorkerCounts(self.table.count(_READY), self.table.count(_STARTING), gone.retiring, gone.dropped)
        return self._scaler.tick(event.load, pool, now, decides=self._serving)

    def _all_blocked(self, event: ev.AllBlocked, now: float) -> list[act.Action]:
        living = self.table.count(_STARTING, _READY) - self._surplus.leaving
        # A worker that was started since the report may run the awaited task.
        if not self._serving or event.workers < living:
            return []
        return self._scaler.blocked(living, now)

    def _resized(self, event: ev.Resized, now: float) -> list[act.Action]:
        return self._scaler.resize(event.worker_count, event.max_worker_count, now)

    def _nothing(self, event: ev.Wakeup, now: float) -> list[act.Action]:
        return []

    # -- the end --------------------------------------------------------------------------------------------------

    def _stop(self, event: ev.StopRequested, now: float) -> list[act.Action]:
        first = self.phase is Phase.RUNNING
        self.phase = moved(self.phase, Move.STOP)
        if self.phase is not Phase.KILLING:
            self._grace = event.grace
            self._deadline.shorten(event.deadline)
        if not first:
            return []
        return [act.RefuseTasks(event.reason), act.Log("info", "stopping: %s", (event.reason,))]

    def _kill(self, event: ev.KillRequested, now: float) -> list[act.Action]:
        first = self.phase is not Phase.KILLING
        self.phase = moved(self.phase, Move.KILL)
        if not first:
            self._deadline.shorten(event.deadline)
            self._deadline.plan_interruption(now)
            return []
        self._deadline.kill(event.deadline, now)
        self._scaler.end("kill", event.reason, now)
        return [
            act.RefuseTasks(event.reason),
            # The running tasks first: they need the time until the deadline, and dropping takes its own. The log last:
            # until ``CancelRunning`` bars the door tasks start, and a handler of the user's may take its time.
            act.CancelRunning(),
            act.DropQueued(),
            # Not only once nothing runs: whatever uses a resource of the pool destroys it itself.
            *self._pool.close(),
            act.Log("info", "killing: %s", (event.reason,)),
        ]

    def _drained(self, event: ev.Drained, now: float) -> list[act.Action]:
        if self.phase is not Phase.RUNNING:
            self.phase = moved(self.phase, Move.DRAINED)
            self._scaler.end("stop", "every task has its outcome", now)
            self._nothing_runs = True
            return self._pool.close()
        return []

    def _expire(self, now: float) -> list[act.Action]:
        """Returns the actions that are due at ``now``: at the deadline of a stop or kill, or because queued tasks have
        waited too long for a worker."""
        return self._expire_deadline(now) or self._expire_queued(now)

    def _expire_queued(self, now: float) -> list[act.Action]:
        timeout, since = self._plan.creation_timeout, self._none_ready_since
        if not self._serving or timeout is None or since is None or now - since < timeout:
            return []
        error = self._gate.error or f"no worker was ready within creation_timeout={timeout} seconds"
        return [act.FailQueued(error, before=now - timeout)]

    def _expire_deadline(self, now: float) -> list[act.Action]:
        if not self._deadline.passed(now):
            return [act.Interrupt()] if self._deadline.interrupts(now) else []
        if self.phase is not Phase.KILLING:
            return self._kill(ev.KillRequested("the timeout of stop has passed", deadline=now + self._grace), now)
        left = tuple(self.table.states)
        # If the deadline has already passed when the kill arrives, idle workers have not been retired yet. They are
        # abandoned like the others, but can end.
        not_retired = self.table.count(_STARTING, _READY) - self._surplus.leaving
        self._abandoned += len(left)
        self.table.states.clear()
        self._surplus.abandon()
        self._nothing_runs = True
        pool, self._pool.alive = self._pool.alive, False
        return [act.Abandon(left, pool), *([act.Retire(not_retired)] if not_retired > 0 else [])]

    def _close(self) -> list[act.Action]:
        empty = not self.table.states and not self._pool.alive
        if self.phase in (Phase.CLOSING, Phase.KILLING) and self._nothing_runs and empty:
            self.phase = moved(self.phase, Move.EMPTIED)
            return [act.Finish()]
        return []

    def _late(self, event: ev.Event) -> list[act.Action]:
        """Returns the actions for an event after the end. Only a task that an abandoned worker sends back needs one."""
        return [act.DropTask(event.task)] if isinstance(event, ev.AttemptFailed) else []
