"""The alarm about workers that are replaced again and again."""

from __future__ import annotations

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.restarts import Restarts
from unit.control.rig import Rig, seat


def noted(restarts: Restarts, *times: float) -> list[act.Action]:
    """Let workers end at these times; returns what that leads to."""
    actions: list[act.Action] = []
    for now in times:
        restarts.note(now, "unhealthy")
        actions += restarts.judge(now)
    return actions


def raised(restarts: int = 4, most: int = 3) -> act.RestartAlarm:
    """The action that raises the alarm."""
    return act.RestartAlarm(True, restarts, most, 10.0, "unhealthy")


def test_more_than_n_in_t_seconds() -> None:
    """Three in ten seconds are allowed, the fourth raises the alarm, and the fifth does not raise it again."""
    restarts = Restarts((3, 10.0))
    assert noted(restarts, 0.0, 1.0, 2.0) == []
    assert not restarts.alarm
    assert noted(restarts, 10.0) == [raised()]
    assert restarts.alarm
    assert noted(restarts, 10.5, 11.0) == []


def test_slowly_is_no_alarm() -> None:
    """As many as are allowed may go on for ever."""
    assert noted(Restarts((3, 10.0)), *(3.4 * number for number in range(100))) == []


def test_over_when_it_has_calmed_down() -> None:
    """It is over as long after the last one too many as the limit is for, which is when it has to be woken."""
    restarts = Restarts((3, 10.0))
    assert restarts.moment is None
    noted(restarts, 0.0, 0.0, 0.0, 0.0, 5.0, 14.5)
    assert restarts.moment == 15.0, "the one at 14.5 was not one too many"
    assert restarts.judge(14.9) == []
    assert restarts.judge(15.0) == [act.RestartAlarm(False, 6, 3, 10.0, "unhealthy")]
    assert (restarts.alarm, restarts.moment) == (False, None)
    assert noted(restarts, 15.1, 15.2, 15.3) == [], "it begins anew"
    assert noted(restarts, 15.4) == [raised()]


def test_without_a_limit_nothing_is_counted() -> None:
    """By default there is no alarm."""
    assert noted(Restarts(None), *[0.0] * 100) == []


@pytest.mark.parametrize("what", ["unhealthy", "lost", "failed"])
def test_what_counts(what: str) -> None:
    """Workers that are replaced as unhealthy, that are lost, and that get no resource count; the supervisor says so once, and
    shows it until it is over."""
    rig = Rig(1, 1, restart_intensity=(2, 60.0)).serving()
    alarms: list[act.Action] = []
    for generation in range(1, 5):
        if what == "unhealthy":
            actions = [*rig.unhealthy(seat(1, generation)), *rig.ended(seat(1, generation))]
        elif what == "lost" or generation == 1:
            actions = rig.do(ev.WorkerDied(seat(1, generation), "boom"))
        else:
            actions = [*rig.fail(seat(1, generation)), *rig.wake()]
        if what != "failed":
            actions += rig.ready(seat(1, generation + 1))
        alarms += [one for one in actions if isinstance(one, act.RestartAlarm)]
        assert rig.view.restart_alarm is (generation > 2)
    (alarm,) = alarms
    assert isinstance(alarm, act.RestartAlarm)
    reason = {"unhealthy": "its resource was unhealthy", "lost": "it was lost: boom"}
    assert alarm.reason == reason.get(what, "its resource could not be made: no route")
    if what != "failed":
        over = rig.wake()
        assert [type(one) for one in over] == [act.RestartAlarm]
        assert not rig.view.restart_alarm


def test_what_does_not_count() -> None:
    """Workers that have served their time, and those that end in a kill."""
    rig = Rig(2, 2, restart_intensity=(1, 60.0)).serving()
    for one, fresh in ((seat(1), seat(1, 3)), (seat(2), seat(2, 4))):
        rig.do(ev.WorkerWorn(one))
        rig.ended(one)
        rig.ready(fresh)
    assert not rig.view.restart_alarm
    rig.do(ev.KillRequested("bye", deadline=100.0))
    actions = [*rig.do(ev.WorkerDied(seat(1, 3), "x")), *rig.do(ev.WorkerDied(seat(2, 4), "x"))]
    assert not any(isinstance(one, act.RestartAlarm) for one in actions)
