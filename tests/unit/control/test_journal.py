"""The journal of scaling decisions, and the explanation made of it."""

from __future__ import annotations

import dataclasses

import pytest

from tasker.control.journal import REMEMBERED, Journal, ScalingDecision, ScalingExplanation
from tasker.control.scaling import Decision

QUIET = ScalingExplanation(
    at=12.5,
    target=4,
    ready=4,
    starting=0,
    worker_count=2,
    max_worker_count=8,
    latest=None,
    snapshot=None,
    decisions=(),
)


def decision(number: int) -> ScalingDecision:
    """A decision made at that moment."""
    return ScalingDecision(float(number), "policy", 2, 4, "9 wait", None)


def test_readable() -> None:
    """The text of a decision has the number of workers before and after, the cause and the reason."""
    assert str(decision(1)) == "2 -> 4 (policy): 9 wait"


def test_frozen() -> None:
    """A decision can't be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision(1).target = 3  # type: ignore[misc]


def test_bounded() -> None:
    """The journal remembers the last 32, the newest last."""
    journal = Journal()
    before = journal.entries
    for number in range(100):
        journal.add(decision(number))
    assert [one.at for one in journal.entries] == [float(number) for number in range(68, 100)]
    assert len(journal.entries) == REMEMBERED == 32
    assert before == (), "entries are replaced, not changed"


def test_an_explanation_is_readable() -> None:
    """The text of an explanation has the state, the policy's last decision, and the changes with their age, the newest
    first."""
    explained = ScalingExplanation(
        at=12.5,
        target=4,
        ready=3,
        starting=1,
        worker_count=2,
        max_worker_count=8,
        latest=Decision(4, "nothing waits"),
        snapshot=None,
        decisions=(decision(2), decision(10)),
    )
    assert str(explained).splitlines() == [
        "4 workers wanted (2 to 8 allowed): 3 ready, 1 starting",
        "now: nothing waits",
        "2.5 s ago: 2 -> 4 (policy): 9 wait",
        "10.5 s ago: 2 -> 4 (policy): 9 wait",
    ]
    without_policy = dataclasses.replace(explained, latest=None, decisions=())
    assert str(without_policy).splitlines()[1:] == ["now: the policy was not asked"]


def test_failing_creations_are_explained() -> None:
    """While resources can't be made, the text says how often that failed, why, and when it is tried again."""
    explained = ScalingExplanation(
        at=1.0,
        target=4,
        ready=0,
        starting=0,
        worker_count=4,
        max_worker_count=8,
        latest=None,
        snapshot=None,
        decisions=(),
        failing_creations=3,
        creation_error="no route",
        next_creation=0.4,
        breaker="open",
    )
    said = str(explained).splitlines()[1]
    assert said == "a resource could not be made, 3 times in a row (no route); the breaker is open; next try in 400 ms"
    once = dataclasses.replace(explained, failing_creations=1, next_creation=None, breaker="half-open")
    assert str(once).splitlines()[1] == "a resource could not be made, once (no route); the breaker is half-open"


def test_a_refresh_is_explained() -> None:
    """While it is under way, the text says how many workers have yet to be replaced."""
    explained = ScalingExplanation(
        at=1.0,
        target=4,
        ready=4,
        starting=1,
        worker_count=4,
        max_worker_count=8,
        latest=None,
        snapshot=None,
        decisions=(),
        generation=2,
        outdated=3,
    )
    assert str(explained).splitlines()[1] == "refresh 2 is under way: 3 workers have yet to be replaced"


def test_a_budget_that_is_used_up_is_explained() -> None:
    """It says how many retries were not made, if any."""
    explained = QUIET
    assert "budget" not in str(explained)
    for retries, said in ((1, "1 retry was not made"), (7, "7 retries were not made")):
        text = str(dataclasses.replace(explained, refused_retries=retries)).splitlines()
        assert text[1] == f"{said}, because the retry budget was used up"


def test_a_gil_that_came_back_is_explained() -> None:
    """One line says it, where it is so."""
    explained = QUIET
    assert "GIL" not in str(explained)
    assert "GIL of this interpreter" in str(dataclasses.replace(explained, gil_came_back=True)).splitlines()[1]
