"""The time limits of a task: which one counts, what follows when, and each pair of stage and move."""

from __future__ import annotations

import itertools
import math

import pytest

from tasker.control.limits import (
    LIMIT_MOVES,
    LimitMove,
    Limits,
    LimitStage,
    LimitStep,
    limit_moved,
    limit_step,
)

WAITING, RUNNING, CANCELLED, OVERDUE = LimitStage

EXPECTED = {
    (WAITING, LimitMove.START): RUNNING,
    (RUNNING, LimitMove.CANCEL): CANCELLED,
    (RUNNING, LimitMove.END): WAITING,
    (CANCELLED, LimitMove.GIVE_UP): OVERDUE,
    (CANCELLED, LimitMove.END): WAITING,
}


@pytest.mark.parametrize(("stage", "move"), list(itertools.product(LimitStage, LimitMove)))
def test_every_pair(stage: LimitStage, move: LimitMove) -> None:
    """Each pair leads where it is expected here; any other comes too late."""
    assert limit_moved(stage, move) is EXPECTED.get((stage, move))


def test_table_has_nothing_else() -> None:
    """The table has these pairs and no others."""
    assert LIMIT_MOVES == EXPECTED


@pytest.mark.parametrize(
    ("limits", "end"),
    [
        (Limits(timeout=5.0), (25.0, "timeout")),
        (Limits(deadline=12.0), (22.0, "deadline")),
        (Limits(timeout=5.0, deadline=12.0), (22.0, "deadline")),
        (Limits(timeout=1.0, deadline=12.0), (21.0, "timeout")),
        (Limits(timeout=2.0, deadline=12.0), (22.0, "deadline")),  # at the same moment: no other attempt may follow
    ],
)
def test_what_ends_an_attempt(limits: Limits, end: tuple[float, str]) -> None:
    """Queued at 10 and started at 20: whichever comes first."""
    assert limits.of_attempt(10.0, 20.0) == end


def test_how_late_an_attempt_may_start() -> None:
    """Until the deadline, whatever the timeout."""
    assert Limits(timeout=1.0).last_start(10.0) == math.inf
    assert Limits(timeout=1.0, deadline=3.0).last_start(10.0) == 13.0


def test_in_words() -> None:
    """They name the limit, and how long it was."""
    limits = Limits(timeout=0.5, deadline=2)
    assert limits.missed("timeout", started=True) == "has not ended within timeout=0.5 seconds"
    assert limits.missed("deadline", started=True) == "has not ended within deadline=2 seconds of its submission"
    assert limits.missed("deadline", started=False) == "has not started within deadline=2 seconds of its submission"


@pytest.mark.parametrize(
    ("stage", "now", "step"),
    [
        (WAITING, 9.9, LimitStep.NOTHING),
        (WAITING, 10.0, LimitStep.EXPIRE),
        (RUNNING, 10.0, LimitStep.NOTHING),
        (RUNNING, 19.9, LimitStep.NOTHING),
        (RUNNING, 20.0, LimitStep.CANCEL),
        (CANCELLED, 22.9, LimitStep.NOTHING),
        (CANCELLED, 23.0, LimitStep.GIVE_UP),
        (OVERDUE, 1e9, LimitStep.NOTHING),
    ],
)
def test_what_is_to_be_done(stage: LimitStage, now: float, step: LimitStep) -> None:
    """May start until 10, run until 20, and then has a grace of 3."""
    assert limit_step(stage, now, 10.0, 20.0, 3.0) is step
