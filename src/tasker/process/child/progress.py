"""Tells the manager how far a task is, a few times a second: a child through the pipe of its log records, an actor of Ray as its
longest call returns. So no outcome waits for it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from tasker.context import Context

from .cancellations import TaskContext

if TYPE_CHECKING:
    from tasker.remote.events import Told

A_SECOND = 4
"""So many reports are sent, however often a task says how far it is; after a silence as many at once as in ``BURST_S``."""
BURST_S = 2.0


class ProgressTeller:
    """See the module's docstring. ``current`` returns the context of the task that runs; ``tell`` sends a report, or drops it where
    it would have to wait. Of reports that come in the same moment from several threads, some may be too many."""

    def __init__(self, current: Callable[[], TaskContext | None], tell: Callable[[Told], object]) -> None:
        self._current = current
        self._tell = tell
        self._paid_until = 0.0
        """As if each report took its share of a second: until when the last one takes."""

    def __call__(self, done: float, total: float | None) -> None:
        current: Context | None = self._current()
        if not isinstance(current, TaskContext):  # it has ended: a thread of its own has gone on
            return
        now = monotonic()
        begun = max(self._paid_until, now - BURST_S)
        if begun > now:
            return
        self._paid_until = begun + 1 / A_SECOND
        # Of the types that need no import over there.
        self._tell((current.number, float(done), None if total is None else float(total)))
