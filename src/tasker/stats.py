"""What a manager shows of itself: immutable, typed, and all zeros by default so that a stand-in can return one."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ResourceLedger:
    """Every resource ever made: ``created == destroyed + alive + lost``, at every moment."""

    created: int = 0
    destroyed: int = 0
    alive: int = 0
    lost: int = 0
    """Gone without having been destroyed, because their process died."""


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """What the child process of one worker takes."""

    worker: str
    pid: int
    rss: int
    """Resident memory in bytes."""
    cpu_seconds: float
    """Processor time since its start, in user and system mode."""


@dataclass(frozen=True, slots=True)
class TaskStats:
    """A manager at one moment. ``queued_tasks + priority_tasks + running_tasks + done_tasks == accepted_tasks``,
    always."""

    base_workers: int = 0
    """Ready workers up to ``worker_count``."""
    active_workers: int = 0
    """Ready workers: base and burst."""
    burst_workers: int = 0
    """Ready workers beyond ``worker_count``."""
    queued_tasks: int = 0
    """Tasks that wait, those of high priority not included."""
    priority_tasks: int = 0
    """Tasks of high priority that wait, retries included."""
    available_resources: int = 0
    """Idle resources in the pool of ``run_task``."""
    running_tasks: int = 0
    done_tasks: int = 0
    """Tasks that have their outcome: a result, an error or a cancellation."""
    accepted_tasks: int = 0
    starting_workers: int = 0
    """Workers that make their resource."""
    lost_workers: int = 0
    """Workers that ended without having destroyed their resource."""
    replaced_workers: int = 0
    """Workers that ended because their resource was unhealthy."""
    abandoned_workers: int = 0
    """Workers that a kill left behind, stuck in user code."""
    resources: ResourceLedger = field(default_factory=ResourceLedger)
    failing_creations: int = 0
    """How many creations in a row have failed; 0 when the last one succeeded."""
    creation_error: str | None = None
    """The last failed creation's error, until one succeeds."""
    user_errors: int = 0
    """How often a callback, hook, logger or collector raised."""
    processes: tuple[ProcessUsage, ...] = ()
    """With ``ProcessBackend``: what the workers' processes take."""


@dataclass(frozen=True, slots=True)
class StopReport:
    """How a manager ended."""

    killed: bool
    """Whether it was killed, or ``stop(timeout)`` had to."""
    killed_tasks: int
    """Tasks that had been accepted and ended with ``TaskKilled``."""
    abandoned: tuple[str, ...]
    """Workers that were left behind in user code that did not return, each with its task."""
    seconds: float
    """From the request to the end."""


@dataclass(slots=True)
class ShutdownCounts:
    """What the end of a manager has cost, as far as it has come."""

    killed_tasks: int = 0
    abandoned: list[str] = field(default_factory=list)
    """Workers left behind in user code, each with what it was doing."""
    cut_off: int = 0
    """Workers that were ended by force."""
