"""Health: what check_health may say, and what the supervisor makes of it."""

from __future__ import annotations

import pickle

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.attempts import health_of
from tasker.control.health import Health, HealthKind
from unit.control.rig import Rig, levels, seat, start, without_logs


def test_answers() -> None:
    """A bool means the same as the two plain verdicts; one that was made anew is the constant."""
    assert (health_of(True), health_of(False)) == (Health.OK, Health.REPLACE)
    assert health_of(Health(HealthKind.OK)) is Health.OK
    assert health_of(Health.COOL_DOWN(1)) == Health.COOL_DOWN(1.0)
    with pytest.raises(TypeError, match=r"must return a bool or a Health, got 1"):
        health_of(1)


@pytest.mark.parametrize(
    ("health", "blames", "replaces", "text"),
    [
        (Health.OK, False, False, "Health.OK"),
        (Health.REPLACE, True, True, "Health.REPLACE"),
        (Health.COOL_DOWN(0.5), True, False, "Health.COOL_DOWN(0.5)"),
        (Health.DEPENDENCY_DOWN, True, True, "Health.DEPENDENCY_DOWN"),
    ],
)
def test_verdicts(health: Health, blames: bool, replaces: bool, text: str) -> None:
    """Each says whether the resource is to blame, and whether it goes; it is a value."""
    assert (health.blames, health.replaces, repr(health)) == (blames, replaces, text)
    assert health.harms is (health == Health.REPLACE)
    assert pickle.loads(pickle.dumps(health)) == health


def test_a_pause_is_a_number_of_seconds() -> None:
    """Anything else is refused."""
    for wrong in (-1, float("nan"), float("inf"), True, "5"):
        with pytest.raises(ValueError, match=r"Health\.COOL_DOWN takes a finite number of seconds, at least 0"):
            Health.COOL_DOWN(wrong)  # type: ignore[arg-type]


def test_a_resource_that_is_kept() -> None:
    """The task is tried again, and its worker counts as one that serves."""
    rig = Rig().serving()
    assert rig.do(ev.AttemptFailed(seat(1), "t", 1, False, kept=True)) == [act.Requeue("t")]
    assert rig.do(ev.AttemptFailed(seat(1), "t", 4, False, kept=True)) == [act.FailTask("t", own=False)]
    assert (rig.view.ready, rig.view.replaced) == (2, 0)


def test_a_dependency_that_is_down() -> None:
    """As after a failed creation: the next one waits, and a success lets all that are missing begin."""
    rig = Rig(creation_backoff=1.0).serving()
    assert levels(rig.do(ev.DependencyDown("no route", 0.5), after=1.0)) == ["warning"]
    assert (rig.view.failing_creations, rig.view.creation_error) == (1, "no route")
    for number in (1, 2):
        assert without_logs(rig.unhealthy(seat(number))) == [act.Requeue("t")]
        assert without_logs(rig.ended(seat(number))) == []
    assert rig.wake() == [start(1, 3)]
    assert 1.0 < rig.now <= 2.0
    assert without_logs(rig.ready(seat(1, 3))) == [start(2, 4)]
    assert rig.view.failing_creations == 0


def test_what_is_known_already_is_not_logged() -> None:
    """Several attempts that find the same outage are one failure; one that began before its end says nothing."""
    rig = Rig(creation_backoff=1.0).serving()
    assert [len(rig.do(ev.DependencyDown("no route", begun), after=0.01)) for begun in (-1.0, -0.5)] == [1, 0]
    assert rig.view.failing_creations == 1
    rig.unhealthy(seat(1))
    rig.ended(seat(1))
    rig.wake()
    rig.ready(seat(1, 3))
    assert rig.do(ev.DependencyDown("no route", rig.now - 0.1)) == []
    assert rig.view.failing_creations == 0


def test_a_dependency_is_of_no_interest_in_a_kill() -> None:
    """No resource is made any more."""
    rig = Rig().serving()
    rig.do(ev.KillRequested("enough"))
    assert rig.do(ev.DependencyDown("no route", 0.0)) == []
    assert rig.view.failing_creations == 0
