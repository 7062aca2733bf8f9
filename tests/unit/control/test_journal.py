"""What was decided, for people to read."""

from __future__ import annotations

import dataclasses

import pytest

from tasker.control.journal import REMEMBERED, Journal, ScalingDecision, ScalingExplanation
from tasker.control.scaling import Decision


def decision(number: int) -> ScalingDecision:
    """A decision with that number as its moment."""
    return ScalingDecision(float(number), "policy", 2, 4, "9 wait", None)


def test_readable() -> None:
    """A decision says from how many to how many, who decided it, and why."""
    assert str(decision(1)) == "2 -> 4 (policy): 9 wait"


def test_frozen() -> None:
    """What was decided stays as it was."""
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
    """State, the policy's last word, and the changes with their age, the newest first."""
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
    unretrieved = dataclasses.replace(explained, latest=None, decisions=())
    assert str(unretrieved).splitlines()[1:] == ["now: the policy was not asked"]
