"""``Abandon``: what a kill leaves behind when its time is over."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import TaskKilled
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core.effects import Effects
from unit.core.fakes import FakeBackend, FakeDriver, FakeTask, FakeWorker

SEATS = (ev.Seat(1, 1), ev.Seat(2, 2))


def abandoned(driver: FakeDriver, *seats: ev.Seat) -> list[tuple[Any, ...]]:
    """What the driver was asked to do."""
    Effects(driver).carry_out(act.Abandon(seats))  # type: ignore[arg-type]
    return driver.calls


def with_worker(*, task: FakeTask | None = None, obeys: bool = False) -> tuple[FakeDriver, FakeWorker]:
    """A driver with one worker, which runs that task."""
    driver, worker = FakeDriver(), FakeWorker(obeys=obeys)
    worker.shard.future = task
    driver.workers[SEATS[0]] = worker
    return driver, worker


def test_no_worker_is_left() -> None:
    """Without workers only the callbacks are abandoned, and nothing is logged."""
    driver = FakeDriver()
    assert abandoned(driver) == [("abandon_callbacks",)]
    assert driver.logger.lines == []


def test_a_worker_that_runs_a_task() -> None:
    """Its task ends as killed, with the reason; the worker is forgotten, reported and logged with its task."""
    task = FakeTask()
    driver, worker = with_worker(task=task)
    (name, ended, error), callbacks = abandoned(driver, SEATS[0])
    assert (name, ended, callbacks) == ("abandon", task, ("abandon_callbacks",))
    assert type(error) is TaskKilled
    assert str(error) == f"{task.label} did not end when it was killed: the pool is shutting down: enough"
    assert (driver.workers, worker.cuts) == ({}, 1)
    counts = driver.shutdown_counts
    assert (counts.abandoned, counts.killed_tasks, counts.cut_off) == ([f"pool-worker-1 ({task.label})"], 1, 0)
    assert driver.logger.lines == [("warning", f"pool: left behind: pool-worker-1 ({task.label})")]


def test_a_worker_whose_task_has_its_outcome() -> None:
    """The task is not counted as killed; the worker is left behind all the same."""
    driver, _ = with_worker(task=FakeTask())
    driver.outcome_is_new = False
    abandoned(driver, SEATS[0])
    assert (len(driver.shutdown_counts.abandoned), driver.shutdown_counts.killed_tasks) == (1, 0)


def test_a_worker_without_a_task() -> None:
    """It hangs where it makes or destroys its resource; there is no task to end."""
    driver, _ = with_worker()
    assert abandoned(driver, SEATS[0]) == [("abandon_callbacks",)]
    counts = driver.shutdown_counts
    assert (counts.abandoned, counts.killed_tasks) == (["pool-worker-1 (between two tasks)"], 0)


@pytest.mark.parametrize("task", [FakeTask(), None])
def test_a_worker_that_is_ended_by_force(task: FakeTask | None) -> None:
    """It is not left behind: the end of the manager waits for it, and it ends its task itself."""
    driver, worker = with_worker(task=task, obeys=True)
    assert abandoned(driver, SEATS[0]) == [("left", worker), ("abandon_callbacks",)]
    counts = driver.shutdown_counts
    assert (counts.abandoned, counts.killed_tasks, counts.cut_off) == ([], 0, 1)
    assert driver.workers == {}
    assert driver.logger.lines == []


def test_a_worker_that_was_ended_by_force_and_hangs_in_a_callback() -> None:
    """It is left behind all the same, and so are the tasks that were sent ahead."""
    task, ahead = FakeTask(), FakeTask()
    driver, worker = with_worker(task=task, obeys=True)
    driver.hangs, worker.sent_ahead = [worker], [ahead]
    left, first, second, _ = abandoned(driver, SEATS[0])
    assert left == ("left", worker)
    assert (first[:2], second[:2]) == (("abandon", task), ("abandon", ahead))
    assert str(second[2]) == f"{ahead.label} was killed before it started: the pool is shutting down: enough"
    counts = driver.shutdown_counts
    assert (counts.abandoned, counts.killed_tasks, counts.cut_off) == ([f"pool-worker-1 ({task.label})"], 2, 0)


def test_a_worker_that_has_gone_already() -> None:
    """A seat without a worker is passed over, and the next one is not."""
    driver, worker = with_worker(obeys=True)
    assert abandoned(driver, SEATS[1], SEATS[0]) == [("left", worker), ("abandon_callbacks",)]


def test_a_worker_of_another_seat() -> None:
    """Only the named seats are abandoned."""
    driver, worker = with_worker()
    assert abandoned(driver, SEATS[1]) == [("abandon_callbacks",)]
    assert driver.workers == {SEATS[0]: worker}


def test_callbacks_that_run() -> None:
    """They are reported and logged after the workers."""
    driver, _ = with_worker()
    driver.callbacks = ["callback of task #3", "callback of task #4"]
    abandoned(driver, SEATS[0])
    left = ["pool-worker-1 (between two tasks)", *driver.callbacks]
    assert driver.shutdown_counts.abandoned == left
    assert driver.logger.lines == [("warning", f"pool: left behind: {', '.join(left)}")]


def test_the_pool_of_run_task() -> None:
    """It is reported between workers and callbacks, and nothing waits for it any more."""
    driver, _ = with_worker()
    driver.callbacks = ["callback of task #3"]
    Effects(driver).carry_out(act.Abandon(SEATS, pool=True))  # type: ignore[arg-type]
    assert driver.calls == [("abandon_pool",), ("abandon_callbacks",)]
    assert driver.shutdown_counts.abandoned[1:] == ["the pool of run_task (in on_destroy)", *driver.callbacks]


def test_a_refill_of_the_pool() -> None:
    """It is named; the pool is still closed by whoever waits for the end, unless that hangs, too."""
    driver = FakeDriver()
    Effects(driver).carry_out(act.Abandon((), refill=True))  # type: ignore[arg-type]
    assert driver.calls == [("abandon_callbacks",)]
    Effects(driver).carry_out(act.Abandon((), pool=True, refill=True))  # type: ignore[arg-type]
    assert ("abandon_pool",) in driver.calls
    assert driver.shutdown_counts.abandoned == [
        "the pool of run_task (in on_create)",
        "the pool of run_task (in on_create or on_destroy)",
    ]


def test_a_check_of_the_pool() -> None:
    """It is named, and nothing waits for it."""
    driver = FakeDriver()
    Effects(driver).carry_out(act.Abandon((), probe=True))  # type: ignore[arg-type]
    assert driver.calls == [("abandon_probe",), ("abandon_callbacks",)]
    assert driver.shutdown_counts.abandoned == ["the pool of run_task (in check_resource)"]


def test_the_pool_of_a_backend() -> None:
    """Its sessions were ended by force, so it is not left behind."""
    driver = FakeDriver()
    driver.backend = FakeBackend()
    Effects(driver).carry_out(act.Abandon((), pool=True, refill=True))  # type: ignore[arg-type]
    assert driver.calls == [("abandon_callbacks",)]
    assert driver.shutdown_counts.abandoned == []


def test_a_backend_ends_its_sessions_first() -> None:
    """A backend kills its sessions before a worker is looked at, whether or not a seat is named."""
    driver, worker = with_worker(obeys=True)
    driver.backend = FakeBackend()
    driver.backend.calls = driver.calls
    assert abandoned(driver, SEATS[0]) == [("kill_all",), ("left", worker), ("abandon_callbacks",)]


@pytest.mark.parametrize("fault", [OSError("gone"), SystemExit("no")], ids=repr)
def test_a_backend_that_cannot_end_its_sessions(fault: BaseException) -> None:
    """Its fault is logged and counted, and the tasks of the workers get their outcomes all the same."""
    task = FakeTask()
    driver, worker = with_worker(task=task)
    driver.backend = FakeBackend()
    driver.backend.faults["kill_all"] = fault
    calls = abandoned(driver, SEATS[0])
    assert [call[:2] for call in calls] == [("abandon", task), ("abandon_callbacks",)]
    assert driver.user_errors() == 1
    assert worker.name in driver.shutdown_counts.abandoned[0]


def test_a_worker_that_cannot_be_ended() -> None:
    """It is left behind, its task ends as killed, and the next worker follows."""

    class Failing(FakeWorker):
        def cut_off(self) -> bool:
            raise SystemExit("no")

    task = FakeTask()
    driver = FakeDriver()
    driver.workers[SEATS[0]], driver.workers[SEATS[1]] = Failing(), FakeWorker(obeys=True)
    driver.workers[SEATS[0]].shard.future = task
    assert [call[0] for call in abandoned(driver, *SEATS)] == ["left", "abandon", "abandon_callbacks"]
    assert driver.shutdown_counts.cut_off == 1
    assert driver.user_errors() == 1


def test_an_outcome_that_cannot_be_delivered() -> None:
    """What the notification of a task raises concerns no other worker."""

    class Failing(FakeDriver):
        def abandon(self, task: Any, error: TaskKilled) -> bool:
            super().abandon(task, error)
            raise SystemExit("no")

    driver = Failing()
    for seat in SEATS:
        worker = driver.workers[seat] = FakeWorker()
        worker.shard.future = FakeTask()
    assert [call[0] for call in abandoned(driver, *SEATS)] == ["abandon", "abandon", "abandon_callbacks"]
    assert driver.user_errors() == 2


def test_the_place_of_a_worker_that_is_left_behind() -> None:
    """It is in the report, if it is known."""
    driver = FakeDriver()
    for seat, place in zip(SEATS, ("line 3", ""), strict=False):
        driver.workers[seat] = FakeWorker(f"w-{seat.slot}", place=place)
    abandoned(driver, *SEATS[:2])
    assert driver.shutdown_counts.stacks == [f"w-{SEATS[0].slot} is at\nline 3"]


@pytest.mark.parametrize(
    ("state", "doing"),
    [
        (WorkerState.STARTING, "in on_create or on_destroy"),
        (WorkerState.READY, "between two tasks"),
        (WorkerState.ENDING, "in on_create or on_destroy"),
    ],
)
def test_what_a_worker_without_a_task_does(state: WorkerState, doing: str) -> None:
    """It is in a hook, and in which one follows from its state."""
    driver = FakeDriver()
    driver.workers[SEATS[0]] = FakeWorker("w-1", state=state)
    abandoned(driver, SEATS[0])
    assert driver.shutdown_counts.abandoned == [f"w-1 ({doing})"]
