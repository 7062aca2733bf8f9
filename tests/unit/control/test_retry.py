"""What becomes of a task after an unhealthy failure."""

from __future__ import annotations

import pytest

from tasker.control.retry import Verdict, after_unhealthy


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_retries_after_the_first_attempt(max_retries: int) -> None:
    """A task is started max_retries times more after its first attempt, then it is exhausted."""
    verdicts = [after_unhealthy(n, once=False, max_retries=max_retries) for n in range(1, 6)]
    expected = [Verdict.RETRY] * max_retries + [Verdict.EXHAUSTED] * (5 - max_retries)
    assert verdicts == expected


@pytest.mark.parametrize("max_retries", [0, 3])
def test_once(max_retries: int) -> None:
    """A once task ends with its own error at its first failure, whatever max_retries is."""
    assert after_unhealthy(1, once=True, max_retries=max_retries) is Verdict.OWN_ERROR
