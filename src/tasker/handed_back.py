"""A task that a stop has handed back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A task that ``stop(hand_back=True)`` has not run, with what it takes to submit it elsewhere. Immutable.

    It holds the function and the arguments as they were given. With an ``as_executor`` view, the function is a wrapper
    that calls the callable without a resource.
    """

    task: Callable[..., Any]
    args: tuple[Any, ...] = field(repr=False)
    priority: IntEnum
    """The ``Priority`` with which it was queued: a retry has ``HIGH``."""
    attempts: int
    """How many times it was started before; more than 0 for a retry."""
    future: Any = field(repr=False)
    """Its future, which has ended with ``TaskHandedBack``."""
    once: bool = False
    retry: Any = None
    """The ``RetryPolicy`` that was submitted with it, or None."""
    timeout: float | None = None
    deadline: float | None = None
    """Its limits, in seconds, as they were for it; submitted again, the time of the deadline begins anew. None: no limit."""

    def resubmit(self, manager: Any) -> Any:
        """Submits it to another manager and returns the new future; the old one stays as it is. ``attempts`` begin anew. For an
        ``AsyncTaskManager``, to be called in its event loop. Raises what ``submit`` raises."""
        given = {"retry": self.retry, "timeout": self.timeout, "deadline": self.deadline}
        options = {name: value for name, value in given.items() if value is not None}
        return manager.submit(self.task, *self.args, priority=self.priority, once=self.once, **options)
