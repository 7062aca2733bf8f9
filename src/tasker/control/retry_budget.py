"""RetryBudget: how many retries a group of tasks may still make, so that a broken dependency is not retried to death."""

from __future__ import annotations

from collections import deque
from itertools import repeat
from typing import NamedTuple

_MOST = 10_000_000


class RetryBudget:
    """A bucket of tokens from which retries are paid. For ``RetryPolicy.budget``.

    A retry costs ``retry_cost`` tokens, one after a timeout (any ``TimeoutError``) ``timeout_cost``. Where there are not as many,
    the task is not tried again and ends with its error. A task that succeeds gives back what its last retry has cost, and one
    that succeeds at once gives one token, up to ``capacity``. So while most tasks succeed, each retry finds its tokens; if none does,
    there are 100 retries, and then one for every 5 successes. That is the standard retry mode of the AWS SDKs
    (``RetryQuotaChecker`` in botocore).

    A budget is shared by all that have it: the tasks of one manager, or of several. Thread-safe, and takes no lock. Raises
    ``ValueError`` for a number that is not an integer, or below 1, for a cost above ``capacity``, and for a capacity above 10 million.
    """

    def __init__(self, capacity: int = 500, *, retry_cost: int = 5, timeout_cost: int = 10) -> None:
        most, why = _MOST, "each takes eight bytes"
        for name, value in (("capacity", capacity), ("retry_cost", retry_cost), ("timeout_cost", timeout_cost)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                allowed = f"an integer of at least 1 and at most {most} ({why})"
                raise ValueError(f"RetryBudget.{name} must be {allowed}, got {value!r}")
            most, why = capacity, "capacity"
        self.capacity: int = capacity
        self.retry_cost: int = retry_cost
        self.timeout_cost: int = timeout_cost
        # Each operation on a deque is atomic, and one that is full drops what is too much: so neither several managers nor a
        # signal handler in the middle of a call need a lock, which a fork could leave locked.
        self._tokens: deque[None] = deque(repeat(None, capacity), maxlen=capacity)

    @property
    def available(self) -> int:
        """The tokens that are left."""
        return len(self._tokens)

    def borrow(self, *, timed_out: bool) -> Loan | None:
        """Takes what a retry costs; None if that is not left. Of two callers at the same moment that ask for the last tokens, both
        may get None."""
        cost = self.timeout_cost if timed_out else self.retry_cost
        taken = 0
        try:
            while taken < cost:
                self._tokens.pop()
                taken += 1
        except IndexError:
            self.give(taken)
            return None
        return Loan(self, cost)

    def give(self, tokens: int) -> None:
        """Adds tokens, as far as there is room for them."""
        self._tokens.extend(repeat(None, min(tokens, self.capacity)))

    def __repr__(self) -> str:
        return f"<RetryBudget {self.available} of {self.capacity} tokens>"


class Loan(NamedTuple):
    """What a retry has cost."""

    budget: RetryBudget
    cost: int

    def repay(self) -> None:
        """The task has succeeded, and is counted with all that have: that gives one of the tokens."""
        self.budget.give(self.cost - 1)
