"""The statistics and the final report of a manager. ``TaskStats()`` is all zeros, so that a stand-in can return one."""

from __future__ import annotations

from dataclasses import dataclass, field

from .attempt import HandedBack


@dataclass(frozen=True, slots=True)
class ResourceLedger:
    """The resources made since the start. ``created == destroyed + alive + lost`` holds at every moment. Immutable."""

    created: int = 0
    destroyed: int = 0
    alive: int = 0
    lost: int = 0
    """Resources that were not destroyed, because their process died first."""


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """Memory and processor time of the child process of one worker. Immutable."""

    worker: str
    pid: int
    rss: int
    """Resident memory, in bytes."""
    cpu_seconds: float
    """Processor time since the start of the process, in user and system mode, in seconds."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker at one moment, as ``manager.workers()`` returns it. Immutable."""

    name: str
    slot: int
    """As in ``WorkerInfo``, and so is ``generation``: each worker has one resource."""
    generation: int
    state: str
    """``"starting"`` while it makes its resource; ``"ready"``; ``"parked"`` while it keeps its resource and gets no tasks;
    ``"ending"`` while it destroys its resource; ``"stuck"``."""
    age: float | None = None
    """Seconds since its resource was made; None before that."""
    served: int = 0
    """Attempts that have ended with its resource."""
    task: str | None = None
    """The task that it runs, by number and function; None if it runs none."""
    task_seconds: float | None = None
    """Seconds since this attempt began; None if it runs none, or is stuck in one that has its outcome."""
    arguments: str | None = None
    """The arguments of that task, shortened, where they were asked for."""
    attempt: int = 0
    """Which attempt of the task this is; 0 if it runs none."""
    outdated: bool = False
    """Whether it is to end as soon as it has no task, to renew its resource."""
    cooling: bool = False
    """Whether it takes no task for a while, because ``check_health`` has returned ``Health.COOL_DOWN``."""
    process: ProcessUsage | None = None
    """What the process takes in which its resource lives, if it has one of its own."""
    progress: tuple[float, float | None] | None = None
    """What its task has last said by ``ctx.progress(done, total)``; None: nothing."""


@dataclass(frozen=True, slots=True)
class TaskStats:
    """A manager at one moment; what ``manager.stats()`` returns. Immutable.

    ``queued_tasks + priority_tasks + running_tasks + done_tasks == accepted_tasks`` holds at every moment. Totals count
    from the start of the manager. Tasks of ``run_task`` are included; they never wait.
    """

    base_workers: int = 0
    """Ready workers up to ``worker_count``."""
    active_workers: int = 0
    """Ready workers: base and burst."""
    burst_workers: int = 0
    """Ready workers beyond ``worker_count``."""
    queued_tasks: int = 0
    """Tasks of normal and low priority that wait to be started."""
    priority_tasks: int = 0
    """Tasks of high priority, and retries of any priority, that wait to be started."""
    delayed_tasks: int = 0
    """Tasks among these that wait for the time of their next attempt, see ``RetryPolicy`` and ``Snooze``. One that is
    cancelled meanwhile is counted for a second or so more."""
    refused_retries: int = 0
    """Retries that were not made because the ``RetryBudget`` of their policy had no tokens left, since the start."""
    snoozed_tasks: int = 0
    """How often tasks have given themselves back by ``Snooze``, since the start."""
    available_resources: int = 0
    """Idle resources in the pool of ``run_task``."""
    running_tasks: int = 0
    done_tasks: int = 0
    """Tasks that have their outcome: a result, an error or a cancellation."""
    accepted_tasks: int = 0
    paused: bool = False
    """Whether ``pause()`` holds the start of tasks; those that were running then may still be."""
    starting_workers: int = 0
    """Workers that are making their resource."""
    lost_workers: int = 0
    """Workers that ended without having destroyed their resource, since the start."""
    replaced_workers: int = 0
    """Workers that ended because their resource was unhealthy, since the start."""
    renewed_workers: int = 0
    """Workers that ended because their resource, which was healthy, had served its time, since the start."""
    outdated_workers: int = 0
    """Workers that start or serve and whose resource is of before the last ``refresh()``."""
    generation: int = 0
    """How many times ``refresh()`` was called. Not the generation of a worker, which ``WorkerInfo`` has."""
    abandoned_workers: int = 0
    """Workers that a kill left behind because user code did not return, and stuck ones that a stop did not wait for. The tasks
    that such a worker had in hand have their outcome, and count as running or queued until it returns."""
    parked_workers: int = 0
    """Workers that keep their resource and are given no tasks, while it is tried whether fewer workers do as much."""
    quarantined_tasks: int = 0
    """Tasks that ended with ``PoisonTask``, since the start; see ``Config.quarantine_after``."""
    stuck_workers: int = 0
    """Workers whose ``on_create`` or ``on_destroy`` has taken longer than ``create_timeout`` or ``destroy_timeout``, or that run
    a task which has ended with ``TaskTimeout``, and that have not returned yet."""
    cooling_workers: int = 0
    """Ready workers that take no task for a while, because ``check_health`` has returned ``Health.COOL_DOWN``."""
    timed_out_tasks: int = 0
    """Tasks that ended with ``TaskTimeout``, since the start."""
    resources: ResourceLedger = field(default_factory=ResourceLedger)
    failing_creations: int = 0
    """Creations in a row that failed, those at the same time counted once; 0 if the last one succeeded."""
    failed_creations: int = 0
    """Creations that failed, since the start: those that raised, took longer than ``create_timeout``, or were interrupted by a
    kill. ``resources.created`` counts those that succeeded."""
    creation_error: str | None = None
    """The error of the last failed creation, until one succeeds."""
    breaker: str = "closed"
    """The circuit breaker around creations: ``"closed"`` while they succeed; ``"open"`` while none is tried; ``"half-open"``
    while one is tried."""
    next_creation: float | None = None
    """Seconds until a creation is tried again, while they fail and a resource is missing; 0 if it is due or under way."""
    restart_alarm: bool = False
    """Whether workers are replaced more often than ``Config.restart_intensity`` says."""
    failed_checks: int = 0
    """Idle resources that were replaced because ``check_resource`` has returned False or raised, since the start."""
    user_errors: int = 0
    """Errors raised by callbacks, hooks, the logger and the collector, since the start."""
    processes: tuple[ProcessUsage, ...] = ()
    """With ``ProcessBackend``, the memory and processor time of each worker's process; otherwise empty."""


@dataclass(frozen=True, slots=True)
class StopReport:
    """How a manager ended; what ``manager.stop()`` and ``manager.kill()`` return. Immutable."""

    killed: bool
    """Whether it was killed, by ``kill()`` or because the timeout of ``stop()`` had passed."""
    killed_tasks: int
    """Accepted tasks whose outcome is ``TaskKilled``; so far, if the deadline of a kill came before all were ended: the rest of them
    follow at once."""
    abandoned: tuple[str, ...]
    """What was left behind because user code did not return: workers, each with its task; the pool of ``run_task``;
    callbacks that did not end; the supervisor, if the logger does not return to it."""
    seconds: float
    """From the call to the end of the manager, or to the deadline of a kill."""
    completed_tasks: int = 0
    """Tasks that ended with a result, since the start."""
    failed_tasks: int = 0
    """Tasks that ended with an error, since the start."""
    cancelled_tasks: int = 0
    """Tasks that ended cancelled, since the start; ``killed_tasks`` are among them."""
    stacks: tuple[str, ...] = ()
    """Where the abandoned workers were, as far as it is known: a name each, and the lines of the stack of its thread or
    coroutine."""
    leaked: tuple[str, ...] = ()
    """With ``Config(debug=True)``, the resources of this process that were not destroyed: whose each is, the function that made
    it, and the lines of the stack of the caller, if it is one of ``run_task``'s."""
    delayed_tasks: int = 0
    """Failed tasks that ended with their last error because the stop came before their next attempt: those of a policy with
    ``at_stop="report"``, and those that raised ``Snooze`` during the stop."""
    handed_back: tuple[HandedBack, ...] = ()
    """The tasks that ``stop(hand_back=True)`` has not run, most urgent first."""


@dataclass(slots=True)
class ShutdownCounts:
    """The counts of a ``StopReport``, while the manager ends. What is no list is written by the supervisor alone."""

    killed: list[None] = field(default_factory=list)
    """One for each killed task: workers count, too, and a step of a list is atomic without the GIL."""
    delayed_tasks: int = 0
    abandoned: list[str] = field(default_factory=list)
    """As ``StopReport.abandoned``."""
    stacks: list[str] = field(default_factory=list)
    """As ``StopReport.stacks``."""
    cut_off: int = 0
    """Workers that did not end by themselves and were ended by force (a child process, a coroutine): not abandoned."""
    handed_back: list[HandedBack] = field(default_factory=list)
    """As ``StopReport.handed_back``."""

    @property
    def killed_tasks(self) -> int:
        """As ``StopReport.killed_tasks``."""
        return len(self.killed)

    def add_killed(self) -> None:
        """Counts a killed task. Thread-safe."""
        self.killed.append(None)
