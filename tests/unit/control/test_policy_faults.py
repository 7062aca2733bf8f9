"""A scaling policy that raises or answers nonsense: the exact actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker.control import actions as act
from tasker.control.scaling import Decision, Snapshot
from unit.control.rig import Rig, start, tick


class Policy:
    """Answers each snapshot with `answer(snapshot)`."""

    def __init__(self, answer: Callable[[Snapshot], Any]) -> None:
        self.answer = answer

    def decide(self, snapshot: Snapshot, now: float) -> Any:
        """The answer."""
        return self.answer(snapshot)


def raises(snapshot: Snapshot) -> Any:
    """A policy's mistake."""
    raise ValueError("boom")


CASES: dict[str, tuple[Callable[[Snapshot], Any], str]] = {
    "it raises": (raises, "ValueError"),
    "None": (lambda snapshot: None, "AttributeError"),
    "a str": (lambda snapshot: "3", "AttributeError"),
    "a target that is a str": (lambda snapshot: Decision("3", "x"), "TypeError"),  # type: ignore[arg-type]
    "a target that is a fraction": (lambda snapshot: Decision(2.5, "x"), "TypeError"),  # type: ignore[arg-type]
    "a target that is no number": (lambda snapshot: Decision(float("nan"), "x"), "TypeError"),  # type: ignore[arg-type]
    "no target": (lambda snapshot: Decision(None, "x"), "TypeError"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", CASES)
def test_it_is_logged_and_the_workers_stay(what: str) -> None:
    """One line in the log, with the type of the error, and nothing else; the target is what it was."""
    answer, name = CASES[what]
    policy = Policy(answer)
    rig = Rig(2, 4, policy=policy).serving()
    for _ in range(2):
        (log,) = rig.do(tick(queued=9), 0.1)
        assert isinstance(log, act.Log)
        assert (log.level, log.message) == ("error", "the scaling policy failed: %s: %s")
        assert log.args[0] == name
        assert (rig.view.target, rig.view.ready) == (2, 2)


def test_it_is_asked_again() -> None:
    """A policy that has recovered is followed, from the very next tick."""
    policy = Policy(raises)
    rig = Rig(2, 4, policy=policy).serving()
    rig.do(tick(queued=9), 0.1)
    policy.answer = lambda snapshot: Decision(3, "better now")
    assert rig.do(tick(queued=9), 0.1) == [
        act.Log("info", "scaling from %d to %d workers: %s", (2, 3, "better now")),
        start(3),
    ]


@pytest.mark.parametrize(("target", "kept"), [(-5, 2), (0, 2), (3, 3), (10**30, 4), (True, 2)])
def test_any_integer_is_held_within_the_bounds(target: int, kept: int) -> None:
    """A target of any size is taken for the nearest one that is allowed."""
    rig = Rig(2, 4, policy=Policy(lambda snapshot: Decision(target, "wish"))).serving()
    rig.do(tick(queued=9), 0.1)
    assert rig.view.target == kept
