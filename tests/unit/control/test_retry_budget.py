"""A bucket of tokens from which retries are paid."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.retries import RetryPolicy
from tasker.control.retry_budget import Loan, RetryBudget

from .rig import Rig, seat


def test_as_the_aws_sdks_have_it() -> None:
    """500 tokens, 5 for a retry and 10 for one after a timeout."""
    budget = RetryBudget()
    assert (budget.capacity, budget.available) == (500, 500)
    assert budget.borrow(timed_out=False) == Loan(budget, 5)
    assert budget.borrow(timed_out=True) == Loan(budget, 10)
    assert budget.available == 485
    assert repr(budget) == "<RetryBudget 485 of 500 tokens>"
    many = [budget.borrow(timed_out=False) for _ in range(98)]
    assert (many.count(None), budget.available) == (1, 0)


def test_what_is_not_there_is_not_lent() -> None:
    """And what was taken for it is put back."""
    budget = RetryBudget(12, retry_cost=3, timeout_cost=7)
    assert budget.borrow(timed_out=True) is not None
    assert budget.borrow(timed_out=True) is None
    assert budget.available == 5
    assert budget.borrow(timed_out=False) is not None
    assert budget.available == 2


def test_tokens_come_back_up_to_the_capacity() -> None:
    """However many are given."""
    budget = RetryBudget(10)
    loan = budget.borrow(timed_out=False)
    assert loan is not None
    loan.repay()
    assert budget.available == 9  # its success is counted with the others
    budget.give(1)
    budget.give(10**12)
    assert budget.available == 10


class Interrupted(deque[None]):
    """In the middle of taking tokens, another one does."""

    def __init__(self, tokens: int, other: Callable[[], object]) -> None:
        super().__init__([None] * tokens, maxlen=tokens)
        self.other: Callable[[], object] | None = other

    def pop(self) -> None:  # type: ignore[override]
        """Take one; before the second, let the other one take."""
        super().pop()
        other, self.other = self.other, None
        if other is not None:
            other()


@pytest.mark.parametrize(("tokens", "lent", "left"), [(10, 2, 0), (9, 1, 4), (5, 1, 0)])
def test_two_at_the_same_moment(tokens: int, lent: int, left: int) -> None:
    """Neither gets tokens that are not there, and none is lost or lent twice."""
    budget = RetryBudget(tokens, timeout_cost=1)
    loans: list[Loan | None] = []
    budget._tokens = Interrupted(tokens, lambda: loans.append(budget.borrow(timed_out=False)))
    loans.append(budget.borrow(timed_out=False))
    assert len(loans) - loans.count(None) == lent
    assert budget.available == left


WRONG = (0, -1, 2.0, True, "5", 10_000_001, 10**400)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"capacity": wrong}, "capacity must be an integer of at least 1 and at most 10000000 ") for wrong in WRONG),
        ({"retry_cost": 0}, "retry_cost must be an integer of at least 1 and at most 500"),
        ({"timeout_cost": 501}, r"timeout_cost must be an integer of at least 1 and at most 500 \(capacity\), got 501"),
    ],
)
def test_wrong_numbers(options: Any, message: str) -> None:
    """The error names the number, its value and what is allowed."""
    with pytest.raises(ValueError, match=rf"RetryBudget\.{message}"):
        RetryBudget(**options)


def test_what_is_no_budget() -> None:
    """A policy takes a budget, or none."""
    with pytest.raises(ValueError, match=r"RetryPolicy\.budget must be a RetryBudget or None, got 500"):
        RetryPolicy(budget=500)  # type: ignore[arg-type]


def failed(*, own: bool = True, attempts: int = 1, timed_out: bool = False) -> ev.AttemptFailed:
    """The task of the first worker has failed."""
    return ev.AttemptFailed(seat(1), "t", attempts, False, own=own, timed_out=timed_out)


def test_a_retry_is_paid() -> None:
    """Whoever decides says what it has cost; where the tokens are used up, the task ends with its error."""
    budget = RetryBudget(15)
    rig = Rig(1, 1, retry=RetryPolicy(budget=budget)).serving()
    assert rig.do(failed()) == [act.Requeue("t", Loan(budget, 5))]
    assert rig.do(failed(timed_out=True)) == [act.Requeue("t", Loan(budget, 10))]
    assert rig.view.refused_retries == 0
    assert rig.do(failed()) == [act.FailTask("t", own=True)]
    assert act.FailTask("t", own=True) in rig.do(failed(own=False))
    assert rig.view.refused_retries == 2


def test_only_retries_are_paid() -> None:
    """What is not tried again for another reason costs nothing; a delayed retry is paid at once."""
    budget = RetryBudget(5, timeout_cost=5)
    policy = RetryPolicy(budget=budget, backoff=9.0, max_elapsed=60.0, at_stop="report")
    rig = Rig(1, 1, retry=policy).serving()
    assert rig.do(failed(attempts=4)) == [act.FailTask("t", own=True)]
    assert (budget.available, rig.view.refused_retries) == (5, 0)
    assert rig.do(failed()) == [act.Delay("t", loan=Loan(budget, 5))]
    assert budget.available == 0
    rig.do(ev.StopRequested("enough"))
    assert rig.do(failed()) == [act.FailTask("t", own=True, late=True)]
    assert rig.view.refused_retries == 0


@pytest.mark.parametrize("answer", [math.nan, -1.0, "1"])
def test_a_pause_that_is_none(answer: Any) -> None:
    """What a subclass of the policy returns need not be a number: the task ends with its own error, and the fault is told."""

    class Odd(RetryPolicy):
        __slots__ = ()

        def pause(self, attempts: int, rng: Any) -> float:
            return cast("float", answer)

    rig = Rig(1, 1, retry=Odd()).serving()
    (action,) = rig.do(failed())
    assert isinstance(action, act.FailTask)
    assert (action.task, action.own) == ("t", True)
    assert isinstance(action.fault, TypeError if answer == "1" else ValueError)
    assert rig.view.delayed == 0
