"""What a window notes of its tasks, in their futures and in the engine's counters: what the two engines have of their own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from tasker.context import Context
from tasker.errors import TravelError

from .context import RemoteContext


class TaskBooks(ABC):
    """See the module's docstring."""

    @abstractmethod
    def _refuse(self, future: Any, error: TravelError) -> None:
        """Ends a task that cannot be sent."""

    @abstractmethod
    def _count(self, future: Any) -> None:
        """Notes that a task has started."""

    @abstractmethod
    def _is_counted(self, future: Any) -> bool:
        """Returns whether that was noted of the task that is the first in flight."""

    @abstractmethod
    def _uncount(self, future: Any) -> None:
        """Notes that it has not, after all."""

    @abstractmethod
    def _give_context(self, future: Any, context: RemoteContext) -> bool:
        """Gives a task its context. True if it was cancelled before."""

    @abstractmethod
    def _context_of(self, future: Any) -> Context | None:
        """Returns the context of the task that has begun."""

    @abstractmethod
    def _unsend(self, future: Any) -> tuple[bool, bool]:
        """Notes that a task is not in flight any more. Returns whether it has its outcome, and whether it was
        cancelled."""

    @abstractmethod
    def _count_ended(self, future: Any) -> None:
        """Counts a task that had its outcome when it came back."""

    @abstractmethod
    def _cancel_unstarted(self, future: Any) -> None:
        """Ends a task that was cancelled and has not started."""

    def _calling_back_last(self, call: Callable[[], object]) -> None:
        """Makes a call that may end several tasks, and has their callbacks called after it, if they would wait for it."""
        call()
