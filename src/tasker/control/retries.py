"""When a failed task is tried again, and how long after."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol

from .finite import is_finite
from .retry_budget import RetryBudget

_MAX_DOUBLINGS = 60
"""A float holds any delay up to there; more would overflow for a task that fails for days."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failed tasks are tried again, how often and after which pauses. Immutable. For ``Config.retry``,
    and as the option ``retry`` of a task, where it takes the place of that one as a whole.

    Without a policy, a task is tried again at once, up to ``Config.max_retries`` times, and only after an error that
    ``check_health`` blames on the resource. All times are in seconds. Raises ``ValueError`` for a wrong value.
    """

    _: KW_ONLY
    max_retries: int | None = None
    """How many times a task is started again, at least 0, whatever for. None: ``Config.max_retries``."""
    backoff: float = 0.0
    """The longest pause before the second attempt; the limit doubles with each further one. The pause itself is random
    between 0 and the limit ("full jitter": M. Brooker, "Exponential Backoff And Jitter", 2015), so that tasks that failed
    together do not all come back together. 0: no pause."""
    max_backoff: float = 30.0
    """The limit does not grow beyond this."""
    retry_on: type[BaseException] | tuple[type[BaseException], ...] | Callable[[BaseException], bool] | None = None
    """Errors of the task's own after which it is tried again with the same worker or another, the resource being kept:
    classes, or a function that is called with the error. None: none. Never ``once`` tasks, and never cancellations. If the
    function raises, its error is logged, and the task is not tried again."""
    max_elapsed: float | None = None
    """No further attempt follows if, after its pause, more time than this has passed since the task was submitted. None: no
    limit."""

    at_stop: Literal["run", "report"] = "run"
    """What a graceful stop does with a task that waits for its next attempt, or would have to: ``"run"`` starts it at once;
    ``"report"`` ends it with its last error, and ``StopReport.delayed_tasks`` counts it."""

    budget: RetryBudget | None = None
    """From which retries are paid; those that it cannot pay for are not made. Give the same one to policies that share it. None:
    no limit but the others."""

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.at_stop not in ("run", "report"):
            raise ValueError(f"RetryPolicy.at_stop must be 'run' or 'report', got {self.at_stop!r}")
        if self.budget is not None and not isinstance(self.budget, RetryBudget):
            raise ValueError(f"RetryPolicy.budget must be a RetryBudget or None, got {self.budget!r}")
        kinds = self.retry_on if isinstance(self.retry_on, tuple) else (self.retry_on,)
        classes = all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)
        if not (self.retry_on is None or classes or (callable(self.retry_on) and not isinstance(self.retry_on, type))):
            raise ValueError(f"RetryPolicy.retry_on must be error classes, a function or None, got {self.retry_on!r}")

    def _check_numbers(self) -> None:
        most = self.max_retries
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 0):
            raise ValueError(f"RetryPolicy.max_retries must be an integer of at least 0 or None, got {most!r}")
        for name in ("backoff", "max_backoff", "max_elapsed"):
            value = getattr(self, name)
            if value is None and name == "max_elapsed":
                continue
            if not is_finite(value) or value < 0:
                raise ValueError(f"RetryPolicy.{name} must be a finite number of seconds, at least 0, got {value!r}")

    def wants(self, error: BaseException) -> bool:
        """Returns whether a task is tried again after this error of its own. Raises what ``retry_on`` raises."""
        kinds = self.retry_on
        if kinds is None:
            return False
        if isinstance(kinds, type | tuple):
            return issubclass(type(error), kinds)
        return bool(kinds(error))

    def pause(self, attempts: int, rng: random.Random) -> float:
        """Returns the seconds before the next attempt, after so many."""
        limit = min(self.max_backoff, self.backoff * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS))
        return limit * rng.random()


def most_retries(policy: RetryPolicy | None, default: int) -> int:
    """Returns how many times a task of this policy is started again; ``default`` is that of the configuration."""
    return default if policy is None or policy.max_retries is None else policy.max_retries


class HasOutcome(Protocol):
    """A task, as far as it is looked at here."""

    def done(self) -> bool:
        """Whether it has its outcome."""
        ...


class Delayed:
    """The tasks that wait for the time of their next attempt. Not thread-safe. Costs O(log n) for each."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, HasOutcome, Any]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def moment(self) -> float | None:
        """When the first is due, or None."""
        return self._heap[0][0] if self._heap else None

    def sweep(self) -> None:
        """Removes the tasks that have their outcome, because they were cancelled. Costs O(n)."""
        self._heap = [entry for entry in self._heap if not entry[2].done()]
        heapq.heapify(self._heap)

    def add(self, task: HasOutcome, due: float, late: Any = None) -> None:
        """Adds a task. ``late``: what is to be done with it if the manager is stopped before; None: what else is done when it
        is due."""
        self._order += 1  # of two that are due together the one that came first; and tasks are not compared
        heapq.heappush(self._heap, (due, self._order, task, late))

    def take(self, now: float) -> list[tuple[HasOutcome, Any]]:
        """Removes and returns those that are due, each with its ``late``."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            taken.append(heapq.heappop(self._heap)[2:])
        return taken
