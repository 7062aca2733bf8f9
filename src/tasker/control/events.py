"""What happens: the events that engines report to the supervisor.

Every long action (create, run, destroy) reports exactly one of them, with the worker's ``Seat``, so what comes late,
after a kill or from a predecessor, is recognised and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Seat(NamedTuple):
    """A worker: the slot that names it, and which of the slot's successive workers it is."""

    slot: int
    generation: int


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the data plane is at one moment: what goes through the queue, without the tasks of ``run_task``."""

    queued: int
    running: int
    arrived: int
    """Tasks accepted since the start."""
    ended: int
    """Tasks that have their outcome, since the start."""
    oldest_wait: float = 0.0
    """Seconds for which the first task of the queue has waited."""


@dataclass(frozen=True, slots=True)
class Started:
    """The manager begins: base workers are wanted."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """The worker's resource was made."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class CreationFailed:
    """The worker's resource could not be made; the worker is gone."""

    seat: Seat
    error: str


@dataclass(frozen=True, slots=True)
class WorkerRetiring:
    """The worker took a ``Retire`` and is going to destroy its resource."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerWorn:
    """The worker has served its time and is going to destroy its resource, with which nothing is wrong."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A task failed with an error that is the resource's fault. Its worker is going to destroy the resource."""

    seat: Seat
    task: object
    """The engine's own handle of the task; given back in the action."""
    attempts: int
    once: bool
    cancelled: bool = False
    """Whether it was cancelled while it ran: then it is not wanted any more."""


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """The worker's resource is destroyed and the worker is gone."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """The worker is gone without having destroyed its resource."""

    seat: Seat
    reason: str


@dataclass(frozen=True, slots=True)
class AllBlocked:
    """Every worker runs a task that waits for another task of this manager."""

    workers: int


@dataclass(frozen=True, slots=True)
class PoolResourceLost:
    """A resource of ``run_task``'s pool was destroyed because it was unhealthy."""


@dataclass(frozen=True, slots=True)
class PoolRefilled:
    """A ``RefillPool`` has made its resource."""


@dataclass(frozen=True, slots=True)
class PoolRefillFailed:
    """A ``RefillPool`` could not make its resource."""

    error: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time for a scaling decision."""

    load: Load


@dataclass(frozen=True, slots=True)
class Wakeup:
    """The moment that ``Supervisor.wakeup`` asked for has come."""


@dataclass(frozen=True, slots=True)
class Resized:
    """The user changed the bounds of the number of workers."""

    worker_count: int
    max_worker_count: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """No more tasks; run what was accepted. ``deadline``: when to kill (the clock of ``now``), or None; ``grace``:
    seconds from then on to leave behind what has not noticed."""

    reason: str
    deadline: float | None = None
    grace: float = 0.1


@dataclass(frozen=True, slots=True)
class KillRequested:
    """No more tasks; drop what waits, cancel what runs. ``deadline``: when to leave behind what still runs, or
    None."""

    reason: str
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """After a stop or kill: every accepted task has ended, those of ``run_task`` included."""


Event = (
    Started
    | WorkerReady
    | CreationFailed
    | WorkerRetiring
    | WorkerWorn
    | AttemptFailed
    | WorkerEnded
    | WorkerDied
    | AllBlocked
    | PoolResourceLost
    | PoolRefilled
    | PoolRefillFailed
    | Tick
    | Wakeup
    | Resized
    | StopRequested
    | KillRequested
    | Drained
)
