"""What to do: the actions that the supervisor asks of an engine, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .events import Seat


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker that makes a resource and then serves the queue."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Retire:
    """Let ``count`` idle workers end, whichever are idle first."""

    count: int


@dataclass(frozen=True, slots=True)
class Requeue:
    """Queue the task again, at high priority."""

    task: object


@dataclass(frozen=True, slots=True)
class FailTask:
    """Give the task its own last error (``own``) or ``MaxRetriesExceeded``."""

    task: object
    own: bool


@dataclass(frozen=True, slots=True)
class DropTask:
    """End the task as killed."""

    task: object


@dataclass(frozen=True, slots=True)
class FailQueued:
    """Fail tasks in the queue with ``ResourceError``: all, or those that have waited since ``before``."""

    error: str
    before: float | None = None


@dataclass(frozen=True, slots=True)
class RefuseTasks:
    """Accept no more tasks, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class DropQueued:
    """End every task in the queue as killed."""


@dataclass(frozen=True, slots=True)
class CancelRunning:
    """Cancel the contexts of the tasks that run."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop waiting for these workers: end their tasks as killed."""

    seats: tuple[Seat, ...]


@dataclass(frozen=True, slots=True)
class RefillPool:
    """Make one resource for ``run_task``'s pool."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to supervise."""


@dataclass(frozen=True, slots=True)
class Log:
    """Say this to the user's logger."""

    level: Literal["debug", "info", "warning", "error"]
    message: str
    args: tuple[object, ...] = ()


Action = (
    StartWorker
    | Retire
    | Requeue
    | FailTask
    | DropTask
    | FailQueued
    | RefuseTasks
    | DropQueued
    | CancelRunning
    | Abandon
    | RefillPool
    | Finish
    | Log
)
