"""Tasks that are not tried again because they have left too many resources unhealthy: their error, what ``on_quarantine`` gets, and
the record of the last ones."""

from __future__ import annotations

from typing import Any

from tasker.attempt import Quarantined
from tasker.errors import PoisonTask
from tasker.logs import describe, task_name

REMEMBERED = 10


class QuarantineRecord:
    """The last tasks that were quarantined. Written by one thread; any thread may read ``labels``."""

    __slots__ = ("labels",)

    def __init__(self) -> None:
        self.labels: tuple[str, ...] = ()
        """Their names, at most 10, the newest last. Not the tasks: they would keep their arguments alive."""

    def add(self, label: str) -> None:
        """Adds a task and, once there are 10, drops the oldest."""
        # A new tuple each time: a thread that reads the old one sees it whole.
        self.labels = (*self.labels, label)[-REMEMBERED:]


def poisoned(task: Any, harmed: int, cause: BaseException) -> PoisonTask:
    """Returns the error of a task that has left so many resources unhealthy, the last one with ``cause``. Its last attempt is in its
    history by now."""
    resources = "a resource" if harmed == 1 else f"{harmed} resources"
    text = f"{task.label} has left {resources} unhealthy and is not tried again (Config.quarantine_after)"
    error = PoisonTask(f"{text}, last with {describe(cause)}", task.attempts_made)
    error.__cause__ = cause
    return error


def quarantined(task: Any, function: Any, args: tuple[Any, ...], error: PoisonTask) -> Quarantined:
    """Returns what ``on_quarantine`` gets."""
    return Quarantined(
        id=task.id, name=task_name(function), task=function, args=args, attempts=error.attempts, error=error
    )
