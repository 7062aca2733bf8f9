"""What follows for a worker from what an error says of its resource."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.control import events as ev
from tasker.control.health import Health
from tasker.control.workers import WorkerState
from tasker.core.counters import Shard
from tasker.core.judged import JudgedWorker

SEAT = ev.Seat(1, 1)


class Engine:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.reported: list[ev.Event] = []
        self.logged: list[tuple[Any, ...]] = []
        self.down: list[tuple[BaseException, float]] = []
        self.looks = 0
        self.log = self

    def report(self, event: ev.Event) -> None:
        self.reported.append(event)

    def check_drained(self) -> None:
        self.looks += 1

    def dependency_down(self, error: BaseException, begun: float) -> None:
        self.down.append((error, begun))


def worker() -> tuple[Any, Engine]:
    """A stuck worker at the time 10."""
    made: Any = JudgedWorker()
    made.engine = engine = Engine()
    engine.log = type("Log", (), {"log": lambda self, *args: engine.logged.append(args)})()
    made.seat, made.name, made.state, made.now = SEAT, "crew-1", WorkerState.STUCK, lambda: 10.0
    made.overdue, made.cools_until = "task #7", 0.0
    return made, engine


def test_a_resource_that_has_to_cool_down() -> None:
    """It is not used until then."""
    made, engine = worker()
    health = Health.COOL_DOWN(5.0)
    assert not made.cooling
    assert made._follow(health, OSError(), 1.0) is health
    assert (made.cools_until, made.cooling) == (15.0, True)
    made.now = lambda: 15.0
    assert not made.cooling
    assert not engine.down


def test_a_dependency_that_is_down() -> None:
    """The engine gets the error, and when its attempt began."""
    made, engine = worker()
    error = OSError()
    made._follow(Health.DEPENDENCY_DOWN, error, 1.0)
    assert engine.down == [(error, 1.0)]
    assert made.cools_until == 0.0


@pytest.mark.parametrize("health", [Health.OK, Health.REPLACE])
def test_nothing_follows(health: Health) -> None:
    """Whatever it says of the resource is for the task's own books."""
    made, engine = worker()
    made._follow(health, OSError(), 1.0)
    assert (made.cools_until, engine.down, engine.reported) == (0.0, [], [])


@pytest.mark.parametrize(
    ("health", "state", "events", "warnings"),
    [
        (Health.OK, WorkerState.READY, [ev.WorkerReturned(SEAT)], 0),
        (Health.COOL_DOWN(1.0), WorkerState.READY, [ev.WorkerReturned(SEAT)], 1),
        (Health.REPLACE, WorkerState.STUCK, [ev.WorkerUnhealthy(SEAT)], 1),
    ],
    ids=["ok", "cool down", "replace"],
)
def test_a_worker_that_comes_back(health: Health, state: WorkerState, events: list[Any], warnings: int) -> None:
    """It serves again unless its resource has to be replaced; what its task has done to the resource is logged with its label."""
    made, engine = worker()
    assert made._come_back(health) is health
    assert (made.state, made.overdue, engine.reported) == (state, "", events)
    assert [line[2:] for line in engine.logged] == [("crew-1", "task #7")] * warnings
    assert engine.looks == 1, "a pause may wait for it"


def test_a_worker_begins_to_serve() -> None:
    """It notes when, and what was served in its slot before, and is ready before that is reported."""
    made, engine = worker()
    made.shard = Shard()
    made.shard.done, made.shard.sent_back = 5, 2
    made._begin_serving()
    assert (made.made_at, made.served_before, made.state) == (10.0, 7, WorkerState.READY)
    assert engine.reported == [ev.WorkerReady(SEAT)]
