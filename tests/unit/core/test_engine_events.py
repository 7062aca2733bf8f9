"""The guarded step: one event after the other, also where the supervisor raises."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import Context, RetryBudget, RetryPolicy
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove, Phase
from tasker.control.workers import WorkerState
from unit.core.fakes import FakeTask, FakeWorker, ToyEngine, with_view

SEAT = ev.Seat(1, 1)


def test_a_step_carries_the_actions_out_in_order() -> None:
    """The supervisor is asked once, with the time that it is given, and its actions are carried out as they came."""
    actions = [act.StartWorker(SEAT), act.Retire(1), act.Finish()]
    engine = ToyEngine(lambda event: list(actions))
    engine.step(ev.Started(), 12.0)
    assert engine.scripted.handled == [(ev.Started(), 12.0)]
    assert [action for action, _ in engine.carried_out] == actions


def test_an_action_finds_the_view_of_its_event() -> None:
    """The view is that after the event before the first action is carried out."""
    engine = ToyEngine(lambda event: [act.Retire(1)])
    after = engine.scripted.shown = with_view(engine.view, ready=5)
    engine.step(ev.Started(), 0.0)
    assert engine.carried_out == [(act.Retire(1), after)]
    assert engine.view is after


def test_a_supervisor_that_raises() -> None:
    """It is logged with the event and counted, nothing is carried out, and the next event is handled."""

    def script(event: ev.Event) -> list[act.Action]:
        if event == ev.Wakeup():
            raise ValueError("boom")
        return [act.Retire(1)]

    engine = ToyEngine(script)
    before = engine.view
    engine.scripted.shown = with_view(before, ready=5)
    engine.step(ev.Wakeup(), 1.0)
    assert (engine.carried_out, engine.view) == ([], before)
    assert engine.logger.text("error").startswith("pool: the supervisor, at Wakeup(), raised ValueError: boom\n")
    assert engine.user_errors() == 1
    engine.step(ev.Started(), 2.0)
    assert [action for action, _ in engine.carried_out] == [act.Retire(1)]
    assert engine.user_errors() == 1


@pytest.mark.parametrize(
    "event",
    [ev.AttemptFailed(SEAT, "t", 1, False), ev.TaskSnoozed(SEAT, "t", 1.0, ValueError("later"))],
)
def test_a_supervisor_that_raises_at_a_task(event: ev.Event) -> None:
    """Nobody else would end the task: it gets its own error."""

    def script(event: ev.Event) -> list[act.Action]:
        raise ValueError("boom")

    engine = ToyEngine(script)
    engine.step(event, 1.0)
    assert [action for action, _ in engine.carried_out] == [act.FailTask("t", own=True)]


class Unprintable(Exception):
    """An error that ends the program when it is shown."""

    def __repr__(self) -> str:
        raise SystemExit("repr")


def test_a_supervisor_that_raises_at_what_cannot_be_shown() -> None:
    """The log names the kind of the event, and the next one is handled."""

    def script(event: ev.Event) -> list[act.Action]:
        raise ValueError("boom")

    engine = ToyEngine(script)
    engine.step(ev.TaskSnoozed(SEAT, "t", 1.0, Unprintable()), 1.0)
    assert "the supervisor, at TaskSnoozed, raised ValueError: boom" in engine.logger.text("error")


GONE = [ev.WorkerEnded(SEAT), ev.WorkerDied(SEAT, "killed by signal 9"), ev.CreationFailed(SEAT, "OSError: no route")]


@pytest.mark.parametrize("event", GONE)
def test_a_worker_that_is_gone(event: ev.Event) -> None:
    """It is taken out of the workers, and the engine notes it once; an open manager has nothing to drain."""
    engine, worker = ToyEngine(), FakeWorker()
    other = FakeWorker()
    engine.workers = {SEAT: worker, ev.Seat(1, 2): other}
    engine.step(event, 0.0)
    engine.step(event, 0.0)
    assert engine.workers == {ev.Seat(1, 2): other}
    assert engine.gone == [worker]
    assert engine.drain_checks == 0
    assert len(engine.scripted.handled) == 2


@pytest.mark.parametrize("event", GONE)
@pytest.mark.parametrize("known", [True, False])
def test_a_worker_that_is_gone_from_a_closed_manager(event: ev.Event, known: bool) -> None:
    """Whether anything is outstanding is looked at, also where the worker was abandoned before."""
    engine = ToyEngine()
    if known:
        engine.workers = {SEAT: FakeWorker()}
    engine.move_door(DoorMove.CLOSE, "enough")
    engine.step(event, 0.0)
    assert engine.drain_checks == 1


def test_a_worker_that_is_gone_though_the_supervisor_raises() -> None:
    """What the engine keeps of its workers is right all the same."""

    def script(event: ev.Event) -> list[act.Action]:
        raise ValueError("boom")

    engine = ToyEngine(script)
    engine.workers = {SEAT: FakeWorker()}
    engine.step(ev.WorkerEnded(SEAT), 0.0)
    assert engine.workers == {}


@pytest.mark.parametrize("event", [ev.WorkerRetiring(SEAT), ev.WorkerWorn(SEAT), ev.WorkerReady(SEAT)])
def test_a_worker_that_is_still_there(event: ev.Event) -> None:
    """One that is about to end stays among the workers until it has."""
    engine, worker = ToyEngine(), FakeWorker()
    engine.workers = {SEAT: worker}
    engine.move_door(DoorMove.CLOSE, "enough")
    engine.step(event, 0.0)
    assert (engine.workers, engine.gone, engine.drain_checks) == ({SEAT: worker}, [], 0)


def test_a_tick_says_how_busy_it_is() -> None:
    """The supervisor receives the load of this moment, and the rates are brought up to date."""
    engine = ToyEngine()
    shard, now = engine.counters.shard(1), engine.arrivals._samples[-1][0] + 2.0
    for _ in range(4):
        next(iter(engine.counters.numbers))
    shard.taken, shard.done = 3, 2
    engine.queue[0].append(FakeTask(attempts=0, queued_at=now - 0.5))
    engine.tick(now)
    load = ev.Load(queued=1, running=1, arrived=4, ended=2, oldest_wait=0.5)
    assert engine.scripted.handled == [(ev.Tick(load), now)]
    assert (engine.arrivals.rate(), engine.completions.rate()) == (2.0, 1.0)


@pytest.mark.parametrize(("burst_interval", "interval"), [(0.0, 1.0), (0.25, 0.25)])
def test_the_interval_of_ticks(burst_interval: float, interval: float) -> None:
    """Where scaling is off, there is a tick a second all the same, for the rates."""
    assert ToyEngine(burst_interval=burst_interval).interval == interval


# -- draining -----------------------------------------------------------------------------------------------------


def draining(**view: Any) -> ToyEngine:
    """An engine whose supervisor waits for the end of its tasks."""
    engine = ToyEngine()
    engine.view = with_view(engine.view, awaits_drain=True, **view)
    return engine


def test_drained() -> None:
    """Once nothing is outstanding, the supervisor is notified."""
    engine = draining()
    engine.answer_drained(3.0)
    assert engine.scripted.handled == [(ev.Drained(), 3.0)]


def test_not_drained() -> None:
    """While a task is outstanding, it is not notified."""
    engine = draining()
    next(iter(engine.counters.numbers))
    assert engine.outstanding()
    engine.answer_drained(3.0)
    assert engine.scripted.handled == []
    engine.counters.add("refused")
    assert not engine.outstanding()


def test_drained_and_not_awaited() -> None:
    """A supervisor that does not wait for that is not notified: the stop has not reached it yet."""
    engine = ToyEngine()
    engine.answer_drained(3.0)
    assert engine.scripted.handled == []


def test_quiet() -> None:
    """During a pause, the supervisor is notified once nothing runs; whoever waits for that is answered with the phase."""
    engine, answers = ToyEngine(), list[bool]()
    engine.view = engine.scripted.shown = with_view(engine.view, phase=Phase.PAUSING, awaits_quiet=True)
    engine.await_quiet(answers.append)
    engine.answer_drained(3.0)
    assert (engine.scripted.handled, answers) == ([], [])
    engine.quiet = True
    engine.scripted.shown = with_view(engine.view, phase=Phase.PAUSED, awaits_quiet=False)
    engine.answer_drained(4.0)
    assert (engine.scripted.handled, answers) == ([(ev.Quiet(), 4.0)], [True])


# -- the next moment ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wakeup", "moment"), [(None, 10.0), (9.0, 9.0), (11.0, 10.0)])
def test_next_moment(wakeup: float | None, moment: float) -> None:
    """It is the next tick, or the supervisor's wakeup where that is sooner."""
    engine = ToyEngine()
    engine.scripted.moment = wakeup
    assert engine.next_moment(8.0, 10.0) == moment


@pytest.mark.parametrize(("deadline", "moment"), [(9.5, 9.0), (8.5, 8.5)])
def test_next_moment_with_a_deadline_of_the_parent(deadline: float, moment: float) -> None:
    """The deadline of Config.ctx counts too."""
    engine = ToyEngine(ctx=Context().with_deadline(deadline))
    engine.scripted.moment = 9.0
    assert engine.next_moment(8.0, 10.0) == moment


def test_next_moment_with_a_parent_without_a_deadline() -> None:
    """A Config.ctx that cannot expire changes nothing."""
    assert ToyEngine(ctx=Context()).next_moment(8.0, 10.0) == 10.0


def test_next_moment_of_a_closed_manager() -> None:
    """Once the manager is closed, the deadline of its parent has nothing to end any more."""
    engine = ToyEngine(ctx=Context().with_deadline(8.5))
    engine.move_door(DoorMove.CLOSE, "enough")
    assert engine.next_moment(8.0, 10.0) == 10.0


# -- reports ------------------------------------------------------------------------------------------------------


def test_creation_failed() -> None:
    """The supervisor receives the error in words; the error itself is kept as the cause of others; the log has both."""
    engine, error = ToyEngine(), OSError("no route")
    engine.creation_failed(SEAT, error)
    assert engine.reported == [ev.CreationFailed(SEAT, "OSError: no route")]
    assert engine.creation_error is error
    assert engine.logger.lines == [("debug", "pool: on_create raised OSError: no route\nOSError: no route")]


def test_dependency_down() -> None:
    """The error is kept as the cause of others, as one of a creation."""
    engine, error = ToyEngine(), OSError("no route")
    engine.dependency_down(error, 3.0)
    assert engine.reported == [ev.DependencyDown("OSError: no route", 3.0)]
    assert engine.creation_error is error


def test_a_tick_looks_for_long_tasks() -> None:
    """Only where that is asked for."""
    assert ToyEngine().long_tasks is None
    engine = ToyEngine(stuck_after=5.0)
    engine.workers[SEAT] = worker = FakeWorker()
    task = worker.shard.future = FakeTask()
    task._started_at = -100.0  # type: ignore[attr-defined]
    engine.tick(0.0)
    assert "has run task #7" in engine.logger.text("warning")


def test_the_end_of_a_creation_that_was_given_up() -> None:
    """How it ended then says nothing; that it took too long stays the reason."""
    engine = ToyEngine()
    engine.creation_error = late = TimeoutError("too late")
    engine.workers[SEAT] = FakeWorker(state=WorkerState.STUCK)
    engine.creation_failed(SEAT, OSError("killed"))
    assert engine.creation_error is late
    assert engine.reported == [ev.CreationFailed(SEAT, "OSError: killed")]


# -- retries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "theirs", "most"),
    [
        (None, None, 2),
        (None, RetryPolicy(max_retries=5), 5),
        (None, RetryPolicy(), 2),
        (RetryPolicy(max_retries=0), RetryPolicy(max_retries=5), 0),
        (RetryPolicy(), RetryPolicy(max_retries=5), 2),
    ],
)
def test_how_many_retries(own: RetryPolicy | None, theirs: RetryPolicy | None, most: int) -> None:
    """What the policy of the task says, else that of the manager; what they leave open is Config.max_retries."""
    engine = ToyEngine(retry=theirs, max_retries=2)
    assert engine.max_retries_of(FakeTask(_retry=own)) == most


def test_a_budget_gets_its_due_before_the_decision() -> None:
    """The successes so far are given first, to the budget of the policy by which is decided."""
    theirs, own = (RetryBudget(100, retry_cost=90, timeout_cost=90) for _ in range(2))
    left: list[tuple[int, int]] = []

    def look(event: ev.Event) -> list[act.Action]:
        left.append((theirs.available, own.available))
        return []

    engine = ToyEngine(look, retry=RetryPolicy(budget=theirs))
    for budget in (theirs, own):
        budget.borrow(timed_out=False)
    engine.counters.shard(1).done = 5
    engine.step(ev.AttemptFailed(SEAT, FakeTask(), 1, False, policy=RetryPolicy(budget=own)), 0.0)
    engine.step(ev.AttemptFailed(SEAT, FakeTask(), 1, False), 0.0)
    engine.counters.shard(1).done = 7
    engine.step(ev.AttemptFailed(SEAT, FakeTask(), 1, False, policy=RetryPolicy(budget=own)), 0.0)
    assert left == [(10, 10), (15, 10), (15, 12)]


def test_a_loan_is_repaid_by_what_succeeds() -> None:
    """The outcome of the task is watched for that."""
    engine, task, budget = ToyEngine(), WeakTask(), RetryBudget()
    loan = budget.borrow(timed_out=True)
    assert loan is not None
    engine.lend(task, loan)
    ((watched, call),) = engine.watched
    assert watched is task
    call()
    assert budget.available == 499


class WeakTask:
    """A task, as far as a loan is concerned."""
