"""The time limits of tasks that run in a session.

An attempt begins when its task is the first of those in flight, as far as this process has seen; a little later than it does
there, never earlier. What goes on after its cancellation is ended by force together with the session, as after ``cancel``.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from tasker.errors import TaskTimeout

from .context import RemoteContext
from .ports import WindowEngine


def begin_limit(engine: WindowEngine, future: Any, context: RemoteContext) -> TaskTimeout | None:
    """Notes that an attempt begins. Returns the error of a task that may not start any more: it is to be cancelled, and is
    skipped if it has not begun there."""
    limited = future._limited
    return None if limited is None else engine.limits.begin(limited, context)


def late_for(future: Any) -> TaskTimeout | None:
    """Notes that a task has not begun after all. Returns its error if it may not start any more."""
    limited = future._limited
    if limited is None:
        return None
    limited.ended()
    late: TaskTimeout | None = limited.late(monotonic())
    return late
