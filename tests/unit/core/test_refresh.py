"""What both engines do about a refresh: who is told that it is over, and which resources of run_task are outdated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasker import ShutdownError
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.core.ages import Ages
from tasker.core.refreshes import Refreshes
from unit.core.fakes import FakeDriver, FakeWorker, ToyEngine
from unit.core.test_effects import carried_out

SEAT = ev.Seat(1, 1)


def test_ages() -> None:
    """What was begun before is outdated, until it is gone; nothing has to say so."""
    ages = Ages()
    old, failed = ages.begin(), ages.begin()
    assert ages.outdated == 0
    ages.outdate()
    new = ages.begin()
    assert (old.generation, new.generation, ages.outdated) == (0, 1, 2)
    del failed
    assert ages.outdated == 1
    ages.outdate()
    assert ages.outdated == 2
    ages.forget(new)
    assert ages.outdated == 1
    ages.forked()
    del old, new
    assert ages.outdated == 0


def test_each_waiter_is_told_once() -> None:
    """True when its own refresh is over, False at the end of the manager."""
    refreshes = Refreshes()
    said: list[tuple[str, bool]] = []
    first = refreshes.add(lambda over: said.append(("first", over)))
    refreshes.add(lambda over: said.append(("second", over)))
    refreshes.over(first)
    refreshes.over(first)
    assert said == [("first", True)]
    refreshes.end()
    refreshes.end()
    assert said == [("first", True), ("second", False)]


def test_a_waiter_that_another_thread_tells() -> None:
    """One that is told at the same moment is not told again at the end."""
    refreshes = Refreshes()
    said: list[bool] = []
    refreshes.add(lambda over: refreshes.over(2))
    refreshes.add(said.append)
    refreshes.end()
    assert said == [True]


def test_a_worker_is_told_to_renew() -> None:
    """One that is gone needs nothing."""
    driver = FakeDriver()
    worker = driver.workers[SEAT] = FakeWorker("w-1")
    carried_out(driver, act.Renew(SEAT), act.Renew(ev.Seat(2, 9)))
    assert worker.outdated


def test_the_actions_of_a_refresh() -> None:
    """The pool is outdated, and the waiter hears that it is over; at the end, those hear that are left."""
    driver = FakeDriver()
    age = driver.pool.ages.begin()
    said: list[bool] = []
    number = driver.refreshes.add(said.append)
    driver.refreshes.add(said.append)
    carried_out(driver, act.OutdatePool(), act.Refreshed(number))
    assert (driver.pool.ages.outdated, age.generation, said) == (1, 0, [True])
    carried_out(driver, act.Finish())
    assert said == [True, False]


def test_a_request() -> None:
    """It is reported with its number; a manager that accepts no more tasks refuses it."""
    engine = ToyEngine()
    said: list[bool] = []
    engine.begin_refresh(engine.refresh(said.append))
    engine.begin_refresh(engine.refresh(said.append))
    assert engine.reported == [ev.RefreshRequested(1), ev.RefreshRequested(2)]
    engine.over = True
    engine.begin_refresh(engine.refresh(said.append))
    assert said == [False], "the supervisor has handled its last event, and told all others"
    engine.move_door(DoorMove.CLOSE, "enough")
    with pytest.raises(ShutdownError, match="enough"):
        engine.refresh(said.append)
    assert len(engine.reported) == 3


def test_the_pool_is_looked_at() -> None:
    """While it is awaited, after each event: once nothing of it is outdated, that is an event of its own."""

    def script(event: ev.Event) -> list[act.Action]:
        engine.scripted.shown = replace(engine.view, awaits_pool=event != ev.PoolCurrent())
        return []

    engine = ToyEngine(script)
    age = engine.pool.ages.begin()
    engine.pool.ages.outdate()
    engine.step(ev.Wakeup(), 1.0)
    assert engine.scripted.handled == [(ev.Wakeup(), 1.0)]
    del age
    engine.step(ev.Wakeup(), 2.0)
    assert engine.scripted.handled[1:] == [(ev.Wakeup(), 2.0), (ev.PoolCurrent(), 2.0)]
