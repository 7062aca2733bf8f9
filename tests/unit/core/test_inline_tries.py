"""The attempts of a call of run_task, decided without a thread or a loop."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tasker import Health, MaxRetriesExceeded, NoRetry, PoisonTask, RetryBudget, RetryPolicy, Snooze, TaskKilled
from tasker.context import Context
from tasker.control.lifecycle import Door, Phase
from tasker.core.inline_tries import InlineTries
from tasker.core.limited_task import TimedOut
from tasker.errors import TaskTimeout
from unit.core.fakes import ToyEngine, with_view

BUSY = ConnectionError("busy")
AGAIN = RetryPolicy(retry_on=ConnectionError)


def engine_with(**fields: Any) -> ToyEngine:
    """An engine whose clock is at 100 seconds."""
    engine = ToyEngine(**fields)
    engine.now = lambda: 100.0
    return engine


def tries_of(engine: ToyEngine, retry: RetryPolicy | None = AGAIN, **limits: float) -> InlineTries:
    """A call whose first attempt has begun."""
    tries = InlineTries(
        engine, len, ("seven",), retry=retry, timeout=limits.get("timeout"), deadline=limits.get("deadline")
    )
    tries.begin()
    return tries


def judged(
    tries: InlineTries,
    error: BaseException,
    health: Health = Health.OK,
    *,
    cancelled: bool = False,
    timed_out: TimedOut | None = None,
) -> BaseException:
    """What the call has come to after an attempt that ended so."""
    return tries.judge(error, error, health, 1.5, cancelled=cancelled, timed_out=timed_out)


class BrokenPolicy(RetryPolicy):
    """A policy of the user's own."""

    __slots__ = ()

    def pause(self, attempts: int, rng: Any) -> float:
        """Fail."""
        raise ValueError("policy")


class BrokenBudget(RetryBudget):
    """A budget of the user's own."""

    def give(self, tokens: int) -> None:
        """Fail."""
        raise ValueError("budget")


def test_a_policy_that_raises() -> None:
    """The call ends with the error of its attempt; the fault is logged and counted."""
    engine = engine_with()
    tries = tries_of(engine, BrokenPolicy(retry_on=ConnectionError))
    assert judged(tries, BUSY) is BUSY
    assert not tries.follows(BUSY)
    assert "the retry policy raised ValueError: policy" in engine.logger.text("error")
    assert engine.user_errors() == 1


def test_a_budget_that_raises_after_a_success() -> None:
    """The caller has its result all the same."""
    engine = engine_with()
    tries_of(engine, RetryPolicy(budget=BrokenBudget())).succeeded()
    assert "the retry budget raised ValueError: budget" in engine.logger.text("error")


# -- whether another attempt follows ----------------------------------------------------------------------------------


def test_an_error_that_the_policy_names() -> None:
    """Another attempt follows, without a pause where there is none; the error is in the history, and what led to it is not."""
    engine = engine_with()
    tries = tries_of(engine)
    assert judged(tries, BUSY) is BUSY
    assert tries.follows(BUSY)
    assert not tries.follows(KeyboardInterrupt()), "Ctrl-C after the attempt is the caller's"
    assert (tries.until, tries.missed()) == (100.0, None)
    (attempt,) = tries.attempts_made
    assert (attempt.worker, attempt.run, attempt.verdict) == ("pool-run_task", 1.5, "try again")
    tries.begin()
    assert (tries.attempts, tries.again) == (2, False)
    assert engine.counters.flow() and engine.counters.retried == 1
    assert "worker pool-run_task: builtins.len in run_task failed (attempt 1) with ConnectionError: busy" in (
        engine.logger.text("warning")
    )


@pytest.mark.parametrize(
    ("retry", "error"),
    [
        (None, BUSY),
        (AGAIN, ValueError("yours")),
        (RetryPolicy(retry_on=BaseException), KeyboardInterrupt()),
        (RetryPolicy(retry_on=Exception), Snooze(1)),
        (RetryPolicy(retry_on=Exception), NoRetry()),
    ],
    ids=repr,
)
def test_what_is_not_tried_again(retry: RetryPolicy | None, error: BaseException) -> None:
    """Without a policy, nothing; with one, what it does not name, what says so, and what is the caller's."""
    tries = tries_of(engine_with(), retry)
    assert judged(tries, error) is error
    assert not tries.follows(error)
    assert tries.outcome(error) is error


@pytest.mark.parametrize("killed", [False, True])
def test_a_cancelled_attempt(killed: bool) -> None:
    """It is not wanted any more, whatever it has done to its resource."""
    error = TaskKilled() if killed else ConnectionError()
    tries = tries_of(engine_with())
    assert judged(tries, error, Health.REPLACE, cancelled=True) is error
    assert not tries.again


def test_exhausted() -> None:
    """An unhealthy error is followed by as many attempts as are allowed, and then by MaxRetriesExceeded."""
    engine = engine_with(max_retries=1)
    tries = tries_of(engine, RetryPolicy())
    first, last = OSError("no 0"), OSError("no 1")
    judged(tries, first, Health.REPLACE)
    assert tries.follows(first)
    tries.begin()
    error = judged(tries, last, Health.REPLACE)
    assert isinstance(error, MaxRetriesExceeded)
    assert str(error).endswith("in run_task failed 2 times (max_retries=1), last with OSError: no 1")
    assert tries.outcome(last) is error
    assert error.__notes__[0].endswith("OSError: no 0")


def test_quarantined() -> None:
    """A resource that cools down is not harmed, one that has to be replaced is."""
    engine = engine_with(quarantine_after=1)
    tries = tries_of(engine, RetryPolicy())
    judged(tries, BUSY, Health.COOL_DOWN(1))
    assert tries.again
    tries.begin()
    error = judged(tries, BUSY, Health.REPLACE)
    assert isinstance(error, PoisonTask)
    assert tries.quarantined is not None
    assert (tries.quarantined.args, tries.quarantined.error) == (("seven",), error)
    assert engine.quarantine.labels == ("builtins.len in run_task",)
    engine.counters.flow()
    assert engine.counters.quarantined == 1
    assert "has left a resource unhealthy" in engine.logger.text("error")


def test_a_budget() -> None:
    """It pays for a retry or ends the call; a success gives back what the last retry has cost, or one token."""
    engine, budget = engine_with(), RetryBudget(15, retry_cost=5, timeout_cost=10)
    policy = RetryPolicy(retry_on=(ConnectionError, TimeoutError), budget=budget)
    tries = tries_of(engine, policy)
    judged(tries, BUSY)
    assert (tries.again, budget.available) == (True, 10)
    tries.begin()
    judged(tries, TimeoutError())
    assert (tries.again, budget.available) == (True, 0)
    tries.succeeded()
    assert budget.available == 10
    tries_of(engine, policy).succeeded()
    assert budget.available == 11
    budget.borrow(timed_out=True)
    other = tries_of(engine, policy)
    assert judged(other, BUSY) is BUSY
    assert not other.again
    engine.counters.flow()
    assert engine.counters.refused_retries == 1
    tries_of(engine, AGAIN).succeeded()


# -- between two attempts ---------------------------------------------------------------------------------------------


def paused(engine: ToyEngine, **options: Any) -> InlineTries:
    """A call that pauses before its second attempt."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=60.0, **options.pop("policy", {}))
    tries = tries_of(engine, policy, **options)
    tries._rng.seed(1)
    judged(tries, BUSY)
    assert tries.again
    assert tries.until > 100.0
    return tries


def test_a_pause() -> None:
    """It ends at its time, or at the deadline of the call."""
    engine = engine_with()
    assert 100.0 < paused(engine).until < 160.0
    tries = paused(engine, deadline=0.25)
    assert tries.until == 100.25
    engine.now = lambda: 100.25
    assert isinstance(tries.missed(), TaskTimeout)


@pytest.mark.parametrize("at_stop", ["run", "report"])
def test_a_stop_in_the_pause(at_stop: str) -> None:
    """It is over, and the next attempt follows unless it is to be reported."""
    engine = engine_with()
    tries = paused(engine, policy={"at_stop": at_stop})
    assert not tries.hurried
    engine.view = with_view(engine.view, phase=Phase.DRAINING)
    assert tries.hurried
    assert tries.missed() is (BUSY if at_stop == "report" else None)


def test_a_failure_during_a_stop() -> None:
    """There is no pause any more: the next attempt follows at once, or not at all."""
    engine = engine_with()
    engine.view = with_view(engine.view, phase=Phase.DRAINING)
    policy = RetryPolicy(retry_on=ConnectionError, backoff=60.0)
    tries = tries_of(engine, policy)
    judged(tries, BUSY)
    assert (tries.again, tries.until) == (True, 100.0)
    tries = tries_of(engine, RetryPolicy(retry_on=ConnectionError, backoff=60.0, at_stop="report"))
    assert judged(tries, BUSY) is BUSY
    assert not tries.again


def test_a_kill() -> None:
    """Between two attempts, and after one, the call ends with TaskKilled."""
    engine = engine_with()
    tries = paused(engine)
    engine.view = with_view(engine.view, phase=Phase.KILLING)
    assert isinstance(tries.missed(), TaskKilled)
    engine.door = Door.KILLED
    error = judged(tries_of(engine), BUSY, Health.REPLACE)
    assert isinstance(error, TaskKilled)
    assert "was killed before its next attempt" in str(error)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_without_limits() -> None:
    """Nothing is timed out, and an attempt elsewhere is not noted."""
    tries = tries_of(engine_with())
    assert tries.timed_out(BUSY) is None
    with tries.attempt_elsewhere(Context()):
        pass
    assert tries.interrupted(BUSY) is BUSY


def test_an_attempt_that_times_out() -> None:
    """Its context is cancelled, its caller is woken, and whatever it raises then is a TaskTimeout, except Ctrl-C. Nobody gives
    it up."""
    engine, woken = engine_with(), []
    tries = tries_of(engine, timeout=5.0)
    tries.wake = lambda: woken.append(True)
    context, limited = Context(), tries.limited
    assert limited is not None
    with tries.attempt_elsewhere(context):
        engine.limits.next_look(math.inf)
        engine.limits.look(limited.end)
        assert woken == [True]
        ((what, task, _),) = engine.timed_out
        assert (what, task) == ("cancelled", tries)
        tries.context = context
        engine.limits.next_look(math.inf)
        engine.limits.look(limited.end + 1000)
        assert len(engine.timed_out) == 1
        interrupted = tries.interrupted(BUSY)
        assert isinstance(interrupted, TaskTimeout) and interrupted.__cause__ is BUSY
        assert limited.cancel() is None, "once"
    timed_out = tries.timed_out(BUSY)
    assert timed_out is not None and timed_out.error is interrupted
    assert tries.timed_out(KeyboardInterrupt()) is None
    assert judged(tries, timed_out.error, timed_out=timed_out) is timed_out.error
    assert not tries.again
    tries.end()
    assert tries.done()


def test_a_deadline_before_an_attempt() -> None:
    """The caller is woken, and ends the call itself."""
    engine, woken = engine_with(), []
    tries = tries_of(engine, deadline=5.0)
    tries.wake = lambda: woken.append(True)
    engine.limits.next_look(math.inf)
    engine.limits.look(105.0)
    assert (woken, engine.timed_out) == ([True], [])
    engine.now = lambda: 105.0
    error = tries.interrupted(BUSY)
    assert isinstance(error, TaskTimeout) and "has not started" in str(error)


def test_a_call_that_is_gone() -> None:
    """Its limit wakes nobody."""
    engine = engine_with()
    tries = tries_of(engine, deadline=5.0)
    limited = tries.limited
    assert limited is not None
    tries.wake()
    tries.end()
    limited._wake()  # type: ignore[attr-defined]
