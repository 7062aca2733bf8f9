"""Who waits for a pause to be quiet."""

from __future__ import annotations

import pytest

from tasker.control.lifecycle import Phase
from tasker.core.pauses import QuietWaits


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.PAUSING])
def test_answers(phase: Phase) -> None:
    """Each waiter is answered once, as soon as the phase is another one: True if no task runs."""
    waits, answers = QuietWaits(), list[bool]()
    waits.add(answers.append, Phase.PAUSING)
    waits.settle(Phase.PAUSING)
    assert waits and not answers
    waits.settle(phase)
    waits.settle(phase)
    assert not waits
    assert answers == [phase is Phase.PAUSED]
    waits.add(answers.append, phase)
    assert answers == [phase is Phase.PAUSED] * 2


def test_one_that_has_given_up() -> None:
    """A waiter that is forgotten gets no answer; forgetting it twice is harmless."""
    waits, answers = QuietWaits(), list[bool]()
    waits.add(answers.append, Phase.PAUSING)
    waits.forget(answers.append)
    waits.forget(answers.append)
    waits.settle(Phase.PAUSED)
    assert not answers
