"""Whatever happens to an engine, in whatever order: no task is lost, none ends
twice, workers stay within bounds."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stateful.model import BUSY, CHECKING, ENDING, IDLE, PARKED, RELEASED, RETIRE, STARTING, Model, Worker
from tasker.control import events as ev
from tasker.control.lifecycle import HELD, Phase
from tasker.control.retries import RetryPolicy
from tasker.control.view import Plan

pytestmark = pytest.mark.timeout(300)

IN_CI = bool(os.environ.get("CI"))
PICK = st.integers(0, 1000)
ROUNDS = 5000


def some(*states: str) -> Callable[[Any], bool]:
    """A precondition: there is a worker in one of these states."""
    return lambda machine: any(w.state in states for w in machine.model.workers.values())


class SupervisorMachine(RuleBasedStateMachine):
    """Drives a model of the engine."""

    model: Model
    kind: bool
    """Whether in the end resources can be made and tasks succeed."""
    ending: str

    @initialize(
        base=st.integers(0, 4),
        burst=st.integers(0, 4),
        max_retries=st.integers(0, 3),
        scales=st.booleans(),
        idle_timeout=st.sampled_from([None, 0.3, 30.0]),
        ready_timeout=st.sampled_from([None, None, 0.5, 5.0]),
        create_timeout=st.sampled_from([None, 0.5, 5.0]),
        destroy_timeout=st.sampled_from([None, 0.5, 5.0]),
        check_timeout=st.sampled_from([None, 0.5, 5.0]),
        max_stuck_workers=st.integers(0, 3),
        retry=st.sampled_from(
            [
                None,
                RetryPolicy(),
                RetryPolicy(backoff=0.5),
                RetryPolicy(backoff=40.0),
                RetryPolicy(backoff=40.0, at_stop="report"),
            ]
        ),
        quarantine_after=st.sampled_from([None, 1, 2, 3]),
        has_pool=st.booleans(),
        interrupts=st.booleans(),
        kind=st.booleans(),
        ending=st.sampled_from(["stop", "kill"]),
    )
    def begin(
        self,
        base: int,
        burst: int,
        max_retries: int,
        scales: bool,
        idle_timeout: float | None,
        ready_timeout: float | None,
        create_timeout: float | None,
        destroy_timeout: float | None,
        check_timeout: float | None,
        max_stuck_workers: int,
        retry: RetryPolicy | None,
        quarantine_after: int | None,
        has_pool: bool,
        interrupts: bool,
        kind: bool,
        ending: str,
    ) -> None:
        """An engine starts."""
        plan = Plan(
            base,
            max(1, base + burst),
            max_retries=max_retries,
            scales=scales or not base,
            idle_timeout=idle_timeout,
            ready_timeout=ready_timeout,
            create_timeout=create_timeout,
            destroy_timeout=destroy_timeout,
            check_timeout=check_timeout,
            max_stuck_workers=max_stuck_workers,
            retry=retry,
            quarantine_after=quarantine_after,
            has_pool=has_pool,
            interrupts=interrupts,
        )
        self.model = Model(plan)
        self.kind, self.ending = kind, ending

    def pick(self, number: int, *states: str) -> Worker:
        """One of the workers in these states."""
        workers = [w for w in self.model.workers.values() if w.state in states]
        return workers[number % len(workers)]

    # -- tasks ------------------------------------------------------------------------------------

    @precondition(lambda self: not self.model.closed)
    @rule(level=st.integers(0, 2), once=st.booleans(), count=st.sampled_from([1, 1, 3, 12]))
    def submit(self, level: int, once: bool, count: int) -> None:
        """Tasks are accepted."""
        for _ in range(count):
            self.model.submit(level, once)

    @precondition(lambda self: some(IDLE)(self) and self.model.tokens and not self.model.held)
    @rule(number=PICK)
    def take(self, number: int) -> None:
        """An idle worker takes what is next: a task or a Retire."""
        self.model.take(self.pick(number, IDLE))

    @precondition(lambda self: some(IDLE)(self) and self.model.tokens and not self.model.held)
    @rule()
    def everybody_takes(self) -> None:
        """All idle workers take what is next."""
        for worker in list(self.model.workers.values()):
            if worker.state == IDLE and self.model.tokens:
                self.model.take(worker)

    @precondition(some(BUSY))
    @rule(number=PICK, outcome=st.sampled_from(["result", "own healthy error"]))
    def task_ends(self, number: int, outcome: str) -> None:
        """A task succeeds, or fails healthily."""
        self.model.finish_task(self.pick(number, BUSY), outcome)

    @precondition(some(BUSY))
    @rule(number=PICK)
    def task_fails_unhealthily(self, number: int) -> None:
        """A task fails for its resource's sake."""
        self.model.fail_unhealthily(self.pick(number, BUSY))

    @precondition(some(BUSY))
    @rule(number=PICK, seconds=st.sampled_from([0.0, 0.5, 40.0]))
    def task_snoozes(self, number: int, seconds: float) -> None:
        """A task gives itself back for a while."""
        self.model.snooze(self.pick(number, BUSY), seconds)

    @precondition(some(BUSY))
    @rule(number=PICK)
    def task_fails_for_now(self, number: int) -> None:
        """A task fails, and its worker is to cool down."""
        self.model.fail_for_now(self.pick(number, BUSY))

    @rule(age=st.floats(0, 10))
    def dependency_is_down(self, age: float) -> None:
        """A task that began so long ago has found that no resource can be made."""
        self.model.report(ev.DependencyDown("no route", self.model.now - age))

    @precondition(lambda self: some(BUSY)(self) and self.model.plan.retry is not None)
    @rule(number=PICK)
    def task_fails_and_comes_again(self, number: int) -> None:
        """A task fails with an error of its own after which it is tried again."""
        self.model.fail_on_its_own(self.pick(number, BUSY))

    @precondition(some(BUSY))
    @rule(number=PICK)
    def cancelled_task_spoils_its_resource(self, number: int) -> None:
        """A task obeys its cancellation in the middle of an exchange with its resource."""
        self.model.end_spoiled(self.pick(number, BUSY))

    @precondition(some(IDLE))
    @rule(number=PICK)
    def check_begins(self, number: int) -> None:
        """An idle worker has its resource checked."""
        self.model.begin_check(self.pick(number, IDLE))

    @precondition(some(CHECKING))
    @rule(number=PICK, fit=st.booleans())
    def check_ends(self, number: int, fit: bool) -> None:
        """The resource is fit, or the worker is to be replaced."""
        self.model.end_check(self.pick(number, CHECKING), fit)

    @precondition(some(IDLE))
    @rule(number=PICK)
    def worker_is_worn(self, number: int) -> None:
        """A worker between two tasks is to be replaced by a fresh one."""
        self.model.wear_out(self.pick(number, IDLE))

    @precondition(lambda self: not self.model.closed and not self.model.held and self.model.inline < 2)
    @rule()
    def inline_task_starts(self) -> None:
        """A task of run_task begins."""
        self.model.inline += 1

    @precondition(lambda self: self.model.inline)
    @rule(healthy=st.booleans())
    def inline_task_ends(self, healthy: bool) -> None:
        """A task of run_task ends, well or unhealthily."""
        self.model.inline -= 1
        if not healthy:
            self.model.report(ev.PoolResourceLost())
        self.model.deliver_if_prompt()

    # -- resources and workers --------------------------------------------------------------------

    @precondition(some(STARTING))
    @rule(number=PICK)
    def creation_succeeds(self, number: int) -> None:
        """A worker gets its resource."""
        self.model.created(self.pick(number, STARTING))

    @precondition(some(STARTING))
    @rule(number=PICK)
    def creation_fails(self, number: int) -> None:
        """A worker gets no resource."""
        worker = self.pick(number, STARTING)
        self.model.gone(worker, ev.CreationFailed(worker.seat, "no route"))

    @precondition(some(ENDING))
    @rule(number=PICK)
    def worker_ends(self, number: int) -> None:
        """A worker has destroyed its resource."""
        worker = self.pick(number, ENDING)
        self.model.gone(worker, ev.WorkerEnded(worker.seat))

    @precondition(lambda self: self.model.workers)
    @rule(number=PICK)
    def worker_is_lost(self, number: int) -> None:
        """A worker dies, in whatever state."""
        worker = self.pick(number, STARTING, IDLE, CHECKING, BUSY, PARKED, RELEASED, ENDING)
        self.model.gone(worker, ev.WorkerDied(worker.seat, "boom"))

    @precondition(lambda self: RETIRE in self.model.tokens and some(IDLE)(self))
    @rule(number=PICK)
    def worker_is_lost_when_it_is_to_retire(self, number: int) -> None:
        """A worker obeys a `Retire`, and dies before it can report that."""
        worker = self.pick(number, IDLE)
        self.model.tokens.remove(RETIRE)
        self.model.gone(worker, ev.WorkerDied(worker.seat, "boom", may_have_retired=True))

    @precondition(some(RELEASED))
    @rule(number=PICK)
    def parked_worker_serves_again(self, number: int) -> None:
        """A worker that was parked notices that it is no more."""
        self.model.unpark(self.pick(number, RELEASED))

    @precondition(
        lambda self: self.model.supervisor.phase is Phase.RUNNING and not self.model.inbox and some(IDLE, BUSY)(self)
    )
    @rule(fewer=st.integers(1, 4), seconds=st.sampled_from([0.05, 1.0, 40.0]))
    def fewer_workers_are_tried(self, fewer: int, seconds: float) -> None:
        """A trial of fewer workers begins, as far as they are settled; it ends by itself, if nothing ends it before."""
        model, supervisor = self.model, self.model.supervisor
        for worker in [w for w in model.workers.values() if w.state == STARTING]:
            model.created(worker)
        model.deliver()
        if model.most > 1:
            self.resize(base=1, burst=model.most - 1)
        view, scaler = supervisor.view(), supervisor._scaler
        if view.starting or view.retiring or view.ready <= scaler.base or scaler.tries_fewer:
            return
        trials, scaler._before = scaler._trials, scaler.target
        trials._limit, trials._probing, trials._until = max(scaler.base, view.ready - fewer), True, model.now + seconds
        self.tick(seconds=0.0)

    @precondition(lambda self: any(w.called and w.state == IDLE for w in self.model.workers.values()))
    @rule(number=PICK)
    def called_worker_obeys(self, number: int) -> None:
        """An idle worker that was told to renew its resource ends."""
        called = [w for w in self.model.workers.values() if w.called and w.state == IDLE]
        self.model.wear_out(called[number % len(called)])

    @rule(usually=st.integers(0, 2))
    def refresh(self, usually: int) -> None:
        """The user wants every resource replaced, now and then."""
        if not usually:
            self.model.refresh()

    @precondition(lambda self: self.model.renewing)
    @rule(well=st.booleans())
    def pool_is_renewed(self, well: bool) -> None:
        """The pool of run_task gets a resource in place of an outdated one, or not."""
        self.model.renew_pool(well)

    @precondition(lambda self: self.model.lent)
    @rule()
    def lent_ones_return(self) -> None:
        """The calls of run_task that began before the refresh have ended."""
        self.model.return_lent()

    @precondition(lambda self: self.model.refilling)
    @rule(well=st.booleans())
    def refill_ends(self, well: bool) -> None:
        """The pool of run_task gets its resource, or not."""
        self.model.refilling = False
        self.model.report(ev.PoolRefilled() if well else ev.PoolRefillFailed("no route"))

    @precondition(lambda self: self.model.pool in ("closing", "abandoned"))
    @rule()
    def pool_is_closed(self) -> None:
        """The resources of the pool of run_task are destroyed, perhaps too late."""
        self.model.pool = "closed"
        self.model.report(ev.PoolClosed())

    @precondition(lambda self: self.model.former or self.model.ghosts)
    @rule(number=PICK, kind=st.sampled_from(["ready", "dropped", "failed", "ended", "lost"]))
    def late_report(self, number: int, kind: str) -> None:
        """A report comes from a seat whose worker is gone or was abandoned."""
        seats = self.model.former + [ghost.seat for ghost in self.model.ghosts]
        seat = seats[number % len(seats)]
        events: dict[str, ev.Event] = {
            "ready": ev.WorkerReady(seat),
            "dropped": ev.WorkerDropped(seat),
            "failed": ev.CreationFailed(seat, "late"),
            "ended": ev.WorkerEnded(seat),
            "lost": ev.WorkerDied(seat, "late"),
        }
        self.model.deliver()
        before, finished = self.model.supervisor.view(), self.model.finished
        self.model.report(events[kind])
        self.model.deliver()
        after = self.model.supervisor.view()
        assert (after.lost, after.replaced) == (before.lost, before.replaced)
        if finished:  # before: otherwise the end may have been found right behind the report
            assert after == before

    @precondition(lambda self: any(ghost.task for ghost in self.model.ghosts))
    @rule()
    def ghost_comes_back(self) -> None:
        """An abandoned worker's task fails at last."""
        ghost = next(ghost for ghost in self.model.ghosts if ghost.task)
        self.model.fail_unhealthily(ghost)

    # -- the supervisor ---------------------------------------------------------------------------

    @rule(lagging=st.booleans())
    def lag(self, lagging: bool) -> None:
        """The supervisor's thread is slow from now on, or prompt."""
        self.model.lagging = lagging
        if not lagging:
            self.model.deliver()

    @rule()
    def deliver(self) -> None:
        """The supervisor catches up."""
        self.model.deliver()

    @rule(seconds=st.sampled_from([0.001, 0.1, 1.1, 40.0]))
    def time_passes(self, seconds: float) -> None:
        """Nothing happens for a while, except that the supervisor is woken."""
        model = self.model
        model.now += seconds
        moment = model.supervisor.wakeup(model.now)
        if moment is not None and moment <= model.now:
            model.report(ev.Wakeup())

    @rule()
    def wakeup(self) -> None:
        """The supervisor is woken when it asked for it."""
        moment = self.model.supervisor.wakeup(self.model.now)
        if moment is not None:
            self.model.now = max(self.model.now, moment)
            self.model.report(ev.Wakeup())

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.1, 1.0]))
    def tick(self, seconds: float) -> None:
        """It is time for a scaling decision."""
        model = self.model
        model.now += seconds
        queued = sum(map(len, model.levels))
        running = sum(w.state == BUSY for w in model.workers.values()) + model.inline
        ended = sum(bool(task.outcomes) for task in model.tasks)
        model.report(ev.Tick(ev.Load(queued, running, len(model.tasks), ended)))

    @rule()
    def all_blocked(self) -> None:
        """Every worker waits for another task."""
        states = [w.state for w in self.model.workers.values()]
        self.model.report(ev.AllBlocked(states.count(BUSY)))

    @precondition(lambda self: not self.model.closed)
    @rule(base=st.integers(0, 5), burst=st.integers(0, 4))
    def resize(self, base: int, burst: int) -> None:
        """The user changes the bounds."""
        self.model.deliver()
        base = base or int(not self.model.plan.scales)
        most = max(1, base + burst)
        self.model.base, self.model.most = base, most
        self.model.report(ev.Resized(base, most))

    @rule()
    def pause(self) -> None:
        """The user pauses the manager, or does so again."""
        self.model.report(ev.PauseRequested())

    @rule()
    def resume(self) -> None:
        """The user resumes it, or does so though it is not paused."""
        self.model.report(ev.ResumeRequested())

    @rule(usually=st.integers(0, 5))
    def hand_back(self, usually: int) -> None:
        """The user stops the manager, or has stopped it, and wants back what has not started."""
        if not usually:
            self.model.hands_back = True
            self.model.report(ev.StopRequested("stop", hand_back=True))
            self.model.deliver_if_prompt()

    @precondition(lambda self: self.model.held and self.model.is_quiet())
    @rule()
    def quiet(self) -> None:
        """No task runs any more."""
        self.model.report(ev.Quiet())
        self.model.deliver()
        phase = self.model.supervisor.phase
        assert phase not in (Phase.PAUSING, Phase.RUNNING) or not self.model.held or self.model.hands_back

    @rule(seconds=st.sampled_from([None, 0.0, 0.5, 30.0]), usually=st.integers(0, 5))
    def stop(self, seconds: float | None, usually: int) -> None:
        """The user stops the manager, once in a while."""
        if not usually:
            deadline = None if seconds is None else self.model.now + seconds
            self.model.report(ev.StopRequested("stop", deadline))
            self.model.deliver_if_prompt()

    @rule(seconds=st.sampled_from([0.0, 0.5, 30.0]), usually=st.integers(0, 5))
    def kill(self, seconds: float, usually: int) -> None:
        """The user kills the manager, once in a while."""
        if not usually:
            self.model.report(ev.KillRequested("kill", self.model.now + seconds))
            self.model.deliver_if_prompt()

    @precondition(lambda self: self.model.drain_reported)
    @rule()
    def drained_again(self) -> None:
        """The drain is reported once more."""
        self.model.report(ev.Drained())

    @invariant()
    def holds(self) -> None:
        """The model's invariants hold after each step."""
        self.model.check()

    # -- the end ----------------------------------------------------------------------------------

    def teardown(self) -> None:
        """From anywhere, in a kind world: the base is complete again; a stop ends
        everything, and once."""
        if not hasattr(self, "model"):
            return
        model = self.model
        model.lagging = False
        model.deliver()
        model.deliver_if_prompt()  # what has ended while it lagged may have been the last task
        before = model.supervisor.phase
        model.report(ev.ResumeRequested())
        assert not model.held or model.hands_back
        assert model.supervisor.phase is (before if before not in HELD else Phase.RUNNING)
        if model.supervisor.phase is Phase.RUNNING and self.kind:
            self._settle()
            view = model.supervisor.view()
            assert view.ready >= view.base, "a lost base worker was not replaced"
            assert view.failing_creations == 0 or view.starting == 0
            assert not model.refreshes, "a refresh is not over"
            assert not view.outdated
        if model.supervisor.phase is Phase.RUNNING:
            self.fewer_workers_are_tried(fewer=2, seconds=1.0)
            self._take_orders()
        if self.ending == "stop":
            model.report(ev.StopRequested("the end"))
        else:
            self._kill_in_full_swing()
        model.deliver_if_prompt()
        self._settle(until_finished=True)
        assert model.supervisor.phase is Phase.STOPPED
        assert all(len(task.outcomes) == 1 for task in model.tasks)
        assert not model.workers
        assert not model.supervisor.table.states
        model.check()

    def _take_orders(self) -> None:
        """Idle workers find what they are asked to do."""
        model = self.model
        for worker in [w for w in model.workers.values() if w.state == IDLE]:
            if model.tokens and model.tokens[0] is not None:
                model.take(worker)

    def _kill_in_full_swing(self) -> None:
        """Everybody is busy, then comes a kill."""
        model = self.model
        for worker in [w for w in model.workers.values() if w.state == STARTING]:
            model.created(worker)
        if not model.closed:
            self.submit(level=1, once=False, count=5)
        self.everybody_takes()
        model.report(ev.KillRequested("the end", model.now + 30.0))
        model.deliver_if_prompt()

    def _settle(self, *, until_finished: bool = False) -> None:
        """All goes well from now on, or nothing does, until nothing more happens."""
        model = self.model
        for _ in range(ROUNDS):
            if self._step():
                continue
            moment = model.supervisor.wakeup(model.now)
            if moment is None or (model.finished and until_finished):
                break
            model.now = max(model.now, moment)
            model.report(ev.Wakeup())
        else:
            raise AssertionError("it never comes to rest")
        assert model.finished or not until_finished, "it is never finished"

    def _step(self) -> bool:
        """Everybody does one thing; False if nobody had anything to do."""
        model, before = self.model, self.model.now
        acted = bool(model.refilling or model.inline or model.renewing)
        if model.renewing:
            model.renew_pool(well=True)
        if model.lent:
            model.return_lent()
        elif model.supervisor.view().awaits_pool:
            model.report(ev.PoolCurrent())
            acted = True
        if model.refilling:
            self.refill_ends(well=True)
        if model.pool == "closing":
            self.pool_is_closed()
            acted = True
        while model.inline:
            self.inline_task_ends(healthy=True)
        for worker in list(model.workers.values()):
            acted |= self._step_worker(worker)
        model.check()
        assert model.now == before
        return acted

    def _step_worker(self, worker: Worker) -> bool:
        model = self.model
        if worker.state == STARTING and self.kind:
            model.created(worker)
        elif worker.state == STARTING:
            model.gone(worker, ev.CreationFailed(worker.seat, "no route"))
        elif worker.state == BUSY and self.kind:
            model.finish_task(worker, "result")
        elif worker.state == BUSY:
            model.fail_unhealthily(worker)
        elif worker.state == ENDING:
            model.gone(worker, ev.WorkerEnded(worker.seat))
        elif worker.state == CHECKING:
            model.end_check(worker, self.kind)
        elif worker.state == RELEASED:
            model.unpark(worker)
        elif worker.called and worker.state == IDLE:
            model.wear_out(worker)
        elif worker.state == IDLE and model.tokens:
            model.take(worker)
            model.deliver_if_prompt()
        else:
            return False
        return True


TestSupervisor = SupervisorMachine.TestCase
TestSupervisor.settings = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    derandomize=IN_CI,
    database=None,
    report_multiple_bugs=False,
    phases=[Step.generate, Step.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
