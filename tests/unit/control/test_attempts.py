"""What becomes of a task after an attempt."""

from __future__ import annotations

import itertools

import pytest

from tasker.control.attempts import (
    Unstarted,
    Verdict,
    after_error,
    after_loss,
    after_unhealthy,
    own_error,
    unstarted,
)

BOTH = (False, True)


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_tries_again_after_the_first_attempt(max_retries: int) -> None:
    """A task is started max_retries times more after its first attempt, then it is exhausted."""
    verdicts = [after_unhealthy(n, max_retries) for n in range(1, 6)]
    assert verdicts == [Verdict.TRY_AGAIN] * max_retries + [Verdict.EXHAUSTED] * (5 - max_retries)


@pytest.mark.parametrize("max_retries", [0, 3])
@pytest.mark.parametrize("reason", ["once", "cancelled"])
def test_never_again(reason: str, max_retries: int) -> None:
    """A once task, and one that was cancelled while it ran, ends with its own error, for any max_retries."""
    assert after_unhealthy(1, max_retries, **{reason: True}) is Verdict.ENDED


@pytest.mark.parametrize(("once", "cancelled"), list(itertools.product(BOTH, BOTH)))
def test_a_kill_ends_everything(once: bool, cancelled: bool) -> None:
    """While the manager is killed, an attempt that failed is followed by no other, and its task ends as killed."""
    assert after_unhealthy(1, 3, once=once, cancelled=cancelled, killing=True) is Verdict.KILLED


def test_a_quarantine() -> None:
    """From so many harmed resources on, at the smaller bound of the two, and with no bound never."""
    verdicts = [after_unhealthy(n, 9, harmed=n, quarantine_after=3) for n in range(1, 5)]
    assert verdicts == [Verdict.TRY_AGAIN] * 2 + [Verdict.QUARANTINED] * 2
    assert after_unhealthy(3, 1, harmed=2, quarantine_after=3) is Verdict.EXHAUSTED
    assert after_unhealthy(3, 2, harmed=3, quarantine_after=3) is Verdict.QUARANTINED
    assert after_unhealthy(9, 9, harmed=9) is Verdict.TRY_AGAIN


@pytest.mark.parametrize("reason", ["once", "cancelled", "killing"])
def test_what_is_not_quarantined(reason: str) -> None:
    """A task that gets no further attempt anyway ends as it would without."""
    plain = after_unhealthy(3, 9, **{reason: True})
    assert after_unhealthy(3, 9, harmed=3, quarantine_after=3, **{reason: True}) is plain


def test_an_error_is_judged_by_check_health_only_where_it_may_be_the_resource() -> None:
    """A kill leaves no task to come, and a blameless error no doubt; anything else is left to check_health."""
    assert after_error(cancelled=True, killed=True) is Verdict.CANCELLED
    assert after_error(cancelled=True) is None
    assert after_error(cancelled=True, blameless=True) is Verdict.CANCELLED
    assert after_error(cancelled=False, blameless=True) is Verdict.ENDED
    assert after_error(cancelled=False, blameless=False) is None


def test_an_error_of_its_own() -> None:
    """Whatever became of the resource, a task that obeyed its cancellation is cancelled."""
    assert own_error(cancelled=True) is Verdict.CANCELLED
    assert own_error(cancelled=False) is Verdict.ENDED


def test_a_death_is_the_cancellations_doing_or_the_resources() -> None:
    """A worker that died in a cancelled task ends it as cancelled, in a killed one as killed; else it failed unhealthily."""
    assert after_loss(cancelled=True, killed=False) is Verdict.CANCELLED
    assert after_loss(cancelled=True, killed=True) is Verdict.KILLED
    assert after_loss(cancelled=False, killed=False) is None


@pytest.mark.parametrize(("done", "killed", "cancelled", "suspect"), list(itertools.product(BOTH, BOTH, BOTH, BOTH)))
def test_a_task_that_did_not_start(done: bool, killed: bool, cancelled: bool, suspect: bool) -> None:
    """It is left alone if it has its outcome, else dropped by a kill, else cancelled if it was, else queued again; one
    whose message may have killed its worker is sent by itself then."""
    expected = Unstarted.ISOLATE if suspect else Unstarted.REQUEUE
    if cancelled:
        expected = Unstarted.CANCEL
    if killed:
        expected = Unstarted.DROP
    if done:
        expected = Unstarted.LEAVE
    assert unstarted(done=done, killed=killed, cancelled=cancelled, suspect=suspect) is expected
