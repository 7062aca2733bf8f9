"""The events that engines report to the supervisor.

Every long action (create, run, destroy) reports exactly one of them, with the worker's ``Seat``. So an event that comes
late, after a kill or from an earlier worker of the slot, is recognised and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .retries import RetryPolicy


class Seat(NamedTuple):
    """Identifies a worker: by the slot that names it, and a generation that no two workers share."""

    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class Load:
    """Measures the queue and its workers at one moment. Tasks of ``run_task`` are not included."""

    queued: int
    running: int
    arrived: int
    """The tasks accepted since the start."""
    ended: int
    """The tasks that got their outcome since the start."""
    oldest_wait: float = 0.0
    """The seconds for which the first task of the queue has waited."""
    running_age: float = 0.0
    """The median of the seconds for which the running tasks have run, while tasks wait; 0 if it is not known."""
    memory: float | None = None
    """The share of the memory that is in use, from 0 to 1; None if it does not matter or is not known."""


@dataclass(frozen=True, slots=True)
class Started:
    """The manager has started and needs its base workers."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker's resource was made."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerDropped:
    """The worker's resource was made, and it is about to destroy it without having served: it was marked as surplus."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class CreationFailed:
    """The worker's resource could not be made; the worker is gone."""

    seat: Seat
    error: str


@dataclass(frozen=True, slots=True)
class WorkerRetiring:
    """The worker obeys a ``Retire`` and is about to destroy its resource."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerParked:
    """The worker obeys a ``Park``: it keeps its resource and takes no tasks."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerUnparked:
    """A worker that was parked takes tasks again."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerWorn:
    """The worker has reached a limit of recycling, or obeys a ``Renew``, and is about to destroy its resource, which is
    healthy."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A task failed and may be tried again: with an error that is blamed on the resource, which its worker is about to
    destroy unless it is ``kept``; or, if ``own``, with one of its own that ``RetryPolicy.retry_on`` names, and its worker
    serves on."""

    seat: Seat
    task: Any
    """The engine's own future of the task, which the action returns."""
    attempts: int
    once: bool
    cancelled: bool = False
    """Whether the task was cancelled while it ran, so that it must not run again."""
    own: bool = False
    age: float = 0.0
    """The seconds since it was submitted."""
    policy: RetryPolicy | None = None
    """The one of the task, in place of that of the plan."""
    kept: bool = False
    """Whether the resource is only to blame for now, and its worker serves on after a while."""
    timed_out: bool = False
    """Whether the error is a ``TimeoutError``, after which a retry costs more of a ``RetryBudget``."""
    harmed: int = 0
    """How many resources it has left unhealthy, this one included."""
    failure: Any = field(default=None, compare=False, repr=False)
    """The error, for those that are told of it."""


@dataclass(frozen=True, slots=True)
class DependencyDown:
    """``check_health`` has said that what resources depend on is down: none can be made for a while."""

    error: str
    begun: float
    """When the attempt began that has failed (the clock of ``now``)."""


@dataclass(frozen=True, slots=True)
class TaskSnoozed:
    """A task gives itself back for a while. Its worker serves on, and the attempt does not count."""

    seat: Seat
    task: Any
    seconds: float
    error: Any = None
    """The task's own, by which it has done so."""
    cancelled: bool = False
    """Whether the task was cancelled while it ran, so that it must not run again."""
    age: float = 0.0
    """The seconds since it was submitted."""
    policy: RetryPolicy | None = None
    """The one of the task, in place of that of the plan."""


@dataclass(frozen=True, slots=True)
class WorkerChecking:
    """The worker, which has no task, is about to have its resource checked, or reset by ``on_return``."""

    seat: Seat
    callback: str = "check_resource"


@dataclass(frozen=True, slots=True)
class WorkerChecked:
    """That has ended. The worker serves on if the resource is ``fit``, and is about to destroy it if not."""

    seat: Seat
    fit: bool


@dataclass(frozen=True, slots=True)
class WorkerUnhealthy:
    """A task obeyed its cancellation, which has left the worker's resource unhealthy. The task has its outcome, and the
    worker is about to destroy the resource."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class TaskOverdue:
    """A task has exceeded a limit and did not obey its cancellation. It has its outcome; the worker still runs it."""

    seat: Seat
    error: str


@dataclass(frozen=True, slots=True)
class WorkerReturned:
    """The overdue task of a worker has returned after all. The worker serves again."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """The worker has destroyed its resource and is gone."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker is gone without having destroyed its resource."""

    seat: Seat
    reason: str
    may_have_retired: bool = False
    """Whether something has interrupted it, perhaps in between obeying a ``Retire`` and reporting that."""


@dataclass(frozen=True, slots=True)
class AllBlocked:
    """Every worker runs a task that waits for another task of this manager."""

    workers: int


@dataclass(frozen=True, slots=True)
class PoolResourceLost:
    """A resource of ``run_task``'s pool was destroyed because it was unhealthy."""


@dataclass(frozen=True, slots=True)
class PoolRefilled:
    """The resource of a ``RefillPool`` was made."""


@dataclass(frozen=True, slots=True)
class PoolRefillFailed:
    """The resource of a ``RefillPool`` could not be made."""

    error: str


@dataclass(frozen=True, slots=True)
class CallerCreation:
    """A caller of ``run_task`` has tried to make a resource itself: without success, or while creations fail."""

    begun: float
    """When it began (the clock of ``now``)."""
    error: str | None
    """None: it has the resource."""


@dataclass(frozen=True, slots=True)
class PoolRenewed:
    """A ``RenewPool`` is done."""

    left: bool
    """Whether further outdated resources are idle."""
    made: bool = True
    """Whether a resource was made: not if none was left to be replaced."""


@dataclass(frozen=True, slots=True)
class PoolProbed:
    """A ``ProbePool`` has ended: nothing was due, or the resource is back in the pool, or it is gone."""

    next_at: float
    """When a resource is due (the clock of ``now``)."""


@dataclass(frozen=True, slots=True)
class PoolProbeStuck:
    """A ``ProbePool`` was given up before it has ended: the pool lacks its resource. Its ``PoolProbed`` follows if it ends."""


@dataclass(frozen=True, slots=True)
class PoolCurrent:
    """No resource of ``run_task`` is outdated any more, lent and temporary ones included."""


@dataclass(frozen=True, slots=True)
class PoolClosed:
    """The idle resources of ``run_task``'s pool were destroyed."""


@dataclass(frozen=True, slots=True)
class TaskWaits:
    """A task was queued while no worker is wanted."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A scaling decision is due."""

    load: Load
    scales: bool = True
    """Whether the policy is asked. If not, nothing is decided but what ``idle_timeout`` asks for."""


@dataclass(frozen=True, slots=True)
class Wakeup:
    """The moment that ``Supervisor.wakeup`` asked for has come."""


@dataclass(frozen=True, slots=True)
class Resized:
    """The user changed the bounds of the number of workers."""

    worker_count: int
    max_worker_count: int


@dataclass(frozen=True, slots=True)
class RefreshRequested:
    """The user wants every resource replaced by one that is made from now on; ``Refreshed`` follows, unless the manager ends
    before."""

    number: int
    """Which refresh it is, for the engine."""


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """No task is to start until a ``ResumeRequested``."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Tasks may start again."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """No task runs, and none starts during the pause that was requested."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A graceful stop was requested: no more tasks, but those that were accepted are run.

    ``deadline`` is when the stop becomes a kill (the clock of ``now``), or None; ``grace`` is how many seconds later
    workers that have not ended are abandoned; ``hand_back``: those that have not started are handed back instead.
    """

    reason: str
    deadline: float | None = None
    grace: float = 0.1
    hand_back: bool = False


@dataclass(frozen=True, slots=True)
class KillRequested:
    """A kill was requested: no more tasks, queued ones are dropped and running ones cancelled.

    ``deadline`` is when workers that have not ended are abandoned (the clock of ``now``), or None.
    """

    reason: str
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """Every accepted task has ended after a stop or kill, including those of ``run_task``."""


Event = (
    Started
    | WorkerReady
    | WorkerDropped
    | CreationFailed
    | WorkerRetiring
    | WorkerParked
    | WorkerUnparked
    | WorkerWorn
    | DependencyDown
    | WorkerChecking
    | WorkerChecked
    | WorkerUnhealthy
    | AttemptFailed
    | TaskSnoozed
    | TaskOverdue
    | WorkerReturned
    | WorkerEnded
    | WorkerDied
    | AllBlocked
    | PoolProbed
    | PoolProbeStuck
    | PoolResourceLost
    | PoolRefilled
    | PoolRefillFailed
    | CallerCreation
    | PoolRenewed
    | PoolCurrent
    | PoolClosed
    | TaskWaits
    | Tick
    | Wakeup
    | Resized
    | RefreshRequested
    | PauseRequested
    | ResumeRequested
    | Quiet
    | StopRequested
    | KillRequested
    | Drained
)
