"""Extra: the fields of a future that few tasks need. They are kept apart because each slot of a future costs memory for
each task."""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasker.control.retries import RetryPolicy
from tasker.core.history import History

if TYPE_CHECKING:  # it imports what `import tasker` has no need of yet
    from tasker.core.limited_task import LimitedTask


class Extra:
    """Holds the fields that few tasks need."""

    once: bool = False
    retry: RetryPolicy | None = None
    limited: LimitedTask | None = None
    """The time limits of the task, if it has any."""
    callback: Callable[[Any, BaseException | None], object] | None = None
    listeners: list[tuple[Callable[[Any], object], contextvars.Context]] | None = None
    """The done callbacks, in the order in which they were added."""
    cancel_requested: bool = False
    """Whether ``cancel`` was called while the task ran."""
    cancel_message: object = None
    """What the last caller of ``cancel`` has given as its message."""
    ended_waiting: bool = False
    """Whether the task ended while no attempt ran."""
    sent_back: int = 0
    """The number of attempts that ended without an outcome."""
    snoozes: int = 0
    """How many of them ended with ``Snooze``, and so do not count as attempts."""
    slot_released: bool = False
    """Whether the task has left a bounded queue and come back."""
    failure: BaseException | None = None
    """The error of the last attempt, while the supervisor decides about the task."""
    history: History = ()
    """The attempts that another one has followed, or that the supervisor has decided about."""
    harmed: int = 0
    """How many resources it has left unhealthy."""
    error: BaseException | None = None
    """The error with which the task failed; after ``cancel``, the error that its callback got."""
    cancelled: bool = False
    """Whether the outcome is a cancellation."""
    as_cancelled_error: bool = False
    """Whether callers get ``asyncio.CancelledError`` in place of ``error``."""
    traceback: types.TracebackType | None = None
    """Where ``error`` was raised. It is restored each time that the error is raised to a caller, or it would grow."""
    unretrieved: UnretrievedError | None = None


class UnretrievedError:
    """Belongs to an error, and reports it to the loop if it is collected before any caller has retrieved it."""

    __slots__ = ("_error", "_label", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, label: str, error: BaseException) -> None:
        self._loop = loop
        self._label = label
        self._error: BaseException | None = error

    def retrieved(self) -> None:
        """Notes that a caller has retrieved the error."""
        self._error = None

    # A finalizer of the future itself would be called for every task.
    def __del__(self) -> None:
        if self._error is not None:
            report = {"message": f"the error of {self._label} was never retrieved", "exception": self._error}
            self._loop.call_exception_handler(report)
