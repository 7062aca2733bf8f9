"""The actions that the supervisor returns to an engine, which carries them out in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .events import Seat
from .retry_budget import Loan


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker, which makes a resource and then serves the queue."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Retire:
    """Let ``count`` workers end: idle ones, or those that first finish a task."""

    count: int


@dataclass(frozen=True, slots=True)
class Park:
    """Let ``count`` workers be parked from now on, those that are parked already included: the others serve. A parked worker
    keeps its resource and takes no tasks; idle ones are parked at once, others as soon as they have finished a task."""

    count: int


@dataclass(frozen=True, slots=True)
class MarkSurplus:
    """Let a worker that starts end as soon as its resource is made, without serving; or, if ``surplus`` is False, let it
    serve after all."""

    seat: Seat
    surplus: bool


@dataclass(frozen=True, slots=True)
class Renew:
    """Let this worker, whose resource is outdated, end as soon as it has no task; ``WorkerWorn`` follows."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Notify those that wait for this refresh: nothing of before it is left."""

    number: int


@dataclass(frozen=True, slots=True)
class OutdatePool:
    """Note that the resources of ``run_task`` that there are, or that are being made, are outdated: they serve no further call
    once they are returned."""


@dataclass(frozen=True, slots=True)
class RenewPool:
    """Make a resource in place of an idle outdated one of the pool of ``run_task``, if there is one."""


@dataclass(frozen=True, slots=True)
class ProbePool:
    """Have an idle resource of the pool of ``run_task`` checked, if one is due."""


@dataclass(frozen=True, slots=True)
class GiveUpPoolProbe:
    """Keep the resource that is being checked out of the pool: its check hangs. End that by force where it is possible."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Let a stuck worker end by force where that is possible, and as soon as its callback returns where it is not: what it
    has made by then, it destroys. ``error``: why no resource will come of it; None if it was destroying one."""

    seat: Seat
    error: str | None
    checks: str = ""
    """The callback, if it was checking or resetting it between two tasks."""


@dataclass(frozen=True, slots=True)
class Requeue:
    """Queue the task again, at high priority."""

    task: object
    loan: Loan | None = None
    """What it pays back if it succeeds."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Count the task as queued again, but do not queue it: ``Resume`` follows."""

    task: object
    snoozed: bool = False
    """Whether it asked for that itself: then the attempt does not count, and the next one is no retry."""
    loan: Loan | None = None
    """As for ``Requeue``."""
    pause: float = field(default=0.0, compare=False)
    """The seconds until then, for those that are told of it."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Queue a task that was delayed, at high priority, unless it has its outcome."""

    task: object


@dataclass(frozen=True, slots=True)
class ReportDelayed:
    """End a task that was delayed, because the manager ends, unless it has its outcome."""

    task: object
    error: Any = None
    """With which; None: with that of its last attempt."""


@dataclass(frozen=True, slots=True)
class FailTask:
    """End the task with its own last error (``own``) or with ``MaxRetriesExceeded``."""

    task: object
    own: bool
    late: bool = False
    """Whether that is because the manager ends: else it would have been delayed."""
    fault: BaseException | None = None
    """What the retry policy has raised in place of a decision: to be logged."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """End the task with ``PoisonTask``, and call ``on_quarantine``."""

    task: object
    harmed: int
    """How many resources it has left unhealthy."""


@dataclass(frozen=True, slots=True)
class DropTask:
    """End the task as killed."""

    task: object


@dataclass(frozen=True, slots=True)
class FailQueued:
    """Fail queued tasks with ``ResourceError``: all, or those that were queued at ``before`` or earlier."""

    error: str
    before: float | None = None


@dataclass(frozen=True, slots=True)
class HoldTasks:
    """Let no task start. What was sent ahead to a session comes back; each worker stops taking tasks after its present one."""


@dataclass(frozen=True, slots=True)
class ReleaseTasks:
    """Let tasks start again."""


@dataclass(frozen=True, slots=True)
class HandBack:
    """Hand back every task in the queue, then let tasks start again: there is none."""


@dataclass(frozen=True, slots=True)
class RefuseTasks:
    """Accept no more tasks, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class DropQueued:
    """End every task in the queue as killed."""


@dataclass(frozen=True, slots=True)
class CancelRunning:
    """Cancel the contexts of the running tasks."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Interrupt what still runs, where that is possible, and have the resources destroyed: the time of a kill runs out."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop waiting for these workers, and end their tasks as killed."""

    seats: tuple[Seat, ...]
    pool: bool = False
    """Whether to stop waiting for the ``ClosePool``, too."""
    refill: bool = False
    """Whether to stop waiting for the ``RefillPool``, too."""
    probe: bool = False
    """Whether to stop waiting for the ``ProbePool``, too."""


@dataclass(frozen=True, slots=True)
class RefillPool:
    """Make one resource for the pool of ``run_task``."""


@dataclass(frozen=True, slots=True)
class ClosePool:
    """Destroy the idle resources of the pool of ``run_task``; ``PoolClosed`` follows."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Finish the engine: nothing is left to supervise."""


@dataclass(frozen=True, slots=True)
class RestartAlarm:
    """Log that workers end otherwise than planned more often than ``Config.restart_intensity`` says; or, if
    ``raised`` is False, that this is over."""

    raised: bool
    restarts: int
    """Those that have raised it; at its end, all that there were until then."""
    most: int
    seconds: float
    reason: str
    """Of the last one."""


@dataclass(frozen=True, slots=True)
class Log:
    """Log this with the user's logger."""

    level: Literal["debug", "info", "warning", "error"]
    message: str
    args: tuple[object, ...] = ()


Action = (
    StartWorker
    | Retire
    | Park
    | MarkSurplus
    | Renew
    | Refreshed
    | GiveUp
    | Requeue
    | Delay
    | Resume
    | ReportDelayed
    | FailTask
    | Quarantine
    | DropTask
    | FailQueued
    | HoldTasks
    | ReleaseTasks
    | HandBack
    | RefuseTasks
    | DropQueued
    | CancelRunning
    | Interrupt
    | Abandon
    | RefillPool
    | OutdatePool
    | RenewPool
    | ProbePool
    | GiveUpPoolProbe
    | ClosePool
    | Finish
    | RestartAlarm
    | Log
)
