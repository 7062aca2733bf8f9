"""Every action of the table, in each of its branches, as the exact calls of the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from support.observers import RaisingCollector, RaisingLogger, RecordingCollector
from tasker import MaxRetriesExceeded, PoisonTask, Quarantined, ResourceError, RetryBudget, Snooze
from tasker.aio.engine import AsyncEngine
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.attempts import Verdict
from tasker.control.retry_budget import Loan
from tasker.control.workers import WorkerMove, WorkerState
from tasker.core.driver import Driver
from tasker.core.effects import Effects, exhausted
from tasker.core.quarantine import QuarantineRecord, poisoned
from tasker.core.slices import SLICE
from tasker.logs import GuardedLogger
from tasker.options import Priority
from tasker.threads.engine import Engine
from unit.core.fakes import FakeBackend, FakeDriver, FakeTask, FakeWorker, config

ACTIONS: tuple[type, ...] = get_args(act.Action)
TASK = FakeTask()
SEAT = ev.Seat(1, 1)


def carried_out(driver: FakeDriver, *actions: act.Action) -> list[tuple[Any, ...]]:
    """What the driver was asked to do."""
    effects = Effects(driver)  # type: ignore[arg-type]
    for action in actions:
        effects.carry_out(action)
    return driver.calls


# -- the table ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["threads", "asyncio"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each of the two engines, not started."""
    if request.param == "threads":
        yield Engine(config())
    else:
        loop = asyncio.new_event_loop()
        yield AsyncEngine(config(), loop)
        loop.close()


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_action_is_in_the_table_of_both_engines(engine: Any, kind: type) -> None:
    """Each engine can carry out each action that the supervisor may ask for."""
    assert callable(engine.effects._table[kind])


def test_the_table_has_nothing_else(engine: Any) -> None:
    """The table has the supervisor's actions and no others."""
    assert set(engine.effects._table) == set(ACTIONS)


@pytest.mark.parametrize("member", [name for name in vars(Driver) if not name.startswith("_")])
def test_both_engines_are_drivers(engine: Any, member: str) -> None:
    """Each engine has each member that the table uses."""
    assert hasattr(engine, member)


@pytest.mark.parametrize(
    ("action", "call"),
    [
        (act.StartWorker(SEAT), ("start_worker", SEAT)),
        (act.Retire(3), ("retire", 3)),
        (act.DropTask(TASK), ("drop_returned", TASK)),
        (act.HoldTasks(), ("hold_tasks",)),
        (act.ReleaseTasks(), ("release_tasks",)),
        (act.RefuseTasks("enough"), ("close", "enough")),
        (act.RefillPool(), ("refill_pool",)),
        (act.RenewPool(), ("renew_pool",)),
        (act.ProbePool(), ("probe",)),
        (act.GiveUpPoolProbe(), ("give_up_probe",)),
        (act.ClosePool(), ("close_pool",)),
    ],
)
def test_actions_that_are_one_call(action: act.Action, call: tuple[Any, ...]) -> None:
    """The driver is asked for exactly that."""
    assert carried_out(FakeDriver(), action) == [call]


def test_log() -> None:
    """The user's logger receives the level, the manager's name and the message."""
    driver = FakeDriver()
    carried_out(driver, act.Log("warning", "%d of %s", (3, "four")), act.Log("info", "plain"))
    assert driver.logger.lines == [("warning", "pool: 3 of four"), ("info", "pool: plain")]


def test_restart_alarm() -> None:
    """It is an error when it comes, and no more than a message when it goes."""
    driver = FakeDriver()
    carried_out(
        driver, act.RestartAlarm(True, 4, 3, 60.0, "it was lost: boom"), act.RestartAlarm(False, 9, 3, 60.0, "the same")
    )
    limit = "more than 3 in 60 seconds (restart_intensity)"
    assert driver.logger.lines == [
        ("error", f"pool: workers are replaced again and again, {limit}; the last one because it was lost: boom"),
        ("info", f"pool: workers are not replaced {limit} any more; there were 9"),
    ]


# -- a fault ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [ValueError("boom"), KeyboardInterrupt("boom"), SystemExit("boom")])
def test_a_fault_does_not_keep_the_next_action_from_being_carried_out(fault: BaseException) -> None:
    """It is logged under the action's name and counted, and the next action follows."""
    driver = FakeDriver()
    driver.faults["start_worker"] = fault
    assert carried_out(driver, act.StartWorker(SEAT), act.Retire(1)) == [("start_worker", SEAT), ("retire", 1)]
    assert driver.user_errors() == 1
    assert driver.logger.text("error").startswith(f"pool: StartWorker raised {type(fault).__name__}: boom\n")


def test_what_is_no_action_is_a_fault_like_any_other() -> None:
    """An unknown action is logged and counted, and the next action follows."""
    driver = FakeDriver()
    assert carried_out(driver, "no action", act.Retire(1)) == [("retire", 1)]  # type: ignore[arg-type]
    assert driver.user_errors() == 1
    assert "str raised KeyError" in driver.logger.text("error")


def test_a_logger_that_raises() -> None:
    """It is counted, and the next action follows."""
    driver = FakeDriver()
    driver.log = GuardedLogger(RaisingLogger(KeyboardInterrupt()), "pool", lambda: driver.counters.note("user_errors"))
    assert carried_out(driver, act.Log("info", "plain"), act.Retire(1)) == [("retire", 1)]
    assert driver.user_errors() == 1


# -- tasks that an attempt has left behind ------------------------------------------------------------------------


def test_requeue() -> None:
    """The task is counted as queued before it is queued, at high priority, and the retry is counted and reported."""
    collector = RecordingCollector()
    driver = FakeDriver(collector=collector)
    assert carried_out(driver, act.Requeue(TASK)) == [
        ("claim", TASK),
        ("remember", TASK, driver.failure, Verdict.TRY_AGAIN),
        ("returned", TASK),
        ("enqueue", TASK, Priority.HIGH),
    ]
    driver.counters.flow()
    assert driver.counters.retried == 1
    assert collector.retries == [None]


def test_delay_and_resume() -> None:
    """The task is counted as queued and as a retry at once, and queued later; unless it has its outcome by then."""
    collector = RecordingCollector()
    driver = FakeDriver(collector=collector)
    assert [name for name, *_ in carried_out(driver, act.Delay(TASK))] == ["claim", "remember", "returned"]
    driver.counters.flow()
    assert driver.counters.retried == 1
    assert collector.retries == [None]
    assert carried_out(driver, act.Resume(TASK))[-1] == ("enqueue", TASK, Priority.HIGH)
    assert carried_out(FakeDriver(), act.Resume(FakeTask(ended=True))) == []


def test_a_delayed_task_is_reported() -> None:
    """It ends with the error of its last attempt, or with its snooze, and is counted; unless it has its outcome."""
    error, snooze = OSError("gone"), Snooze(5)
    task = FakeTask(attempts_made=(SimpleNamespace(error=ValueError("before")), SimpleNamespace(error=error)))
    driver = FakeDriver()
    assert carried_out(driver, act.ReportDelayed(task)) == [
        ("remember", task, error, Verdict.ENDED),
        ("fail_queued", task, error),
        ("check_drained",),
    ]
    assert driver.shutdown_counts.delayed_tasks == 1
    snoozing, driver = FakeTask(), FakeDriver()
    assert carried_out(driver, act.ReportDelayed(snoozing, snooze))[0] == ("fail_queued", snoozing, snooze)
    assert driver.shutdown_counts.delayed_tasks == 1
    driver = FakeDriver()
    assert carried_out(driver, act.ReportDelayed(FakeTask(ended=True))) == []
    carried_out(driver, act.ReportDelayed(FakeTask(was_cancelled=True), snooze))
    assert driver.shutdown_counts.delayed_tasks == 0
    carried_out(driver, act.FailTask(FakeTask(), own=True, late=True))
    assert driver.shutdown_counts.delayed_tasks == 1


def test_a_retry_that_was_paid() -> None:
    """What it has cost is noted before the task is queued, and only if it is."""
    loan = Loan(RetryBudget(), 5)
    calls = carried_out(FakeDriver(), act.Requeue(TASK, loan))
    assert calls[-2:] == [("lend", TASK, loan), ("enqueue", TASK, Priority.HIGH)]
    assert carried_out(FakeDriver(), act.Delay(TASK, loan=loan))[-1] == ("lend", TASK, loan)
    driver = FakeDriver()
    driver.wanted = False
    assert ("lend", TASK, loan) not in carried_out(driver, act.Requeue(TASK, loan))


def test_a_snooze_is_no_retry() -> None:
    """It is counted as what it is, here and in the task; unless the task was cancelled in the meantime."""
    collector = RecordingCollector()
    driver, task = FakeDriver(collector=collector), FakeTask()
    assert carried_out(driver, act.Delay(task, snoozed=True)) == [("claim", task), ("returned", task)]
    driver.counters.flow()
    assert (driver.counters.snoozed, driver.counters.retried, collector.retries, task._snoozes) == (1, 0, [], 1)
    driver.wanted = False
    assert carried_out(driver, act.Delay(task, snoozed=True))[-1] == ("fail_queued", task, driver.failure)
    driver.counters.flow()
    assert (driver.counters.snoozed, task._snoozes) == (1, 1)


def test_requeue_of_a_task_that_was_decided_already() -> None:
    """What cannot be claimed is left alone."""
    driver = FakeDriver()
    driver.failure = None
    assert carried_out(driver, act.Requeue(TASK)) == [("claim", TASK)]
    driver.counters.flow()
    assert driver.counters.retried == 0


def test_requeue_of_a_task_that_was_cancelled_in_the_meantime() -> None:
    """It ends with the error that it raised, and is no retry."""
    collector = RecordingCollector()
    driver = FakeDriver(collector=collector)
    driver.wanted = False
    error = raised()
    driver.failure = error
    assert carried_out(driver, act.Requeue(TASK)) == [
        ("claim", TASK),
        ("remember", TASK, error, Verdict.TRY_AGAIN),
        ("returned", TASK),
        ("remember", TASK, error, Verdict.ENDED),
        ("fail_queued", TASK, error),
    ]
    assert error.__traceback__ is not None  # it is the outcome
    driver.counters.flow()
    assert driver.counters.retried == 0
    assert collector.retries == []


def raised() -> BaseException:
    """An error with a traceback."""
    try:
        raise OSError("gone")
    except OSError as error:
        return error


@pytest.mark.parametrize("action", [act.Requeue(TASK), act.Delay(TASK)])
def test_a_retry_forgets_the_frames_of_the_error(action: act.Action) -> None:
    """They hold the resource. They are in the history by then."""
    driver = FakeDriver()
    driver.failure = error = raised()
    frames: list[object] = []
    driver.remember = lambda *args: frames.append(error.__traceback__)  # type: ignore[method-assign]
    carried_out(driver, action)
    assert frames[0] is not None
    assert error.__traceback__ is None


def test_requeue_with_a_collector_that_raises() -> None:
    """The task is queued all the same."""
    driver = FakeDriver(collector=RaisingCollector(ValueError("boom")))
    assert carried_out(driver, act.Requeue(TASK))[-1] == ("enqueue", TASK, Priority.HIGH)
    assert driver.user_errors() == 1


def test_fail_task_with_its_own_error() -> None:
    """The task receives the very error that its attempt raised."""
    driver = FakeDriver()
    error = driver.failure
    assert carried_out(driver, act.FailTask(TASK, own=True)) == [
        ("claim", TASK),
        ("remember", TASK, error, Verdict.ENDED),
        ("fail_returned", TASK, error),
    ]


def test_fail_task_because_its_policy_has_raised() -> None:
    """That is logged and counted, and the task receives its own error."""
    driver = FakeDriver()
    assert carried_out(driver, act.FailTask(TASK, own=True, fault=SystemExit("policy")))[-1][0] == "fail_returned"
    assert driver.user_errors() == 1


def test_fail_task_that_is_exhausted() -> None:
    """The task receives MaxRetriesExceeded, whose cause is the error of the last attempt."""
    driver = FakeDriver()
    task = FakeTask(attempts=4)
    claim, remembered, (name, failed, error) = carried_out(driver, act.FailTask(task, own=False))
    assert claim == ("claim", task)
    assert remembered == ("remember", task, driver.failure, Verdict.EXHAUSTED)
    assert (name, failed) == ("fail_returned", task)
    assert isinstance(error, MaxRetriesExceeded)
    assert error.__cause__ is driver.failure


@pytest.mark.parametrize("own", [True, False])
def test_fail_task_that_was_decided_already(own: bool) -> None:
    """What cannot be claimed is left alone."""
    driver = FakeDriver()
    driver.failure = None
    assert carried_out(driver, act.FailTask(TASK, own)) == [("claim", TASK)]


def test_quarantine() -> None:
    """The task ends with PoisonTask, is counted, named and logged first, and then on_quarantine is called."""
    driver = FakeDriver()
    task = FakeTask(attempts_made=("first", "last"))
    claim, remembered, (name, failed, error), (last, told, info) = carried_out(driver, act.Quarantine(task, 2))
    assert claim == ("claim", task)
    assert remembered == ("remember", task, driver.failure, Verdict.QUARANTINED)
    assert (name, failed, last, told) == ("fail_returned", task, "quarantined", task)
    assert type(error) is PoisonTask
    assert (error.__cause__, error.attempts) == (driver.failure, ("first", "last"))
    assert info == Quarantined(7, "builtins.len", len, ("seven",), ("first", "last"), error)  # type: ignore[arg-type]
    driver.counters.flow()
    assert driver.counters.quarantined == 1
    assert driver.quarantine.labels == ("task #7 (mod.fn)",)
    assert driver.logger.lines == [("error", f"pool: {error}")]


def test_quarantine_of_a_task_that_was_decided_already() -> None:
    """What cannot be claimed is left alone."""
    driver = FakeDriver()
    driver.failure = None
    assert carried_out(driver, act.Quarantine(TASK, 2)) == [("claim", TASK)]
    assert driver.quarantine.labels == ()


@pytest.mark.parametrize(("harmed", "resources"), [(1, "a resource"), (3, "3 resources")])
def test_the_error_of_a_poison_task(harmed: int, resources: str) -> None:
    """It says how many resources, and what came last."""
    error = poisoned(FakeTask(), harmed, OSError("gone"))
    assert str(error) == (
        f"task #7 (mod.fn) has left {resources} unhealthy and is not tried again (Config.quarantine_after), last with OSError: gone"
    )


def test_few_names_are_remembered() -> None:
    """The last ten tasks, the newest last."""
    quarantine = QuarantineRecord()
    for number in range(12):
        quarantine.add(f"task #{number}")
    assert quarantine.labels == tuple(f"task #{number}" for number in range(2, 12))


def test_the_error_of_an_exhausted_task() -> None:
    """It says which task, how often it was started, what was permitted, and what came last."""
    cause = OSError("gone")
    error = exhausted(FakeTask(label="task #9 (mod.fetch)", attempts=4), 3, cause)
    assert str(error) == (
        "max retries exceeded: task #9 (mod.fetch) failed 4 times (max_retries=3), last with OSError: gone"
    )
    assert (error.attempts, error.__cause__) == (4, cause)


# -- tasks that wait ----------------------------------------------------------------------------------------------


def test_fail_queued() -> None:
    """All that wait receive ResourceError, then whether anything is outstanding is looked at."""
    driver = FakeDriver()
    first, second = driver.queued = [FakeTask(label="task #1 (a)"), FakeTask(label="task #2 (b)", queued_at=99.0)]
    driver.creation_error = OSError("no route")
    *failed, check = carried_out(driver, act.FailQueued("OSError: no route"))
    assert [(name, task) for name, task, _ in failed] == [("fail_queued", first), ("fail_queued", second)]
    assert [str(error) for _, _, error in failed] == [
        "no resource could be made for task #1 (a): OSError: no route",
        "no resource could be made for task #2 (b): OSError: no route",
    ]
    assert all(type(error) is ResourceError and error.__cause__ is driver.creation_error for _, _, error in failed)
    assert check == ("check_drained",)


def test_fail_queued_without_an_error_of_on_create() -> None:
    """Where none was made in time, though on_create did not raise, the error has no cause."""
    driver = FakeDriver()
    driver.queued = [FakeTask()]
    (_, _, error), _ = carried_out(driver, act.FailQueued("no worker was ready"))
    assert error.__cause__ is None


def test_fail_queued_before_a_moment() -> None:
    """Those that have waited since then, or longer, are failed; the others wait on."""
    driver = FakeDriver()
    driver.queued = [FakeTask(queued_at=moment) for moment in (1.0, 2.0, 2.001)]
    failed = [call[1].queued_at for call in carried_out(driver, act.FailQueued("late", before=2.0))[:-1]]
    assert failed == [1.0, 2.0]


def test_fail_queued_where_failing_raises() -> None:
    """The fault is logged with its task and counted, and the other tasks are failed all the same."""
    driver = FakeDriver()
    driver.queued = [FakeTask(id=1), FakeTask(id=2)]
    driver.faults["fail_queued"] = ValueError("boom")
    assert [call[0] for call in carried_out(driver, act.FailQueued("late"))] == [
        "fail_queued",
        "fail_queued",
        "check_drained",
    ]
    assert driver.user_errors() == 2


@pytest.mark.parametrize("moves", [[], [WorkerMove.GIVEN_UP]], ids=["made", "returned"])
def test_fail_queued_spares_what_can_run(moves: list[WorkerMove]) -> None:
    """A worker serves that is still starting, or stuck, for the supervisor: its report follows, and nothing is failed."""
    driver = FakeDriver()
    driver.queued = [FakeTask()]
    table = driver.supervisor.table
    seat = table.seat_new()
    for move in moves:
        table.move(seat, move)
    driver.workers[seat] = FakeWorker(state=WorkerState.READY)
    assert carried_out(driver, act.FailQueued("late")) == []


@pytest.mark.parametrize(
    ("known", "state"),
    [(WorkerState.ENDING, WorkerState.READY), (WorkerState.STARTING, WorkerState.STARTING)],
    ids=["about to end", "still starting"],
)
def test_fail_queued_where_no_worker_serves(known: WorkerState, state: WorkerState) -> None:
    """The supervisor has heard that it ends, before the worker itself got there; or it has no resource yet."""
    driver = FakeDriver()
    driver.queued = [FakeTask()]
    seat = driver.supervisor.table.seat_new()
    driver.supervisor.table.states[seat] = known
    driver.workers[seat] = FakeWorker(state=state)
    assert [call[0] for call in carried_out(driver, act.FailQueued("late"))] == ["fail_queued", "check_drained"]


def test_fail_queued_without_the_worker_of_a_seat() -> None:
    """One that the engine has no more is none that serves."""
    driver = FakeDriver()
    driver.supervisor.table.seat_new()
    assert carried_out(driver, act.FailQueued("late")) == [("check_drained",)]


def test_fail_queued_with_an_empty_queue() -> None:
    """Whether anything is outstanding is looked at all the same."""
    assert carried_out(FakeDriver(), act.FailQueued("OSError: no route")) == [("check_drained",)]


def test_cancel_running() -> None:
    """No task may start before those that run are cancelled."""
    assert carried_out(FakeDriver(), act.CancelRunning()) == [("bar",), ("cancel_running",)]


def test_drop_queued_in_slices() -> None:
    """Of many tasks some are dropped, and the rest after the engine has had time for other events. It is woken for them."""
    driver = FakeDriver()
    driver.queued = [FakeTask(id=n) for n in range(2 * SLICE + 1)]
    dropped = [call for call in carried_out(driver, act.DropQueued()) if call[0] == "drop"]
    assert len(dropped) == SLICE
    assert len(driver.queued) == SLICE + 1
    assert driver.reported == [ev.Wakeup()]
    driver.go_on()
    driver.go_on()
    assert (driver.queued, driver.later) == ([], [])
    assert driver.reported == [ev.Wakeup()] * 2


def test_finish() -> None:
    """The engine is finished once nothing waits any more."""
    assert carried_out(FakeDriver(), act.Finish()) == [("take_queued",), ("finish",)]


def test_finish_with_tasks_left() -> None:
    """What a kill did not come to drop before its deadline is dropped before the end."""
    driver = FakeDriver()
    driver.queued = [FakeTask(id=n) for n in range(SLICE + 1)]
    assert ("finish",) not in carried_out(driver, act.Finish())
    assert driver.emptied.is_set()
    calls = driver.calls
    driver.go_on()
    assert driver.queued == []
    assert calls[-1] == ("finish",)


def test_drop_queued() -> None:
    """All that wait are taken out at once, then each is dropped."""
    driver = FakeDriver()
    first, second = driver.queued = [FakeTask(id=1), FakeTask(id=2)]
    assert carried_out(driver, act.DropQueued()) == [("take_queued",), ("drop", first), ("drop", second)]


@pytest.mark.parametrize("fault", [ValueError("boom"), KeyboardInterrupt("boom")])
def test_drop_queued_where_dropping_raises(fault: BaseException) -> None:
    """Each fault is logged with its task and counted, and the other tasks are dropped all the same."""
    driver = FakeDriver()
    first, second = driver.queued = [FakeTask(id=1), FakeTask(id=2)]
    driver.faults["drop"] = fault
    assert carried_out(driver, act.DropQueued()) == [("take_queued",), ("drop", first), ("drop", second)]
    assert driver.user_errors() == 2
    firsts = [line.splitlines()[0] for _, line in driver.logger.lines]
    assert firsts == [f"pool: the end of task #{n} raised {type(fault).__name__}: boom" for n in (1, 2)]


def test_interrupt() -> None:
    """Has the backend terminate its sessions; without one there is nothing to do."""
    driver = FakeDriver()
    assert carried_out(driver, act.Interrupt()) == []
    driver.backend = FakeBackend()
    carried_out(driver, act.Interrupt())
    assert driver.backend.calls == [("terminate_all",)]


# -- surplus ------------------------------------------------------------------------------------------------------


def test_a_starting_worker_is_marked_as_surplus() -> None:
    """The worker of the seat is to end as soon as it has its resource, or serves after all; a worker that is gone is none
    of it."""
    driver = FakeDriver()
    worker = driver.workers[SEAT] = FakeWorker("w-1")
    carried_out(driver, act.MarkSurplus(SEAT, surplus=True))
    assert worker.surplus
    carried_out(driver, act.MarkSurplus(SEAT, surplus=False), act.MarkSurplus(ev.Seat(2, 9), surplus=True))
    assert not worker.surplus


def test_a_stuck_worker_is_given_up() -> None:
    """The worker ends what it does; that a creation takes too long is an error of on_create. One that is gone needs
    nothing."""
    driver = FakeDriver()
    worker = driver.workers[SEAT] = FakeWorker("w-1")
    carried_out(driver, act.GiveUp(SEAT, None))
    assert worker.given_up == [False]
    assert driver.creation_error is None
    assert driver.logger.lines == [("warning", "pool: worker w-1 is at\na place that is not known")]
    worker.place = "line 3"
    carried_out(driver, act.GiveUp(SEAT, "too late"), act.GiveUp(ev.Seat(2, 9), "too late"))
    assert worker.given_up == [False, True]
    assert isinstance(driver.creation_error, TimeoutError)
    assert str(driver.creation_error) == "too late"
    assert driver.logger.lines[1:] == [("warning", "pool: worker w-1 is at\nline 3")]
    carried_out(driver, act.GiveUp(SEAT, None, checks="check_resource"))
    assert worker.given_up == [False, True, False]


def test_tasks_are_handed_back_in_slices() -> None:
    """Each with its priority; tasks are released after the last one. What a callback raises stops nothing."""
    driver = FakeDriver()
    tasks = [FakeTask(id=n) for n in range(SLICE + 1)]
    driver.unstarted = [(task, 2) for task in tasks]
    calls = carried_out(driver, act.HandBack())
    assert calls[0] == ("take_unstarted", SLICE)
    assert [call for call in calls if call[0] == "hand_back"] == [
        ("hand_back", task, Priority.LOW) for task in tasks[:-1]
    ]
    assert ("release_tasks",) not in calls
    assert driver.reported == [ev.Wakeup()], "or the deadline of the stop would wait for the next tick"
    driver.calls.clear()
    (again,) = driver.later
    again()
    expected = [
        ("take_unstarted", SLICE),
        ("hand_back", tasks[-1], Priority.LOW),
        ("release_tasks",),
        ("check_drained",),
    ]
    assert driver.calls == expected


def test_a_kill_ends_handing_back() -> None:
    """What is left is dropped with the other tasks: the report may be made by now."""
    driver = FakeDriver()
    driver.unstarted = [(FakeTask(id=n), 2) for n in range(SLICE + 1)]
    carried_out(driver, act.HandBack())
    driver.killed = True
    driver.calls.clear()
    driver.go_on()
    assert driver.calls == []
    assert len(driver.unstarted) == 1
