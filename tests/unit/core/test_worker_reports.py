"""What each worker does, from workers that the test makes up."""

from __future__ import annotations

from typing import Any

from tasker import ProcessUsage
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core.worker_reports import stack_of, workers_of
from unit.core.fakes import FakeBackend, FakeWorker


class Task:
    """What is read of a future."""

    label = "task #7 app.work"
    attempts = 2

    def __init__(self, *args: Any, started: float | None = 4.0) -> None:
        self.args = args
        if started is not None:
            self._started_at = started


class Engine:
    """Some workers, at the time 10."""

    def __init__(self, *workers: FakeWorker) -> None:
        self.workers = {worker.seat: worker for worker in workers}
        self.backend: FakeBackend | None = None
        self.now = lambda: 10.0

    def call_of(self, task: Any) -> tuple[Any, tuple[Any, ...]]:
        return None, task.args


class Unspeakable:
    """Nothing can be said of it."""

    def __repr__(self) -> str:
        raise SystemExit


def busy(task: Any, **fields: Any) -> FakeWorker:
    """A worker that runs a task, with a resource of the time 2 and a slot in which 3 tasks had ended before."""
    worker = FakeWorker(made_at=2.0, served_before=3, **fields)
    worker.shard.done, worker.shard.sent_back, worker.shard.future = 5, 1, task
    return worker


def reports(*workers: FakeWorker, arguments: bool = False) -> Any:
    """What is reported of them."""
    return workers_of(Engine(*workers), arguments=arguments)  # type: ignore[arg-type]


def test_of_a_busy_worker() -> None:
    """Ages are those of the resource and of the attempt; what has gone back counts as served."""
    (one,) = reports(busy(Task()))
    assert (one.age, one.served, one.task, one.task_seconds, one.attempt) == (8.0, 3, "task #7 app.work", 6.0, 2)
    assert one.arguments is None


def test_of_one_that_starts_and_one_that_is_stuck() -> None:
    """The one has neither age nor task; the other still names the task that it is stuck in."""
    starting = FakeWorker(state=WorkerState.STARTING, seat=ev.Seat(2, 3))
    stuck = FakeWorker(state=WorkerState.STUCK, overdue="task #1 app.hangs", made_at=1.0)
    first, second = reports(starting, stuck)  # by slot
    assert (first.state, first.task, first.task_seconds, first.attempt) == ("stuck", "task #1 app.hangs", None, 0)
    assert (second.state, second.age, second.served, second.task) == ("starting", None, 0, None)


def test_of_one_whose_task_was_sent_and_has_not_begun() -> None:
    """Its seconds are not known."""
    (one,) = reports(busy(Task(started=None)))
    assert (one.task, one.task_seconds) == ("task #7 app.work", None)


def test_arguments_are_shortened() -> None:
    """At most six, of at most 200 characters; what has no repr is named by its type, and an idle worker has none."""
    (one,) = reports(busy(Task("x" * 1000, Unspeakable(), *range(50))), arguments=True)
    assert one.arguments is not None
    assert "x..." in one.arguments and one.arguments.endswith("'xxxxx, <Unspeakable>, 0, 1, 2, 3".partition(",")[2])
    assert len(reports(busy(Task(*["y" * 1000] * 6)), arguments=True)[0].arguments) == 200
    assert reports(FakeWorker(), arguments=True)[0].arguments is None


def test_of_processes() -> None:
    """Each worker has the figures of its own process."""
    engine = Engine(FakeWorker(name="crew-1"), FakeWorker(name="crew-2", seat=ev.Seat(2, 2)))
    usage = ProcessUsage("crew-2", 17, 1000, 0.5)
    engine.backend = FakeBackend()
    engine.backend.processes = (usage,)
    assert [one.process for one in workers_of(engine)] == [None, usage]  # type: ignore[arg-type]


def test_the_place_of_a_worker() -> None:
    """By its name; None where there is no such worker."""
    engine: Any = Engine(FakeWorker(name="crew-1", place="here"))
    assert stack_of(engine, "crew-1", 0.5) == "here"
    assert stack_of(engine, "crew-2", 0.5) is None
