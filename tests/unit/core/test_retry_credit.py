"""What tasks give to the retry budgets of their policies."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from support.observers import RecordingLogger
from tasker import RetryBudget, RetryPolicy
from tasker.control.retry_budget import Loan
from tasker.core.counters import Counters
from tasker.core.retry_credit import Repayment, RetryCredit
from tasker.logs import GuardedLogger

LOG = GuardedLogger(RecordingLogger(), "pool", lambda: None)


class Task:
    """A task, and what is to be called when it succeeds."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def watched(self, task: Any, call: Callable[[], None]) -> None:
        """See `EngineCore.on_success`."""
        assert task is self
        self.calls.append(call)


def used_up(capacity: int = 100) -> RetryBudget:
    """A budget without tokens."""
    budget = RetryBudget(capacity, retry_cost=capacity, timeout_cost=capacity)
    assert budget.borrow(timed_out=False)
    return budget


def test_successes_are_given_when_a_task_fails() -> None:
    """A token for each since the last time; those that failed or were cancelled give nothing."""
    budget = used_up()
    counters = Counters()
    credit = RetryCredit(counters, RetryPolicy(budget=budget), LOG)
    one, other = counters.shard(1), counters.shard(2)
    one.done, other.done, one.meter.failed, other.meter.cancelled = 7, 5, 2, 1
    credit.settle(RetryPolicy(budget=budget))
    assert budget.available == 9
    credit.settle(RetryPolicy(budget=budget))
    assert budget.available == 9
    one.done = 6  # read a moment before: never taken back, and not given twice
    credit.settle(RetryPolicy(budget=budget))
    one.done = 8
    credit.settle(RetryPolicy(budget=budget))
    assert budget.available == 10


def test_no_budget() -> None:
    """Nothing is given, and nothing is counted."""
    for policy in (None, RetryPolicy()):
        credit = RetryCredit(Counters(), policy, LOG)
        credit.settle(policy)


def test_a_budget_of_a_task() -> None:
    """It gets what succeeds after it was first seen."""
    budget, counters = used_up(), Counters()
    credit = RetryCredit(counters, None, LOG)
    counters.shard(1).done = 5
    credit.settle(RetryPolicy(budget=budget))
    assert budget.available == 0
    counters.shard(1).done = 8
    credit.settle(RetryPolicy(budget=budget))
    assert budget.available == 3


def test_the_last_loan_is_repaid() -> None:
    """Once, and the outcome of the task is watched once."""
    budget, task = used_up(), Task()
    credit = RetryCredit(Counters(), None, LOG)
    for cost in (10, 5):
        credit.lend(task, Loan(budget, cost), task.watched)
    (repay,) = task.calls
    repay()
    repay()
    assert budget.available == 4


def test_a_repayment_without_a_loan() -> None:
    """A task that succeeds before it is known what it has cost pays nothing back."""
    Repayment(LOG)()


def test_a_budget_that_is_gone() -> None:
    """Budgets of tasks that are done are not kept."""
    credit = RetryCredit(Counters(), None, LOG)
    credit.settle(RetryPolicy(budget=RetryBudget()))
    gc.collect()
    assert len(credit._given) == 0


class Broken(RetryBudget):
    """A budget of the user's own."""

    def give(self, tokens: int) -> None:
        """Fail."""
        raise SystemExit("no tokens")


def test_a_budget_that_raises() -> None:
    """It is logged and counted, and goes no further."""
    logger, faults = RecordingLogger(), []
    counters = Counters()
    policy = RetryPolicy(budget=Broken())
    credit = RetryCredit(counters, policy, GuardedLogger(logger, "pool", lambda: faults.append(1)))
    counters.shard(1).done += 1
    credit.settle(policy)
    assert "the retry budget raised SystemExit: no tokens" in logger.text("error")
    assert faults == [1]
    task = Task()
    credit.lend(task, Loan(Broken(), 5), task.watched)
    task.calls[0]()
    assert faults == [1, 1], "nor does it when a loan is repaid"
