"""A model of the threaded engine on virtual time: queue, workers, run_task's pool, an inbox.

It carries out what the supervisor asks for as `tasker.engine` does, and asserts at each action that
it might be asked for. The inbox may lag behind what workers do.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import ACCEPTING, STAFFED, Phase
from tasker.control.supervisor import Supervisor
from tasker.control.view import Plan
from tasker.control.workers import WorkerState
from tasker.core.parking import ParkingLot

RETIRE, PARK = object(), object()
STARTING, IDLE, CHECKING, BUSY, ENDING = "starting", "idle", "checking", "busy", "ending"
PARKED, RELEASED = "parked", "released"
GRACE = ev.StopRequested("").grace
SERVING = STAFFED


@dataclass(eq=False)
class Task:
    """A task that was accepted."""

    number: int
    once: bool
    level: int
    queued_at: float
    starts: int = 0
    reported: int = 0
    """How many `AttemptFailed` and `TaskSnoozed` of it lie in the inbox."""
    own_error: bool = False
    """Whether its last error was its own."""
    snoozed: bool = False
    """Whether that was a `Snooze`."""
    harmed: int = 0
    """How many resources it has left unhealthy."""
    outcomes: list[str] = field(default_factory=list)

    def done(self) -> bool:
        """Whether it has its outcome."""
        return bool(self.outcomes)

    def end(self, outcome: str) -> None:
        """It has this outcome, unless it already had one (as in the future's log)."""
        if not self.outcomes:
            self.outcomes.append(outcome)


@dataclass(eq=False)
class Worker:
    """A worker that lives."""

    seat: ev.Seat
    state: str = STARTING
    task: Task | None = None
    surplus: bool = False
    stuck: bool = False
    early: bool = False
    """Whether it was given up before the supervisor knew of what it does."""
    called: bool = False


class Model:
    """The engine, and the world around it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 0.0
        self.supervisor = Supervisor(plan, random.Random(5), self.now)
        self.base, self.most = plan.worker_count, plan.max_worker_count
        self.tasks: list[Task] = []
        self.levels: tuple[deque[Task], ...] = (deque(), deque(), deque())
        self.delayed: list[Task] = []
        self.tokens: deque[object] = deque()
        self.workers: dict[ev.Seat, Worker] = {}
        self.ghosts: list[Worker] = []
        """Workers that were abandoned."""
        self.former: list[ev.Seat] = []
        """Seats whose workers are gone."""
        self.lot = ParkingLot()
        self.inbox: deque[ev.Event] = deque()
        self.lagging = False
        self.inline = 0
        """Tasks of run_task that run."""
        self.lost = self.replaced = 0
        self.refilling = False
        self.renewing = False
        self.outdated = 0
        """Resources of run_task's pool that are idle and of before the last refresh."""
        self.lent = False
        """Whether such a one may be lent."""
        self.refreshes: dict[int, int] = {}
        """Those that are not over, and the newest worker's generation then."""
        self.refreshed = 0
        self.pool = "open" if plan.has_pool else "closed"
        self.closed = self.killed = self.finished = self.drain_reported = False
        self.held = False
        """Whether a pause lets no task start."""
        self.hands_back = False
        """Whether a stop is to hand back what has not started."""
        self.limit = math.inf
        """When what is under way must have become a kill, or be over."""
        self.broken = False
        self.report(ev.Started())

    # -- the inbox --------------------------------------------------------------------------------

    def report(self, event: ev.Event) -> None:
        """Put an event into the inbox; it is handled at once unless the supervisor lags."""
        self.inbox.append(event)
        if not self.lagging:
            self.deliver()

    def deliver(self) -> None:
        """The supervisor handles what lies in its inbox."""
        while self.inbox:
            self._handle(self.inbox.popleft())
            self._check_drained()

    def _check_drained(self) -> None:
        if self.closed and not self.inbox and not self.drain_reported and not self.outstanding():
            self.drain_reported = True
            self.inbox.append(ev.Drained())

    def _handle(self, event: ev.Event) -> None:
        if isinstance(event, ev.AttemptFailed | ev.TaskSnoozed):
            assert isinstance(event.task, Task)
            event.task.reported -= 1
        self.broken = True  # until this step has come to its end
        before = self.supervisor.phase
        actions = self.supervisor.handle(event, self.now)
        self.supervisor.check()
        for action in actions:
            getattr(self, f"_do_{type(action).__name__}")(action)
        phase = self.supervisor.phase
        self._check_deadline(event, before, phase)
        if any(isinstance(action, act.StartWorker) for action in actions):
            self._check_starts(phase)
        moment = self.supervisor.wakeup(self.now)
        if isinstance(event, ev.Wakeup) and not actions:
            assert moment is None or moment > self.now, "it asks for a wakeup that does nothing"
        self.broken = False

    def _check_deadline(self, event: ev.Event, before: Phase, after: Phase) -> None:
        """A stop is a kill from its deadline on, and a kill is over at its own."""
        killing = before is Phase.KILLING
        if isinstance(event, ev.KillRequested):
            assert event.deadline is not None
            self.limit = min(event.deadline, self.limit) if killing else event.deadline
            killing = True
        elif isinstance(event, ev.StopRequested) and event.deadline is not None and not killing:
            self.limit = min(event.deadline, self.limit)
        if self.now >= self.limit:
            assert after is Phase.STOPPED or (after is Phase.KILLING and not killing), after
            self.limit = self.now + GRACE

    def _check_starts(self, phase: Phase) -> None:
        view = self.supervisor.view()
        assert phase in SERVING, f"a worker is started while {phase}"
        assert view.starting + view.ready + view.ending + max(0, view.stuck - self.plan.max_stuck_workers) <= self.most
        if view.failing_creations:
            assert self.supervisor.table.count(WorkerState.STARTING) == 1, "several start while creation fails"

    # -- actions ----------------------------------------------------------------------------------

    def _do_StartWorker(self, action: act.StartWorker) -> None:  # noqa: N802
        slots = {seat.slot for seat in self.supervisor.table.states}
        assert len(slots) == len(self.supervisor.table.states)
        assert action.seat not in self.workers
        assert action.seat not in self.former
        self.workers[action.seat] = Worker(action.seat)

    def _do_MarkSurplus(self, action: act.MarkSurplus) -> None:  # noqa: N802
        worker = self.workers.get(action.seat)
        if worker is not None:  # the inbox may lag behind its end
            assert worker.surplus is not action.surplus
            worker.surplus = action.surplus

    def _do_Renew(self, action: act.Renew) -> None:  # noqa: N802
        view = self.supervisor.view()
        assert self.supervisor.phase in SERVING
        assert view.ready - view.retiring >= view.target - 1, "too few are left"
        assert action.seat.generation <= self.supervisor.table.outdated
        worker = self.workers.get(action.seat)
        if worker is not None:  # the inbox may lag behind its end
            worker.called = True
            self.lot.leave(worker)

    def _do_Refreshed(self, action: act.Refreshed) -> None:  # noqa: N802
        newest = self.refreshes.pop(action.number)
        assert not [w for w in self.workers.values() if w.seat.generation <= newest and not w.stuck and not self.inbox]
        assert not self.outdated and not self.lent

    def _do_OutdatePool(self, action: act.OutdatePool) -> None:  # noqa: N802
        self.outdated, self.lent = 2 * self.plan.has_pool, True

    def _do_RenewPool(self, action: act.RenewPool) -> None:  # noqa: N802
        assert self.pool == "open"
        assert not self.refilling and not self.renewing, "two at once"
        self.renewing = True

    def _do_GiveUp(self, action: act.GiveUp) -> None:  # noqa: N802
        worker = self.workers.get(action.seat)
        reported = {type(event) for event in self.inbox if getattr(event, "seat", None) == action.seat}
        if worker is not None and ev.WorkerDropped in reported:
            worker.stuck = True  # it took too long, and ends as such a one does
        if worker is None or (action.error is not None and worker.state != STARTING):
            return  # the inbox lags behind
        if action.checks and worker.state != CHECKING:
            return
        assert worker.state in (STARTING, CHECKING, ENDING) and not worker.stuck
        worker.stuck = True
        # It is given up in the check after the one that took so long, of whose end the supervisor has yet to hear.
        worker.early = ev.WorkerChecked in reported
        worker.surplus = worker.surplus or action.error is not None

    def _do_Retire(self, action: act.Retire) -> None:  # noqa: N802
        assert action.count > 0
        if self.supervisor.phase in SERVING:
            view = self.supervisor.view()
            assert not view.starting, "a worker that serves has to go while another one starts"
            retiring = self.supervisor._workforce.surplus.retiring
            assert view.ready + view.parked - retiring >= self.base, "fewer than the base are left"
        self.tokens.extendleft([RETIRE] * action.count)

    def _do_Park(self, action: act.Park) -> None:  # noqa: N802
        assert self.supervisor.phase in ACCEPTING or not action.count
        self.tokens.extendleft([PARK] * self.lot.want(action.count))

    def _do_Requeue(self, action: act.Requeue) -> None:  # noqa: N802
        task = self._returned(action.task)
        assert not self.killed
        assert not task.once
        assert task.starts <= self.plan.max_retries
        if not task.outcomes:
            self.levels[0].append(task)
            self.tokens.append(None)

    def _do_Delay(self, action: act.Delay) -> None:  # noqa: N802
        task = self._returned(action.task)
        assert self.supervisor.phase in ACCEPTING
        assert action.snoozed is task.snoozed
        assert action.snoozed or not task.once
        self.delayed.append(task)

    def _do_Resume(self, action: act.Resume) -> None:  # noqa: N802
        task = action.task
        assert isinstance(task, Task)
        self.delayed.remove(task)
        if not task.outcomes:
            self.levels[0].append(task)
            self.tokens.append(None)

    def _do_ReportDelayed(self, action: act.ReportDelayed) -> None:  # noqa: N802
        task = action.task
        assert isinstance(task, Task)
        assert self.plan.retry is not None and self.plan.retry.at_stop == "report"
        assert self.supervisor.phase is Phase.DRAINING
        self.delayed.remove(task)
        task.end("reported")

    def _do_FailTask(self, action: act.FailTask) -> None:  # noqa: N802
        task = self._returned(action.task)
        assert action.own is (task.once or task.own_error or action.late)
        if task.snoozed or action.late:
            assert self.supervisor.phase is not Phase.RUNNING
        else:
            assert self.killed or task.once or task.starts == self.plan.max_retries + 1
        task.end("own error" if action.own else "exhausted")

    def _do_Quarantine(self, action: act.Quarantine) -> None:  # noqa: N802
        task = self._returned(action.task)
        assert action.harmed == task.harmed == self.plan.quarantine_after
        assert not (task.once or task.own_error)
        task.end("quarantined")

    def _do_DropTask(self, action: act.DropTask) -> None:  # noqa: N802
        assert self.killed
        self._returned(action.task).end("killed")

    def _do_FailQueued(self, action: act.FailQueued) -> None:  # noqa: N802
        assert action.error
        for level in self.levels:
            for task in level:
                if action.before is None or task.queued_at <= action.before:
                    task.end("no resource")

    def _do_HoldTasks(self, action: act.HoldTasks) -> None:  # noqa: N802
        assert not self.held or self.hands_back
        self.held = True

    def _do_ReleaseTasks(self, action: act.ReleaseTasks) -> None:  # noqa: N802
        assert self.held or self.hands_back
        self.held = False

    def _do_HandBack(self, action: act.HandBack) -> None:  # noqa: N802
        assert self.hands_back and self.closed and not self.killed
        assert not self.delayed
        for level in self.levels:
            while level:
                level.popleft().end("handed back")
        self.tokens = deque(token for token in self.tokens if token is not None)
        self.held = False

    def _do_RefuseTasks(self, action: act.RefuseTasks) -> None:  # noqa: N802
        self.closed = True

    def _do_DropQueued(self, action: act.DropQueued) -> None:  # noqa: N802
        assert self.killed
        for level in self.levels:
            while level:
                level.popleft().end("killed")
        self.tokens = deque(token for token in self.tokens if token is not None)

    def _do_CancelRunning(self, action: act.CancelRunning) -> None:  # noqa: N802
        self.killed = True

    def _do_Interrupt(self, action: act.Interrupt) -> None:  # noqa: N802
        assert self.killed

    def _do_Abandon(self, action: act.Abandon) -> None:  # noqa: N802
        # One may have got its resource in the moment in which it was given up, and its report is on the way.
        heard_of = {seat for seat in action.seats if seat in self.workers} - {
            getattr(event, "seat", None) for event in self.inbox
        }
        assert self.killed or all(self.workers[seat].stuck for seat in heard_of)
        if action.pool:
            assert self.pool == "closing" or any(type(event) is ev.PoolClosed for event in self.inbox)
            self.pool = "abandoned" if self.pool == "closing" else "closed"
        for seat in action.seats:
            worker = self.workers.pop(seat, None)
            if worker is not None:
                self.ghosts.append(worker)
                if worker.task is not None:
                    worker.task.end("killed")

    def _do_RefillPool(self, action: act.RefillPool) -> None:  # noqa: N802
        assert not self.refilling and not self.renewing, "two at once"
        self.refilling = True

    def _do_ClosePool(self, action: act.ClosePool) -> None:  # noqa: N802
        assert self.pool == "open", "closed twice"
        assert self.killed or not self.inline
        self.pool = "closing"

    def _do_Finish(self, action: act.Finish) -> None:  # noqa: N802
        assert self.pool in ("closed", "abandoned")
        assert not self.finished
        assert self.closed
        self.finished = True

    def _do_Log(self, action: act.Log) -> None:  # noqa: N802
        assert action.message % action.args

    def _returned(self, task: Any) -> Task:
        assert isinstance(task, Task)
        return task

    # -- the data plane ---------------------------------------------------------------------------

    def outstanding(self) -> int:
        """Accepted tasks without an outcome, those of run_task included."""
        return self.inline + sum(1 for task in self.tasks if not task.outcomes)

    def submit(self, level: int, once: bool) -> None:
        """A task is accepted."""
        task = Task(len(self.tasks) + 1, once, level, self.now)
        self.tasks.append(task)
        self.levels[level].append(task)
        self.tokens.append(None)
        if not self.supervisor.view().target:
            self.report(ev.TaskWaits())

    def take(self, worker: Worker) -> None:
        """An idle worker takes a token."""
        assert not self.held
        token = self.tokens.popleft()
        if token is RETIRE:
            worker.state = ENDING
            self.report(ev.WorkerRetiring(worker.seat))
            return
        if token is PARK:
            if self.lot.enter(worker, lambda: setattr(worker, "state", RELEASED)):
                worker.state = PARKED
                self.report(ev.WorkerParked(worker.seat))
            return
        task = next(level for level in self.levels if level).popleft()
        if task.outcomes:
            return
        assert not (task.once and task.starts), "a once task is started a second time"
        task.starts += 1
        worker.task, worker.state = task, BUSY

    def unpark(self, worker: Worker) -> None:
        """A worker that was parked notices that it has to serve."""
        worker.state = IDLE
        self.report(ev.WorkerUnparked(worker.seat))

    def finish_task(self, worker: Worker, outcome: str) -> None:
        """The worker's task has its outcome; the worker serves on."""
        assert worker.task is not None
        worker.task.end(outcome)
        worker.task, worker.state = None, IDLE
        self.deliver_if_prompt()

    def fail_on_its_own(self, worker: Worker) -> None:
        """The worker's task failed with an error that the policy names; the worker serves on."""
        task = worker.task
        assert task is not None
        worker.task, worker.state = None, IDLE
        task.reported += 1
        task.own_error, task.snoozed = True, False
        self.report(ev.AttemptFailed(worker.seat, task, task.starts, task.once, own=True))

    def snooze(self, worker: Worker, seconds: float) -> None:
        """The worker's task gives itself back, without an attempt; the worker serves on."""
        task = worker.task
        assert task is not None
        worker.task, worker.state = None, IDLE
        task.reported += 1
        task.starts -= 1
        task.own_error = task.snoozed = True
        self.report(ev.TaskSnoozed(worker.seat, task, seconds))

    def fail_for_now(self, worker: Worker) -> None:
        """The worker's task failed, and its resource is only to blame for now; the worker serves on after a while."""
        task = worker.task
        assert task is not None
        worker.task, worker.state = None, IDLE
        task.reported += 1
        task.own_error = task.snoozed = False
        self.report(ev.AttemptFailed(worker.seat, task, task.starts, task.once, kept=True))

    def fail_unhealthily(self, worker: Worker) -> None:
        """The worker's task failed for its resource's sake."""
        task = worker.task
        assert task is not None
        worker.task, worker.state = None, ENDING
        task.reported += 1
        task.own_error = task.snoozed = False
        task.harmed += 1
        self.replaced += worker.seat in self.workers
        self.report(ev.AttemptFailed(worker.seat, task, task.starts, task.once, harmed=task.harmed))

    def end_spoiled(self, worker: Worker) -> None:
        """The worker's task is cancelled, and its resource is unhealthy for it."""
        task = worker.task
        assert task is not None
        task.end("cancelled")
        worker.task, worker.state = None, ENDING
        self.replaced += worker.seat in self.workers
        self.report(ev.WorkerUnhealthy(worker.seat))

    def refresh(self) -> None:
        """The user wants new resources."""
        self.deliver()
        self.refreshed += 1
        if self.supervisor.phase in SERVING:
            self.refreshes[self.refreshed] = self.supervisor.table._generation
        self.report(ev.RefreshRequested(self.refreshed))
        self.deliver()

    def renew_pool(self, well: bool) -> None:
        """A resource of the pool is made in place of an outdated one, or not."""
        self.renewing = False
        self.outdated = max(0, self.outdated - well)
        self.report(ev.PoolRenewed(self.outdated > 0) if well else ev.PoolRefillFailed("no route"))

    def return_lent(self) -> None:
        """No outdated resource is lent any more."""
        self.deliver()
        self.lent = False
        if self.supervisor.view().awaits_pool:
            self.report(ev.PoolCurrent())

    def begin_check(self, worker: Worker) -> None:
        """An idle worker has its resource checked."""
        worker.state = CHECKING
        self.report(ev.WorkerChecking(worker.seat))

    def end_check(self, worker: Worker, fit: bool) -> None:
        """The check has ended. A worker that was given up meanwhile is about to end without a word."""
        if worker.stuck:
            worker.state = ENDING
            return
        worker.state = IDLE if fit else ENDING
        self.replaced += not fit and worker.seat in self.workers
        self.report(ev.WorkerChecked(worker.seat, fit))

    def wear_out(self, worker: Worker) -> None:
        """An idle worker has served its time: nothing is wrong with its resource."""
        worker.state = ENDING
        self.report(ev.WorkerWorn(worker.seat))

    def created(self, worker: Worker) -> None:
        """The worker has its resource."""
        if worker.surplus:
            worker.state = ENDING
            self.report(ev.WorkerDropped(worker.seat))
            return
        worker.state = IDLE
        self.report(ev.WorkerReady(worker.seat))

    def gone(self, worker: Worker, event: ev.Event) -> None:
        """The worker is no more; this is its last report."""
        if worker.task is not None:
            worker.task.end("worker lost")
        self.workers.pop(worker.seat, None)
        self.lot.leave(worker)
        self.former.append(worker.seat)
        self.lost += isinstance(event, ev.WorkerDied)
        self.report(event)

    def deliver_if_prompt(self) -> None:
        """Let the supervisor see what happened, unless it lags."""
        if not self.lagging:
            self._check_drained()
            self.deliver()

    def is_quiet(self) -> bool:
        """Whether no task runs."""
        return not self.inline and all(worker.task is None for worker in self.workers.values())

    # -- invariants -------------------------------------------------------------------------------

    def check(self) -> None:
        """What holds after each step."""
        for task in self.tasks:
            places = sum(level.count(task) for level in self.levels)
            running = [w for w in self.workers.values() if w.task is task]
            assert len(task.outcomes) <= 1
            assert not task.once or task.starts <= 1
            assert task.starts <= self.plan.max_retries + 1
            where = places + len(running) + task.reported + self.delayed.count(task)
            assert where == 1 or (task.outcomes and where <= 1), f"{task} is in {where} places"
        waiting = sum(map(len, self.levels))
        assert waiting == sum(token is None for token in self.tokens)
        if self.finished:
            assert self.supervisor.phase is Phase.STOPPED
            assert not self.workers
        elif not self.inbox:
            self._check_agreement()

    def _check_agreement(self) -> None:
        """When the inbox is empty, the supervisor's table is what the workers are."""
        early = {seat for seat, worker in self.workers.items() if worker.early}
        names = {seat: state.value for seat, state in self.supervisor.table.states.items() if seat not in early}
        own = {IDLE: "ready", CHECKING: "ready", BUSY: "ready", RELEASED: "parked"}
        assert names == {
            seat: "stuck" if w.stuck else own.get(w.state, w.state)
            for seat, w in self.workers.items()
            if seat not in early
        }
        assert self.supervisor._workforce.surplus.retiring == sum(token is RETIRE for token in self.tokens)
        view = self.supervisor.view()
        assert view.delayed == len(self.delayed)
        assert not self.lot or PARK in self.tokens, "an order to park that no worker can find"
        assert (view.lost, view.replaced) == (self.lost, self.replaced)
