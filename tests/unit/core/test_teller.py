"""Telling subscribers: only while there are some, and whatever goes wrong there harms nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control import notices as say
from tasker.control.lifecycle import DoorMove
from tasker.control.workers import WorkersTable
from tasker.core import listener
from tasker.core.effects import Effects
from tasker.core.feed import Feed
from tasker.core.listener import WaitedFeed, listen
from tasker.core.teller import subscribe
from tasker.errors import PoisonTask, TaskTimeout
from tasker.metrics.protocol import TaskLifecycleTimestamps
from unit.core.fakes import FakeDriver, FakeTask, ToyEngine, with_view

SEAT = ev.Seat(1, 1)


def engine(script: Any = lambda event: []) -> Any:
    """An engine whose supervisor has a table."""
    made: Any = ToyEngine(script)
    made.scripted.table = WorkersTable()
    return made


def subscribed(toy: Any, kinds: Any = say.ManagerEvent) -> Feed:
    """A feed of its."""
    feed = Feed(10, kinds, lambda: None)
    subscribe(toy, feed)
    return feed


def taken(feed: Feed) -> list[say.ManagerEvent]:
    """What waits there."""
    found = []
    while (event := feed.take()) is not None:
        found.append(event)
    return found


def test_a_step_is_told_before_its_actions_are_carried_out() -> None:
    """With the view of after it."""
    toy = engine(lambda event: [act.StartWorker(SEAT)])
    feed = subscribed(toy)
    toy.scripted.shown = with_view(toy.view, failing_creations=2, creation_error="no route")
    toy.step(ev.Started(), 7.0)
    assert taken(feed) == [
        say.CreationsFailing(7.0, 2, "no route", None),
        say.WorkerStarting(7.0, "pool-1", 1, 1),
    ]
    assert len(toy.carried_out) == 1


def test_nobody_is_told_while_nobody_subscribes() -> None:
    """There is no teller before the first one, and none after the last one has gone."""
    toy = engine(lambda event: [act.StartWorker(SEAT)])
    toy.step(ev.Started(), 1.0)
    assert toy.hooks.teller is None
    first, second = subscribed(toy), subscribed(toy)
    assert toy.hooks.teller is not None
    first.close()
    toy.step(ev.Started(), 2.0)
    assert toy.hooks.teller.feeds == (second,)
    second.close()
    toy.step(ev.Started(), 3.0)
    assert toy.hooks.teller is None
    assert taken(first) == []


def test_a_fault_on_the_way() -> None:
    """It is logged and counted, and the actions are carried out."""
    toy = engine(lambda event: [act.Retire(1)])
    feed = subscribed(toy)
    feed.put = None  # type: ignore[assignment]
    toy.scripted.shown = with_view(toy.view, failing_creations=1)
    toy.step(ev.Started(), 1.0)
    assert [action for action, _ in toy.carried_out] == [act.Retire(1)]
    assert "the telling of an event raised TypeError" in toy.logger.text("error")


def test_tasks_that_fail() -> None:
    """One event for each outcome, by the kind of its error; what has no future is of run_task."""
    toy = engine()
    feed = subscribed(toy)
    task: Any = FakeTask(attempts=2)
    teller = toy.hooks.teller
    teller.failed(task, OSError("gone"), 1.0)
    task._worker = "pool-3"
    teller.failed(task, TaskTimeout("late", "timeout", 1.0), 2.0)
    teller.failed(task, PoisonTask("enough"), 3.0)
    teller.failed(None, OSError("gone"), 4.0)
    label = task.label
    assert taken(feed) == [
        say.TaskFailed(1.0, label, 7, 2, "", "OSError: gone"),
        say.TaskTimedOut(2.0, label, 7, 2, "pool-3", "TaskTimeout: late"),
        say.TaskQuarantined(3.0, label, 7, 2, "pool-3", "PoisonTask: enough"),
        say.TaskFailed(4.0, "run_task", 0, 1, "", "OSError: gone"),
    ]


def test_a_failure_is_told_by_the_hooks() -> None:
    """A cancellation is none."""
    toy = engine()
    feed = subscribed(toy)
    toy.hooks.failure(TaskLifecycleTimestamps(1.0, 2.0, 3.0), None, OSError("gone"))
    toy.hooks.failure(TaskLifecycleTimestamps(1.0, 2.0, 4.0), None, OSError("gone"), cancelled=True)
    assert taken(feed) == [say.TaskFailed(3.0, "run_task", 0, 1, "", "OSError: gone")]


def test_the_end_is_told_when_it_has_come() -> None:
    """After the last action, also where that raises."""
    driver = FakeDriver()
    ended: list[Any] = []
    driver.hooks.teller = Ending(lambda: ended.append(driver.calls[-1][0]))  # type: ignore[assignment]
    Effects(driver).carry_out(act.Finish())
    driver.faults["finish"] = OSError("gone")
    Effects(driver).carry_out(act.Finish())
    assert ended == ["finish", "finish"]


class Ending:
    """A teller of the end alone."""

    def __init__(self, end: Any) -> None:
        self.end = end


def test_the_end() -> None:
    """It says whether the manager was killed. Who comes later has nothing to wait for."""
    for move, killed in ((DoorMove.CLOSE, False), (DoorMove.KILL, True)):
        toy = engine()
        toy.now = lambda: 9.0
        feed = subscribed(toy)
        toy.move_door(move, "enough")
        toy.hooks.teller.end()
        assert taken(feed) == [say.StopEnded(9.0, killed)]
        assert feed.over
        toy.over = True
        late = subscribed(toy)
        assert late.over
        assert toy.hooks.teller is None


def test_a_subscription_in_the_moment_of_the_end() -> None:
    """The supervisor ends while it is added: it is closed, or has been told."""
    toy = engine()
    first = subscribed(toy)
    toy.over = True
    second = subscribed(toy)
    assert second.over
    toy.hooks.teller.end()
    assert (len(taken(first)), taken(second)) == (1, [])


def test_in_a_forked_child() -> None:
    """Subscriptions end: what happens there is not of this manager."""
    toy = engine()
    feed = subscribed(toy)
    toy.hooks.forked()
    assert feed.over
    assert toy.hooks.teller is None


def test_a_listener() -> None:
    """A thread of its own calls, whatever the callback raises, and says when it has ended."""
    toy = engine(lambda event: [act.StartWorker(SEAT)])
    got: list[Any] = []
    ended = threading.Event()

    def callback(event: Any) -> None:
        got.append((event, threading.current_thread().name))
        raise SystemExit("boom")

    listen(toy, WaitedFeed(10, say.ManagerEvent), callback, ended.set)
    toy.step(ev.Started(), 1.0)
    toy.hooks.teller.end()
    assert ended.wait(10)
    assert [(type(event), name) for event, name in got] == [
        (say.WorkerStarting, "pool-events"),
        (say.StopEnded, "pool-events"),
    ]
    assert toy.user_errors() == 2
    assert "a callback of events() raised SystemExit: boom" in toy.logger.text("error")


def test_a_listener_that_is_closed_ends() -> None:
    """Without a last event."""
    toy, ended, feed = engine(), threading.Event(), WaitedFeed(10, say.ManagerEvent)
    listen(toy, feed, print, ended.set)
    feed.close()
    assert ended.wait(10)


def test_a_listener_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has subscribed: its thread, which nobody could end, ends."""

    def strike(*_: object) -> None:
        raise KeyboardInterrupt

    toy, ended, feed = engine(), threading.Event(), WaitedFeed(10, say.ManagerEvent)
    monkeypatch.setattr(listener, "subscribe", strike)
    with pytest.raises(KeyboardInterrupt):
        listen(toy, feed, print, ended.set)
    assert ended.wait(10)
