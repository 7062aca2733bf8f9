"""What the two engines share of the search for deadlocks."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import DeadlockError
from tasker.control import events as ev
from tasker.control.deadlock import Need
from tasker.control.lifecycle import Phase
from tasker.core.waits import WaitSearch
from unit.core.fakes import ToyEngine, with_view


class Search(WaitSearch[str]):
    """Keeps what is refused."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.refused: dict[str, DeadlockError] = {}

    def label(self, worker: str) -> str:
        """The name of the worker."""
        return f"the task of {worker}"

    def refuse(self, worker: str, error: DeadlockError) -> None:
        """Keep the error."""
        self.refused[worker] = error


def rig(ready: int, **fields: Any) -> tuple[Search, ToyEngine]:
    """A search over an engine with so many ready workers, and a view with these fields."""
    config = {"ready_timeout": fields.pop("ready_timeout", None)}
    engine = ToyEngine(**config)
    engine.view = with_view(engine.view, **{"ready": ready, "target": ready, "may_grow": False, **fields})
    return Search(engine), engine


def needs(**tasks: str) -> dict[str, Need[str]]:
    """Each worker waits for one task."""
    return {worker: Need((task,)) for worker, task in tasks.items()}


def test_the_latest_wait_is_refused() -> None:
    """One refusal is enough if its worker can run what the others wait for. The message says who waits for what."""
    search, engine = rig(2)
    waits = needs(a="x", b="y")
    search.settle(waits, {}, 0.0)
    assert list(waits) == ["a"]
    assert list(search.refused) == ["b"]
    text = "the task of b waits for y, but all 2 workers of 'pool' run tasks that wait for tasks of the same manager"
    assert str(search.refused["b"]) == text + ", so it would never start"
    assert engine.reported == []


def test_a_cycle_beside_free_workers() -> None:
    """Of tasks that wait for each other one is refused, and the message says so."""
    search, _ = rig(5)
    search.settle(needs(a="2", b="1"), {"1": "a", "2": "b"}, 0.0)
    assert str(search.refused["b"]) == "the task of b waits for 1, but that one waits for it in turn"


def test_several_cycles() -> None:
    """Each cycle costs one refusal."""
    search, _ = rig(5)
    running = {"1": "a", "2": "b", "3": "c", "4": "d"}
    search.settle(needs(a="2", b="1", c="4", d="3"), running, 0.0)
    assert list(search.refused) == ["d", "b"]


@pytest.mark.parametrize(
    ("need", "text"),
    [
        (Need(("x", "y"), any=True), "waits for the first of 2 tasks, x among them, but"),
        (Need(("x", "y")), "waits for all of 2 tasks, x among them, but"),
    ],
)
def test_the_message_about_several_tasks(need: Need[str], text: str) -> None:
    """It says how many there are and names one."""
    search, _ = rig(1)
    search.settle({"a": need}, {}, 0.0)
    assert text in str(search.refused["a"])


def test_a_worker_is_asked_for() -> None:
    """Where the pool may grow, it is reported how many workers wait, and nothing is refused, however long it takes."""
    search, engine = rig(2, may_grow=True)
    search.settle(needs(a="x", b="y"), {}, 0.0)
    assert search.moment is None
    assert engine.reported == [ev.AllBlocked(2)]
    assert search.refused == {}


def test_a_worker_that_cannot_be_made() -> None:
    """After ready_timeout the wait is refused, and the message says why no worker could be made."""
    search, _ = rig(1, may_grow=True, target=2, ready_timeout=3.0, creation_error="OSError: gone")
    search.settle(needs(a="x"), {}, 10.0)
    assert search.moment == 13.0
    assert search.refused == {}
    search.settle(needs(a="x"), {}, 13.0)
    assert "no further worker could be made (OSError: gone)" in str(search.refused["a"])


@pytest.mark.parametrize("phase", [Phase.KILLING, Phase.CLOSING, Phase.STOPPED])
def test_not_during_a_kill(phase: Phase) -> None:
    """A kill ends whatever is waited for."""
    search, _ = rig(1, phase=phase)
    search.settle(needs(a="x"), {}, 0.0)
    assert search.refused == {}


@pytest.mark.parametrize("phase", [Phase.PAUSING, Phase.PAUSED])
def test_not_during_a_pause(phase: Phase) -> None:
    """What is waited for may start when the pause is over, and no time without a worker counts until then."""
    search, engine = rig(1, ready_timeout=1.0, may_grow=True)
    search.settle(needs(a="x"), {}, 0.0)
    assert search.moment == 1.0
    engine.view = with_view(engine.view, phase=phase)
    search.settle(needs(a="x"), {}, 9.0)
    assert (search.refused, search.moment) == ({}, None)


def test_whether_a_wait_would_hang() -> None:
    """Only if no worker is free, or tasks wait for each other, is there anything to look at closely."""
    search, _ = rig(2)
    assert not search.would_hang({}, {})
    assert not search.would_hang(needs(a="x"), {})
    assert search.would_hang(needs(a="x", b="y"), {})
    assert search.would_hang(needs(a="1"), {"1": "a"})


def test_a_fault_of_the_search_is_logged() -> None:
    """It is counted, and the engine goes on."""

    class Faulty:
        moment = None

        def judge(self, now: float, *, tick: bool) -> None:
            raise LookupError("lost")

    engine = ToyEngine()
    engine.waits = Faulty()
    engine.judge_waits(1.0, tick=True)
    assert engine.user_errors() == 1
    assert "the search for deadlocks" in engine.logger.text("error")


def test_the_moment_of_the_search_counts() -> None:
    """The engine wakes up in time for it, and not again and again once it has passed."""

    class Waiting:
        moment = 4.0

        def judge(self, now: float, *, tick: bool) -> None:
            raise AssertionError("not asked for")

    engine = ToyEngine()
    engine.waits = Waiting()
    assert engine.next_moment(1.0, 9.0) == 4.0
    assert engine.next_moment(4.0, 9.0) == 9.0
