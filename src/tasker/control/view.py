"""What goes into the supervisor at its start, and what others may know of it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from .creation import BreakerState
from .journal import ScalingDecision
from .lifecycle import Phase
from .retries import RetryPolicy
from .scaling import Decision, RatePolicy, ScalingPolicy, Snapshot


@dataclass(frozen=True, slots=True)
class Plan:
    """The part of ``Config`` that decisions depend on."""

    worker_count: int
    max_worker_count: int
    max_retries: int = 3
    scales: bool = True
    ready_timeout: float | None = None
    create_timeout: float | None = None
    destroy_timeout: float | None = None
    check_timeout: float | None = None
    return_timeout: float | None = None
    max_stuck_workers: int = 0
    slots: int | None = None
    """How many slots there are; None: as many as are needed."""
    creation_backoff: float = 0.1
    restart_intensity: tuple[int, float] | None = None
    """How many workers may end otherwise than planned, and in how many seconds, before there is an alarm."""
    fails_fast: bool = False
    """Whether tasks fail while no worker is ready and creations fail."""
    policy: ScalingPolicy = field(default_factory=RatePolicy)
    target_wait: float = 0.1
    has_pool: bool = False
    """Whether ``run_task`` has a pool of resources."""
    probe_interval: float | None = None
    """After how many seconds an idle resource of that is checked; None: never."""
    interrupts: bool = False
    """Whether tasks that run can be interrupted by force, and their resources destroyed all the same."""
    max_memory: float | None = None
    idle_timeout: float | None = None
    retry: RetryPolicy | None = None
    quarantine_after: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What others may know of the supervisor's state: an immutable snapshot."""

    phase: Phase
    awaits_drain: bool
    """Whether a ``Drained`` is due once nothing is outstanding."""
    awaits_quiet: bool
    """Whether a ``Quiet`` is due once nothing runs."""
    starting: int
    ready: int
    ending: int
    retiring: int
    """Ready or starting workers that have to end as soon as they can."""
    base: int
    """``worker_count`` as it is now; ready workers beyond it are burst workers."""
    most: int
    """``max_worker_count`` as it is now."""
    may_grow: bool
    """Whether a further worker may be made before one of the ready ones ends."""
    lost: int
    replaced: int
    renewed: int
    abandoned: int
    stuck: int
    """Workers that have been making or destroying their resource for too long."""
    parked: int
    """Workers that keep their resource and take no tasks, while it is tried whether fewer do as much."""
    refused_retries: int
    """Retries that a ``RetryBudget`` could not pay for."""
    delayed: int
    """Tasks that wait for the time of their next attempt."""
    failing_creations: int
    """Rounds of creations in a row that failed."""
    failed_creations: int
    """Creations that failed, since the start."""
    creation_error: str | None
    target: int
    """How many workers there should be."""
    active: bool
    """Whether workers are wanted at all: not before the start and after the end."""
    latest: Decision | None
    """What the policy said at the last tick."""
    snapshot: Snapshot | None
    """What it said that on."""
    decisions: tuple[ScalingDecision, ...]
    """The last changes of the target."""
    generation: int = 0
    """How many refreshes were requested."""
    outdated: int = 0
    """Workers that start or serve and whose resource is of before the last refresh."""
    awaits_pool: bool = False
    """Whether a ``PoolCurrent`` is due once no resource of ``run_task`` is outdated."""
    next_creation: float | None = None
    """When a creation is tried again (the clock of the events), while creations fail and a resource is missing."""
    breaker: BreakerState = BreakerState.CLOSED
    dependency_down: bool = False
    """Whether a task has found out that what resources depend on is down."""
    callers_probe_at: float | None = None
    """When a caller of ``run_task`` may try to make a resource, while creations fail and nothing else is missing."""
    caller_creations: int = 0
    """The creations that callers of ``run_task`` have reported, since the start."""
    restart_alarm: bool = False
    """Whether workers end otherwise than planned more often than is usual."""
    in_vain: str | None = None
    """Why a task that is submitted now fails at once; None: it is queued."""
