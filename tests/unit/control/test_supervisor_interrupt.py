"""A kill that can interrupt tasks does so before its deadline, so that the resources can still be destroyed."""

from __future__ import annotations

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from unit.control.rig import Rig, seat


@pytest.mark.parametrize(("deadline", "moment"), [(30.0, 29.0), (2.0, 1.0), (0.5, 0.25)])
def test_it_leaves_a_second_or_half_of_its_time(deadline: float, moment: float) -> None:
    """Once, a second before the deadline, or at half the time if that is less; the deadline stays."""
    rig = Rig(1, 1, interrupts=True).serving()
    rig.do(ev.KillRequested("bye", deadline=deadline))
    assert rig.supervisor.wakeup(rig.now) == moment
    assert rig.do(ev.Wakeup(), moment) == [act.Interrupt()]
    assert rig.supervisor.wakeup(rig.now) == deadline
    assert rig.do(ev.Wakeup()) == []
    assert rig.do(ev.Wakeup(), deadline - moment) == [act.Abandon((seat(1),)), act.Finish()]


def test_a_stop_that_becomes_a_kill() -> None:
    """Interrupts in the middle of its grace."""
    rig = Rig(1, 1, interrupts=True).serving()
    rig.do(ev.StopRequested("bye", deadline=3.0, grace=1.0))
    assert act.Interrupt() not in rig.do(ev.Wakeup(), 3.0)
    assert rig.do(ev.Wakeup(), 0.5) == [act.Interrupt()]


def test_a_kill_without_time() -> None:
    """Has none left for that."""
    rig = Rig(1, 1, interrupts=True).serving()
    assert act.Interrupt() not in rig.do(ev.KillRequested("bye", deadline=0.0))


def test_a_late_look() -> None:
    """Finds the deadline: there is nothing left to interrupt for."""
    rig = Rig(1, 1, interrupts=True).serving()
    rig.do(ev.KillRequested("bye", deadline=2.0))
    assert rig.do(ev.Wakeup(), 2.0) == [act.Abandon((seat(1),)), act.Finish()]


def test_a_sooner_kill() -> None:
    """Brings it forward; one that comes after it does not repeat it."""
    rig = Rig(1, 1, interrupts=True).serving()
    rig.do(ev.KillRequested("bye", deadline=30.0))
    rig.do(ev.KillRequested("sooner", deadline=4.0))
    assert rig.supervisor.wakeup(rig.now) == 3.0
    assert rig.do(ev.Wakeup(), 3.0) == [act.Interrupt()]
    rig.do(ev.KillRequested("still sooner", deadline=3.5))
    assert rig.supervisor.wakeup(rig.now) == 3.5


def test_a_kill_without_a_deadline() -> None:
    """Interrupts nothing until a later one has a deadline."""
    rig = Rig(1, 1, interrupts=True).serving()
    rig.do(ev.KillRequested("bye"))
    assert rig.supervisor.wakeup(rig.now) is None
    rig.do(ev.KillRequested("now", deadline=2.0))
    assert rig.supervisor.wakeup(rig.now) == 1.0


def test_where_nothing_can_be_interrupted() -> None:
    """Threads go on until the deadline."""
    rig = Rig(1, 1).serving()
    rig.do(ev.KillRequested("bye", deadline=2.0))
    assert rig.do(ev.Wakeup(), 1.0) == []
