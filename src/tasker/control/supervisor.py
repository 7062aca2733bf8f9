"""The supervisor: makes every decision about workers, retries, scaling and the lifecycle, as a pure state machine.

``handle(event, now)`` takes one event after the other and returns the actions to carry out, in order. ``wakeup(now)``
returns when it has to be called again even without an event.

After each event, while the phase is RUNNING, PAUSING, PAUSED or DRAINING (``check`` asserts the second):

- the workers that start, serve or end are at most ``max_worker_count``;
- the workers that start or serve, less those that have to go, reach the target, unless creations fail or the maximum
  leaves no room until an ending worker has destroyed its resource;
- no ready worker has to go while another one is making a resource that will serve;
- while creations fail, at most one worker starts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import actions as act
from . import events as ev
from .creation import CreationGate
from .deadline import Deadline
from .handing_back import HandingBack
from .lifecycle import ACCEPTING, HELD, STAFFED, Move, Phase, moved
from .outage import Outage
from .pauses import PauseEvent, paused
from .pool import PoolState
from .pool_probes import PoolProbes
from .reattempts import Reattempts
from .scaler import Scaler
from .view import Plan, View
from .workers import WorkersTable, WorkerState
from .workforce import Workforce

_STARTING, _READY, _ENDING = WorkerState.STARTING, WorkerState.READY, WorkerState.ENDING


def _noting(note: Callable[[ev.Seat, float], object]) -> Callable[[Any, float], list[act.Action]]:
    """Returns the handler of an event of a worker that leads to nothing but a note; what follows from it is seen afterwards."""

    def handle(event: Any, now: float) -> list[act.Action]:
        note(event.seat, now)
        return []

    return handle


class Supervisor:
    """Decides; see the module's docstring. Not thread-safe: an engine calls it for one event at a time."""

    def __init__(self, plan: Plan, rng: random.Random, now: float) -> None:
        self.phase: Phase = Phase.RUNNING
        self._plan = plan
        policy = plan.policy if plan.scales else None
        base, most = plan.worker_count, plan.max_worker_count
        self._scaler = Scaler(base, most, policy, plan.target_wait, now, plan.max_memory, plan.idle_timeout)
        self._gate = CreationGate(plan.creation_backoff, rng)
        self._workforce = Workforce(plan, self._scaler, self._gate, now)
        probes = PoolProbes(plan.probe_interval, plan.check_timeout, now)
        self._pool = PoolState(self._gate, probes, exists=plan.has_pool)
        self._outage = Outage(self._gate, self._workforce, self._pool, fails_fast=plan.fails_fast)
        self._deadline = Deadline(interrupts=plan.interrupts)
        self._grace = 0.0
        self._handing_back = HandingBack()
        self._nothing_runs = False
        self._task_waits = False
        self._abandoned = 0
        self._reattempts = Reattempts(plan, rng, now)
        self._handlers: dict[type, Callable[[Any, float], list[act.Action]]] = {
            ev.Started: self._started,
            ev.WorkerReady: lambda event, now: self._workforce.ready(event.seat, now),
            ev.WorkerDropped: lambda event, now: self._workforce.dropped(event.seat, now),
            ev.CreationFailed: self._creation_failed,
            ev.WorkerRetiring: _noting(self._workforce.retire),
            ev.WorkerParked: _noting(self._workforce.park),
            ev.WorkerUnparked: _noting(lambda seat, now: self._workforce.unpark(seat)),
            ev.WorkerWorn: _noting(self._workforce.renew),
            ev.DependencyDown: lambda event, now: self._outage.dependency_down(event, now) if self._serving else [],
            **self._workforce.handlers,
            ev.WorkerUnhealthy: _noting(self._workforce.replace),
            ev.AttemptFailed: self._attempt_failed,
            ev.TaskSnoozed: lambda event, now: [
                self._reattempts.snoozed(event, now, self._handing_back.retry(self.phase))
            ],
            ev.TaskOverdue: lambda event, now: self._workforce.overdue(event.seat, event.error, now),
            ev.WorkerReturned: lambda event, now: self._workforce.returned(event.seat),
            ev.WorkerEnded: _noting(lambda seat, now: self._workforce.ended(seat)),
            ev.WorkerDied: self._worker_lost,
            ev.AllBlocked: self._all_blocked,
            **self._pool.handlers,
            ev.TaskWaits: self._note_waiting,
            ev.Tick: self._tick,
            ev.Wakeup: lambda event, now: [],
            ev.Resized: lambda event, now: self._scaler.resize(event.worker_count, event.max_worker_count, now),
            ev.RefreshRequested: self._refresh,
            ev.PauseRequested: self._move_pause,
            ev.ResumeRequested: self._move_pause,
            ev.Quiet: self._move_pause,
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
        due = self._reattempts.due(now, self._handing_back.end(self.phase))
        self._task_waits = self._task_waits or bool(due)
        actions += due + self._first(now) + self._reconcile(now)
        if self.phase is Phase.DRAINING and self._workforce.wedged:
            actions += self._give_up_queued()
        if (reason := self._why_in_vain()) is not None:
            actions.append(act.FailQueued(reason))
        if self._serving:  # in a kill workers end as they can
            actions += self._workforce.restarts.judge(now)
        actions = self._handing_back.around(actions, self.phase)
        actions += self._close()
        return actions

    @property
    def table(self) -> WorkersTable:
        """The workers that are not gone, with their states."""
        return self._workforce.table

    def wakeup(self, now: float, *, probes: bool = True) -> float | None:
        """Returns when it needs a ``Wakeup`` if nothing happens before (the clock of ``now``), or None. ``probes``: also for the
        next probe of an idle resource, which brings nothing to a task that waits."""
        if self.phase is Phase.STOPPED:
            return None
        workforce = self._workforce
        times: list[float | None] = [*self._deadline.moments, workforce.next_overdue, self._reattempts.moment]
        times.append(self._pool.probes.moment(serving=self._serving and probes))
        if self._serving:
            times += [self._outage.next_probe, workforce.restarts.moment]
            timeout, since = self._plan.ready_timeout, workforce.none_ready_since
            may_wait = self._scaler.target > 0 and self.phase not in HELD  # where none is wanted, there is no task
            if timeout is not None and since is not None and may_wait:
                # Tasks arrive at any time, and each may wait that long. Checking several times within that time keeps
                # the delay small without a timer for each task.
                times.append(max(since + timeout, now + min(1.0, timeout / 8)))
        return min((moment for moment in times if moment is not None), default=None)

    def view(self) -> View:
        """Returns the present state."""
        scaler, workforce = self._scaler, self._workforce
        gate, surplus, outage = self._gate, workforce.surplus, self._outage
        return View(
            phase=self.phase,
            awaits_drain=self.phase in (Phase.DRAINING, Phase.KILLING) and not self._nothing_runs,
            awaits_quiet=self.phase is Phase.PAUSING,
            starting=self.table.count(_STARTING) - surplus.dropped,
            ready=self.table.count(_READY),
            ending=self.table.count(_ENDING) + surplus.dropped,
            stuck=self.table.count(WorkerState.STUCK),
            retiring=workforce.retiring,
            parked=self.table.count(WorkerState.PARKED),
            base=scaler.base,
            most=scaler.most,
            may_grow=workforce.may_grow(serving=self._serving, draining=self.phase is Phase.DRAINING),
            lost=workforce.lost,
            replaced=workforce.replaced,
            renewed=workforce.renewed,
            abandoned=self._abandoned,
            refused_retries=self._reattempts.refused,
            delayed=self._reattempts.waiting,
            failing_creations=gate.failures,
            failed_creations=gate.failed_ever,
            creation_error=gate.error,
            target=scaler.target,
            active=scaler.active,
            latest=scaler.latest,
            snapshot=scaler.snapshot,
            decisions=scaler.journal.entries,
            breaker=gate.state,
            dependency_down=gate.down,
            next_creation=outage.due if self._serving else None,
            callers_probe_at=outage.callers_probe_at if self._serving else None,
            caller_creations=self._pool.caller_creations,
            in_vain=self._why_in_vain(),
            generation=workforce.renewal.generation,
            outdated=workforce.renewal.outdated,
            awaits_pool=self._serving and self._pool.awaits_lent,
            restart_alarm=workforce.restarts.alarm,
        )

    def check(self) -> None:
        """Asserts the invariants. For tests."""
        self._workforce.check(serving=self._serving)
        assert self.phase is not Phase.STOPPED or not self.table.states

    # -- workers --------------------------------------------------------------------------------------------------

    def _started(self, event: ev.Started, now: float) -> list[act.Action]:
        self._scaler.start(now)
        return []

    def _creation_failed(self, event: ev.CreationFailed, now: float) -> list[act.Action]:
        actions = self._workforce.creation_failed(event.seat, event.error, now)
        if not actions or self.phase is Phase.KILLING:
            return []  # in a kill the creation was most likely cancelled, and there is no next try to announce
        return actions + self._give_up_queued()

    def _give_up_queued(self) -> list[act.Action]:
        if self.phase is Phase.DRAINING and self._workforce.gives_up_queued and not self._handing_back.wanted:
            # The caller of ``stop`` waits for the queued tasks, and the resource may never come back.
            return [act.FailQueued(self._gate.error or "every worker is stuck")]
        return []

    def _attempt_failed(self, event: ev.AttemptFailed, now: float) -> list[act.Action]:
        if not event.own and not event.kept:
            self._workforce.replace(event.seat, now)
        # The task is decided about even if the worker is unknown, because it has no other way to an outcome.
        return [self._reattempts.failed(event, now, self._handing_back.retry(self.phase))]

    def _worker_lost(self, event: ev.WorkerDied, now: float) -> list[act.Action]:
        return self._workforce.died(event.seat, event.reason, now, may_have_retired=event.may_have_retired)

    @property
    def _serving(self) -> bool:
        return self.phase in STAFFED

    def _why_in_vain(self) -> str | None:
        """Returns why queued tasks fail; those of a paused manager wait to be resumed in any case."""
        return self._outage.in_vain if self._starts_tasks else None

    def _reconcile(self, now: float) -> list[act.Action]:
        """Returns the actions that bring the number of workers, and of resources for ``run_task``, to what it should be, as
        far as possible now."""
        starting = self.table.count(_STARTING)
        actions = self._workforce.reconcile(now, starting + self._pool.filling, serving=self._serving)
        if self._serving:
            actions += self._pool.refill(now, self.table.count(_STARTING))
            actions += self._workforce.renewal.over(pool=self._pool.current)
        return actions + self._pool.probes.due(now, serving=self._serving)

    def _refresh(self, event: ev.RefreshRequested, now: float) -> list[act.Action]:
        if not self._serving:
            return []  # they all go; the engine notifies who waits
        self._workforce.renewal.request(event.number)
        text = "refresh %d: %d workers are replaced one after the other"
        return [act.Log("info", text, (event.number, self._workforce.renewal.outdated)), *self._pool.refresh()]

    # -- scaling --------------------------------------------------------------------------------------------------

    def _note_waiting(self, event: ev.TaskWaits, now: float) -> list[act.Action]:
        self._task_waits = True
        return []

    def _first(self, now: float) -> list[act.Action]:
        """Wants a worker for a task that waits, if none is wanted; if no task starts now, once they do."""
        if not self._task_waits or not self._starts_tasks:
            return []
        self._task_waits = False
        return self._scaler.first(now)

    def _tick(self, event: ev.Tick, now: float) -> list[act.Action]:
        load = event.load
        self._reattempts.sweep(now)
        if delayed := self._reattempts.waiting:  # they need no worker yet
            load = replace(load, queued=max(0, load.queued - delayed))
        if not event.scales:
            return self._scaler.rest(load, now) if self._starts_tasks else []
        running = self.phase is Phase.RUNNING
        return self._scaler.tick(load, self._workforce.counts, now, decides=self._starts_tasks, tries=running)

    def _all_blocked(self, event: ev.AllBlocked, now: float) -> list[act.Action]:
        living = self._workforce.staying - self.table.count(WorkerState.PARKED)
        # A worker that was started since the report may run the awaited task.
        if not self._starts_tasks or event.workers < living:
            return []
        return self._scaler.blocked(living, now)

    # -- pauses ---------------------------------------------------------------------------------------------------

    @property
    def _starts_tasks(self) -> bool:
        # During a pause the queue says nothing about how many workers are needed, or whether they come too late. And what is handed
        # back needs none.
        return self._serving and self.phase not in HELD and not self._handing_back.wanted

    def _move_pause(self, event: PauseEvent, now: float) -> list[act.Action]:
        released = self._release(now) if type(event) is ev.ResumeRequested else []
        self.phase, actions = paused(event, self.phase)
        return released + actions

    def _release(self, now: float) -> list[act.Action]:
        """Returns the action that ends a pause, if there is one."""
        if self.phase not in HELD and not self._handing_back.wanted:
            return []
        self._workforce.excuse(now)
        return [act.ReleaseTasks()]

    # -- the end --------------------------------------------------------------------------------------------------

    def _stop(self, event: ev.StopRequested, now: float) -> list[act.Action]:
        held = self._handing_back.request(self.phase) if event.hand_back else []
        first, released = self.phase in ACCEPTING, [] if self._handing_back.wanted else self._release(now)
        self.phase = moved(self.phase, Move.STOP)
        if self.phase is not Phase.KILLING:
            self._grace = event.grace
            self._deadline.shorten(event.deadline)
        if not first:
            return held
        return [
            *held,
            *self._scaler.end_trial(now),
            act.RefuseTasks(event.reason),
            *released,
            act.Log("info", "stopping: %s", (event.reason,)),
        ]

    def _kill(self, event: ev.KillRequested, now: float) -> list[act.Action]:
        first, released = self.phase is not Phase.KILLING, self._release(now)
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
            *released,
            *self._reattempts.due(now, self.phase),  # to be dropped with the others
            act.DropQueued(),
            # Not only once nothing runs: whatever uses a resource of the pool destroys it itself.
            *self._pool.close(),
            act.Log("info", "killing: %s", (event.reason,)),
        ]

    def _drained(self, event: ev.Drained, now: float) -> list[act.Action]:
        if self.phase not in ACCEPTING:
            self.phase = moved(self.phase, Move.DRAINED)
            self._scaler.end("stop", "every task has its outcome", now)
            self._nothing_runs = True
            return self._pool.close()
        return []

    def _expire(self, now: float) -> list[act.Action]:
        """Returns the actions that are due at ``now``: at the deadline of a stop or kill, because a worker has taken too
        long for its resource, or because queued tasks have waited too long for a worker."""
        return self._expire_deadline(now) or self._workforce.give_up(now) or self._expire_queued(now)

    def _expire_queued(self, now: float) -> list[act.Action]:
        timeout, since = self._plan.ready_timeout, self._workforce.none_ready_since
        if not self._starts_tasks or timeout is None or since is None or now - since < timeout:
            return []
        error = self._gate.error or f"no worker was ready within ready_timeout={timeout} seconds"
        return [act.FailQueued(error, before=now - timeout)]

    def _expire_deadline(self, now: float) -> list[act.Action]:
        if not self._deadline.passed(now):
            return [act.Interrupt()] if self._deadline.interrupts(now) else []
        if self.phase is not Phase.KILLING:
            return self._kill(ev.KillRequested("the timeout of stop has passed", deadline=now + self._grace), now)
        # Idle workers are abandoned like the others, but can end. They have not been retired yet if the deadline has already
        # passed when the kill arrives; nor has a worker that began to serve in the moment in which it was to be dropped.
        # And so has a stuck one that had its resource in the moment in which it was given up.
        states = (_STARTING, _READY, WorkerState.PARKED, WorkerState.STUCK)
        not_retired = self.table.count(*states) - self._workforce.surplus.retiring
        left = self._workforce.abandon()
        self._abandoned += len(left)
        self._nothing_runs = True
        return [act.Abandon(left, *self._pool.abandon()), *([act.Retire(not_retired)] if not_retired > 0 else [])]

    def _close(self) -> list[act.Action]:
        if self.phase not in (Phase.CLOSING, Phase.KILLING) or not self._nothing_runs or self._pool.alive:
            return []
        # A probe that is under way had its time.
        actions: list[act.Action] = [act.Abandon((), probe=True)] if self._pool.probes.abandon() else []
        if self.phase is Phase.CLOSING and self._workforce.only_stuck_left():
            # They had their time. Where a kill is under way, they have what is left of its.
            left = self._workforce.abandon()
            self._abandoned += len(left)
            # One of them may have had its resource in the moment in which it was given up, and wait for tasks.
            actions += [act.Abandon(left), act.Retire(len(left))]
        if not self.table.states:
            self.phase = moved(self.phase, Move.EMPTIED)
            actions.append(act.Finish())
        return actions

    def _late(self, event: ev.Event) -> list[act.Action]:
        """Returns the actions for an event after the end. Only a task that an abandoned worker sends back needs one."""
        return [act.DropTask(event.task)] if isinstance(event, ev.AttemptFailed | ev.TaskSnoozed) else []
