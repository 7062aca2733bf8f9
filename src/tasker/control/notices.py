"""What a manager tells its subscribers. Users import these from ``tasker.events``.

Each is a frozen dataclass. It names workers and tasks by text and number and holds no object of theirs, so keeping it keeps
nothing alive. ``docs/events.md`` is the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .journal import Cause


@dataclass(frozen=True, slots=True)
class ManagerEvent:
    """The base of all events. Immutable, as they all are."""

    at: float
    """When, in ``time.monotonic`` seconds; in tests with ``InlineTaskManager``, in seconds of its clock."""


# -- workers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerEvent(ManagerEvent):
    """The base of what happens to one worker."""

    worker: str
    """Its name, as in ``WorkerInfo``, ``Attempt`` and the log. A later worker may have the same one."""
    slot: int
    generation: int
    """No two workers of a manager have the same."""


@dataclass(frozen=True, slots=True)
class WorkerStarting(WorkerEvent):
    """A worker was started, and makes its resource."""


@dataclass(frozen=True, slots=True)
class WorkerStarted(WorkerEvent):
    """The resource was made; the worker serves."""


@dataclass(frozen=True, slots=True)
class WorkerFailed(WorkerEvent):
    """The resource could not be made; the worker is gone."""

    error: str
    """``Type: message``, here and in all other events."""


@dataclass(frozen=True, slots=True)
class WorkerReplaced(WorkerEvent):
    """The worker destroys its resource, and another worker takes its place if one is still wanted."""

    why: Literal["unhealthy", "check", "worn"]
    """An error of a task, or ``on_return``, has shown that the resource is unhealthy; ``check_resource`` has; or the resource
    is healthy and has served its time, or is outdated by a ``refresh()``."""
    error: str | None
    """The error that the task has raised, where that is the reason and its task is tried again."""


@dataclass(frozen=True, slots=True)
class WorkerRetired(WorkerEvent):
    """The worker destroys its resource, because it is not needed any more or the manager ends."""


@dataclass(frozen=True, slots=True)
class WorkerSetAside(WorkerEvent):
    """The worker keeps its resource and takes no tasks, while it is tried whether fewer workers do as much."""


@dataclass(frozen=True, slots=True)
class WorkerResumed(WorkerEvent):
    """A worker that was parked takes tasks again."""


@dataclass(frozen=True, slots=True)
class WorkerStuck(WorkerEvent):
    """The worker has been in a callback or a task for too long; another one may take its place."""

    why: str
    """In words."""


@dataclass(frozen=True, slots=True)
class WorkerRecovered(WorkerEvent):
    """A stuck worker has returned and serves again."""


@dataclass(frozen=True, slots=True)
class WorkerCrashed(WorkerEvent):
    """The worker is gone, and its resource was not destroyed: its process has died, for instance."""

    error: str


@dataclass(frozen=True, slots=True)
class WorkerGone(WorkerEvent):
    """The worker has destroyed its resource and is gone."""


@dataclass(frozen=True, slots=True)
class WorkerAbandoned(WorkerEvent):
    """The manager has ended without waiting for the worker any longer."""


# -- tasks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskEvent(ManagerEvent):
    """The base of what happens to one task."""

    task: str
    """As in messages: ``task #7 module.function``; ``run_task`` for one of those."""
    id: int
    """``TaskFuture.id``; 0 for ``run_task``."""
    attempts: int
    """How many there were until now."""
    worker: str
    """The name of the worker of the last attempt; empty if there was none."""
    error: str
    """The error of the last attempt, or what the task has ended with."""


@dataclass(frozen=True, slots=True)
class TaskRetried(TaskEvent):
    """An attempt has failed, and another one follows."""

    pause: float
    """After how many seconds at the earliest."""


@dataclass(frozen=True, slots=True)
class TaskFailed(TaskEvent):
    """The task has ended with an error. Not if it was cancelled or killed."""


@dataclass(frozen=True, slots=True)
class TaskTimedOut(TaskEvent):
    """The task has ended with ``TaskTimeout``; in place of ``TaskFailed``."""


@dataclass(frozen=True, slots=True)
class TaskQuarantined(TaskEvent):
    """The task has ended with ``PoisonTask``; in place of ``TaskFailed``."""


# -- the manager ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scaled(ManagerEvent):
    """The number of workers that there should be has changed; as ``ScalingDecision``."""

    cause: Cause
    before: int
    target: int
    why: str
    """In words and numbers."""


@dataclass(frozen=True, slots=True)
class CreationsFailing(ManagerEvent):
    """Another round of creations has failed. Those that were under way at the same time are one round."""

    failures: int
    """The rounds in a row."""
    error: str
    retry_in: float | None
    """The seconds until the next try; None if nothing is missing."""


@dataclass(frozen=True, slots=True)
class CreationsRecovered(ManagerEvent):
    """A resource was made, after rounds that had failed."""

    failures: int


@dataclass(frozen=True, slots=True)
class BreakerChanged(ManagerEvent):
    """The circuit breaker around creations has changed. The states are those of ``TaskStats.breaker``."""

    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RestartAlarmChanged(ManagerEvent):
    """Workers are replaced more often than ``Config.restart_intensity`` says; or, if not ``raised``, that is over."""

    raised: bool
    restarts: int
    """Those that have raised it; at its end, all that there were until then."""
    why: str
    """Of the last one, in words."""


@dataclass(frozen=True, slots=True)
class Paused(ManagerEvent):
    """No task starts until ``Resumed``."""


@dataclass(frozen=True, slots=True)
class Resumed(ManagerEvent):
    """Tasks start again, or the manager ends."""


@dataclass(frozen=True, slots=True)
class StopBegun(ManagerEvent):
    """The manager accepts no more tasks. A second one follows if the stop becomes a kill."""

    kill: bool
    why: str
    """In words."""


@dataclass(frozen=True, slots=True)
class StopEnded(ManagerEvent):
    """The manager has ended. Always the last event."""

    kill: bool
    """Whether it was killed."""
