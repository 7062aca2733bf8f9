"""The door, resizing, and the requests and reports of the end."""

from __future__ import annotations

import math
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from support.observers import RecordingCollector
from tasker import ConfigError, ShutdownError
from tasker.control import events as ev
from tasker.control.lifecycle import Door, DoorMove, Phase
from unit.core.fakes import ToyEngine

# -- the door -----------------------------------------------------------------------------------------------------


def test_an_open_door() -> None:
    """A new engine accepts and starts tasks, and asks submit for nothing further."""
    engine = ToyEngine()
    assert (engine.door, engine.closed, engine.killed) == (Door.OPEN, False, False)
    assert (engine.refusal, engine.must_admit) == ("", False)


@pytest.mark.parametrize("fields", [{"max_queue_size": 1}, {"collector": RecordingCollector()}])
def test_what_submit_has_to_ask_for(fields: dict[str, Any]) -> None:
    """With a bounded queue or a collector, submit has to ask even while the door is open."""
    assert ToyEngine(**fields).must_admit


@pytest.mark.parametrize(
    ("move", "door", "killed"),
    [(DoorMove.CLOSE, Door.CLOSED, False), (DoorMove.KILL, Door.KILLED, True), (DoorMove.FORK, Door.FORKED, True)],
)
def test_the_first_move(move: DoorMove, door: Door, killed: bool) -> None:
    """It closes the door, says so, and submit has to ask from then on."""
    engine = ToyEngine()
    assert engine.move_door(move, "enough") is True
    assert (engine.door, engine.closed, engine.killed) == (door, True, killed)
    assert (engine.refusal, engine.must_admit) == ("enough", True)


def test_a_pause_closes_nothing() -> None:
    """Tasks come in as ever; the reason why not is the one of the end that follows."""
    engine = ToyEngine()
    assert engine.move_door(DoorMove.PAUSE, "") is True
    assert (engine.paused, engine.barred, engine.closed) == (True, True, False)
    assert (engine.killed, engine.must_admit) == (False, False)
    assert engine.move_door(DoorMove.CLOSE, "enough") is True
    assert (engine.paused, engine.barred, engine.closed) == (False, False, True)
    assert (engine.refusal, engine.must_admit) == ("enough", True)
    assert engine.move_door(DoorMove.RESUME, "") is False
    assert (engine.door, engine.refusal) == (Door.CLOSED, "enough")


def test_a_refusal_is_there_before_the_door_is_closed() -> None:
    """A thread that finds the door closed reads why."""
    seen = []

    class Watched(ToyEngine):
        def __setattr__(self, name: str, value: Any) -> None:
            if name == "door" and value is not Door.OPEN:
                seen.append((self.refusal, self.must_admit))
            super().__setattr__(name, value)

    Watched().move_door(DoorMove.CLOSE, "enough")
    assert seen == [("enough", True)]


@pytest.mark.parametrize("second", [DoorMove.CLOSE, DoorMove.KILL])
def test_the_first_reason_stays(second: DoorMove) -> None:
    """A second request was not the first to close the door, and does not change why."""
    engine = ToyEngine()
    engine.move_door(DoorMove.CLOSE, "enough")
    assert engine.move_door(second, "more than enough") is False
    assert engine.refusal == "enough"


@pytest.mark.parametrize("first", [DoorMove.CLOSE, DoorMove.KILL, DoorMove.FORK])
def test_a_fork_has_its_own_reason(first: DoorMove) -> None:
    """In a forked child the fork is the reason, also where the door was closed before."""
    engine = ToyEngine()
    engine.move_door(first, "enough")
    assert engine.move_door(DoorMove.FORK, "a fork") is False
    assert (engine.door, engine.refusal) == (Door.FORKED, "a fork")


def test_the_text_of_a_refusal() -> None:
    """It names the manager and the reason, and is what callers read."""
    engine = ToyEngine(name="crawler")
    engine.move_door(DoorMove.CLOSE, engine.shutting_down("stop() was called"))
    error = engine.shutdown_error()
    assert isinstance(error, ShutdownError)
    assert str(error) == "task manager 'crawler' is shutting down: stop() was called"


# -- resizing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "most", "bounds"),
    [(3, 6, (3, 6)), (3, None, (3, 4)), (None, 6, (2, 6)), (None, None, (2, 4)), (4, 4, (4, 4)), (1, 1, (1, 1))],
)
def test_resize(base: int | None, most: int | None, bounds: tuple[int, int]) -> None:
    """The supervisor receives both bounds; one that is not given stays."""
    engine = ToyEngine(worker_count=2, max_worker_count=4)
    engine.resize(base, most)
    assert engine.reported == [ev.Resized(*bounds)]
    assert engine.bounds == bounds


def test_resize_twice() -> None:
    """What is not given stays as the last resize left it, whether or not the supervisor has handled that."""
    engine = ToyEngine(worker_count=2, max_worker_count=4)
    engine.resize(None, 9)
    engine.resize(5, None)
    assert engine.reported == [ev.Resized(2, 9), ev.Resized(5, 9)]


@pytest.mark.parametrize(
    ("base", "most", "text"),
    [
        (None, 0, "max_worker_count must be an integer of at least 2, got 0"),
        (-1, None, "worker_count must be an integer of at least 0, got -1"),
        (True, None, "worker_count must be an integer of at least 0, got True"),
        (2.0, None, "worker_count must be an integer of at least 0, got 2.0"),
        ("2", None, "worker_count must be an integer of at least 0, got '2'"),
        (5, None, "max_worker_count must be an integer of at least 5, got 4"),
        (None, 1, "max_worker_count must be an integer of at least 2, got 1"),
        (None, True, "max_worker_count must be an integer of at least 2, got True"),
        (3, 4.0, "max_worker_count must be an integer of at least 3, got 4.0"),
    ],
)
def test_resize_to_what_is_not_allowed(base: Any, most: Any, text: str) -> None:
    """The error names the field, what is allowed and the value; nothing changes."""
    engine = ToyEngine(worker_count=2, max_worker_count=4)
    with pytest.raises(ConfigError) as caught:
        engine.resize(base, most)
    assert str(caught.value) == text
    assert (engine.reported, engine.bounds) == ([], (2, 4))


def test_resize_to_none() -> None:
    """No worker need be kept, if there is scaling to make one."""
    engine = ToyEngine(worker_count=2, max_worker_count=4)
    engine.resize(0, None)
    assert (engine.reported, engine.kept) == ([ev.Resized(0, 4)], 0)
    fixed = ToyEngine(worker_count=2, max_worker_count=4, burst_interval=0)
    with pytest.raises(ConfigError, match="worker_count must be an integer of at least 1, got 0"):
        fixed.resize(0, None)


def test_resize_beyond_the_values_of_workers() -> None:
    """Each worker has to get one of them."""
    engine = ToyEngine(on_create=lambda worker: worker, worker_count=1, max_worker_count=2, per_worker=["a", "b", "c"])
    engine.resize(None, 3)
    with pytest.raises(ConfigError, match="max_worker_count must be at most 3, the values of per_worker, got 4"):
        engine.resize(None, 4)
    assert engine.bounds == (1, 3)


# -- the end ------------------------------------------------------------------------------------------------------


def test_a_stop_without_a_timeout() -> None:
    """It has no deadline."""
    assert ToyEngine().stop_event("enough", None) == ev.StopRequested("enough", None, 0.1)


@pytest.mark.parametrize(("timeout", "grace"), [(0.0, 0.0), (0.1, 0.02), (0.5, 0.1), (10.0, 0.1), (math.inf, 0.1)])
def test_a_stop_with_a_timeout(timeout: float, grace: float) -> None:
    """It turns into a kill a tenth of a second, or a fifth of the timeout, before that has passed."""
    before = monotonic()
    request = ToyEngine().stop_event("enough", timeout)
    assert (request.reason, request.grace) == ("enough", pytest.approx(grace))
    assert request.deadline is not None
    assert before <= request.deadline - (timeout - grace) <= monotonic() or timeout == math.inf == request.deadline


def test_a_kill() -> None:
    """Its deadline is the timeout from now."""
    before = monotonic()
    request = ToyEngine().kill_event("enough", 5.0)
    assert request.reason == "enough"
    assert request.deadline is not None
    assert before <= request.deadline - 5.0 <= monotonic()


@pytest.mark.parametrize(("move", "killed"), [(DoorMove.CLOSE, False), (DoorMove.KILL, True)])
def test_the_report_of_the_end(move: DoorMove, killed: bool) -> None:
    """It says how the manager ended, what that cost and how long it took."""
    engine = ToyEngine()
    engine.move_door(move, "enough")
    for _ in range(3):
        engine.shutdown_counts.add_killed()
    engine.shutdown_counts.abandoned.append("pool-worker-1 (task #7)")
    report = engine.stop_report(10.0, 12.5)
    assert (report.killed, report.killed_tasks, report.seconds) == (killed, 3, 2.5)
    assert report.abandoned == ("pool-worker-1 (task #7)",)
    assert (report.completed_tasks, report.failed_tasks, report.cancelled_tasks, report.stacks) == (0, 0, 0, ())
    engine.shutdown_counts.abandoned.append("later")
    assert len(report.abandoned) == 1


def test_the_report_counts_outcomes() -> None:
    """By kind, those of tasks in the queue and of run_task included, whoever collects the metrics."""
    engine = ToyEngine(collector=RecordingCollector())
    engine.counters.shard(1).done = engine.counters.shard(1).taken = 7
    engine.counters.shard(1).meter.failed = 2
    engine.counters.shard(1).meter.cancelled = 1
    engine.inline_meter.failed = 1
    engine.shutdown_counts.stacks.append("pool-worker-1 is at line 3")
    report = engine.stop_report(0.0, 1.0)
    assert (report.completed_tasks, report.failed_tasks, report.cancelled_tasks) == (3, 3, 1)
    assert report.stacks == ("pool-worker-1 is at line 3",)


def test_the_report_of_what_was_left_behind() -> None:
    """With debug=True it has the resources that were not destroyed, once the manager has ended, and the log has them once."""
    engine = ToyEngine(debug=True)
    assert engine.counters.origins is not None
    engine.counters.origins.made(object(), "pool-1", engine.config)
    assert engine.stop_report(0.0, 1.0).leaked == (), "it has not ended yet"
    engine.view = replace(engine.view, phase=Phase.STOPPED)
    (text,) = engine.stop_report(0.0, 1.0).leaked
    assert text.startswith("the resource of pool-1, made by object")
    assert engine.stop_report(0.0, 1.0).leaked == (text,)
    assert [line for line in engine.logger.lines if line[0] == "warning"] == [
        ("warning", f"pool: not destroyed: {text}")
    ]
    engine.move_door(DoorMove.FORK, "forked")
    assert engine.stop_report(0.0, 1.0).leaked == (), "they are the parent's"


def test_the_report_of_an_end_that_was_before() -> None:
    """A stop of what ended before took no time."""
    assert ToyEngine().stop_report(12.5, 10.0).seconds == 0.0


def test_forgetting_a_parent_that_it_does_not_have() -> None:
    """It may be done at the end in any case."""
    ToyEngine().forget_parent()
