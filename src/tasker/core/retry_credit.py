"""What the tasks of one manager give to the retry budgets of their policies.

A success is counted anyway, so it is not reported: the successes since the last failure are given when a task fails, which is when
it matters what is left. Only a task that was tried again has its outcome watched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tasker.control.retries import RetryPolicy
from tasker.control.retry_budget import Loan, RetryBudget
from tasker.logs import GuardedLogger

from .counters import Counters


class Repayment:
    """Pays back what the last retry of a task has cost. To be called when the task has succeeded, by any thread, and more than
    once where that was interrupted. What a subclass of the budget raises is logged: that thread is a worker's."""

    __slots__ = ("_log", "loan")

    def __init__(self, log: GuardedLogger) -> None:
        self._log = log
        self.loan: Loan | None = None

    def __call__(self) -> None:
        try:
            loan = self.loan
            del self.loan  # of several threads, one can
        except AttributeError:
            return
        if loan is not None:
            try:
                loan.repay()
            except BaseException as fault:
                self._log.fault("the retry budget", fault)


class RetryCredit:
    """Belongs to whatever carries out the supervisor's decisions."""

    def __init__(self, counters: Counters, policy: RetryPolicy | None, log: GuardedLogger) -> None:
        self._counters = counters
        self._log = log
        # Weak, because there may be budgets and tasks that come and go.
        self._given: WeakKeyDictionary[RetryBudget, int] = WeakKeyDictionary()
        self._repayments: WeakKeyDictionary[Any, Repayment] = WeakKeyDictionary()
        if policy is not None and policy.budget is not None:
            self._given[policy.budget] = 0

    def settle(self, policy: RetryPolicy | None) -> None:
        """Gives the budget of a policy, if it has one, a token for each success since the last time; the first time, for
        none. What a subclass of the budget raises is logged. Costs O(workers)."""
        try:
            self._settle(policy)
        except BaseException as fault:  # even a SystemExit, which would end the supervisor
            self._log.fault("the retry budget", fault)

    def _settle(self, policy: RetryPolicy | None) -> None:
        if policy is None or policy.budget is None:
            return
        budget, successes = policy.budget, self._successes()
        given = self._given.get(budget, successes)
        if successes > given:
            budget.give(successes - given)
        # Never less than before: the numbers are read one after the other while workers go on.
        self._given[budget] = max(successes, given)

    def _successes(self) -> int:
        shards = list(self._counters.shards.values())
        return sum(shard.done - shard.meter.failed - shard.meter.cancelled for shard in shards)

    def lend(self, task: Any, loan: Loan, on_success: Callable[[Any, Repayment], None]) -> None:
        """Has the task repay the loan, in place of an earlier one, if it succeeds."""
        repayment = self._repayments.get(task)
        if repayment is None:
            repayment = self._repayments[task] = Repayment(self._log)
            on_success(task, repayment)
        repayment.loan = loan
