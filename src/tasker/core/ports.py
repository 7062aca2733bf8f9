"""Narrow protocols: what the collaborators of an engine get in place of the engine.

A collaborator that is given an engine can reach everything, and its reader has to know everything. Each protocol here
names the few things that one kind of collaborator uses, so a reader of ``waits`` or ``resource_pool`` needs no other file.
Attributes are read-only properties, which an engine's plain attributes satisfy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tasker.config import Config
from tasker.control import events as ev
from tasker.control.rates import SlidingRate
from tasker.control.view import View
from tasker.control.workers import WorkerState
from tasker.core.ages import Ages
from tasker.core.counters import Counters, Flow, Shard
from tasker.metrics.meter import Meter
from tasker.stats import ProcessUsage, ShutdownCounts


class Reports(Protocol):
    """Where events go."""

    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor."""


class CreationsPort(Reports, Protocol):
    """What those who make a resource for a caller of ``run_task`` need of an engine."""

    @property
    def view(self) -> View: ...
    @property
    def now(self) -> Callable[[], float]:
        """The clock of the events."""
        ...


class WorkerPort(Protocol):
    """What the engine core knows of a worker."""

    surplus: bool
    """Whether it is to end as soon as it has its resource."""
    outdated: bool
    """Whether it is to end as soon as it has no task, to renew its resource."""
    state: WorkerState
    overdue: str
    """The task that it runs although that has its outcome, in words; "" if it runs none."""
    made_at: float | None
    """When it had its resource (the clock of the events)."""
    served_before: int
    """What earlier workers have served in its slot."""

    @property
    def seat(self) -> ev.Seat: ...
    @property
    def name(self) -> str: ...
    @property
    def shard(self) -> Shard: ...
    @property
    def cooling(self) -> bool:
        """Whether its resource must not be used now, after ``Health.COOL_DOWN``."""
        ...

    def where(self, patience: float = 0.0) -> str:
        """Returns where its thread or coroutine is now, as the lines of a stack, or in words. ``patience``: the seconds that this
        may block, where another process has to be asked."""
        ...

    def show(self, tell: Callable[[str], object]) -> None:
        """As ``where``, but if that takes a while: ``tell`` gets it, at once or later, in a thread in which user code may run."""

    @property
    def checking(self) -> str:
        """The callback that checks or resets its resource now, if it may take so long only; "" if none does."""
        ...

    def give_up(self, *, creating: bool, checking: bool = False) -> None:
        """Has a stuck worker end: by force where that is possible, or as soon as its callback returns. ``creating``: it
        was making its resource, as far as is known. One that has it by now serves on. ``checking``: the same of a check."""

    def renew(self) -> None:
        """Has it end as soon as it has no task, and report ``WorkerWorn``. Harmless if it does not serve any more."""

    def cut_off(self) -> bool:
        """Ends whatever runs there by force, and the resource with it. False where that cannot be done."""

    def ahead(self) -> Sequence[Any]:
        """Returns the tasks that were sent ahead to where its resource lives, and wait there."""


class WaitsPort(Reports, Protocol):
    """What the search for deadlocks needs of an engine."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def view(self) -> View: ...
    @property
    def is_forked(self) -> bool: ...
    @property
    def refusal(self) -> str:
        """Why no task is accepted any more."""
        ...


class JudgedWaits(Protocol):
    """Which of an engine's workers wait, for what."""

    @property
    def moment(self) -> float | None:
        """When the waits have to be judged though nothing is reported (the clock of ``now``), or None."""
        ...

    def judge(self, now: float, *, tick: bool) -> None:
        """Looks for waits that would never end, and ends them with ``DeadlockError``. ``tick``: also in places where
        looking takes long."""


class AgingPool(Protocol):
    """The pool of ``run_task``, as far as a refresh concerns it."""

    @property
    def ages(self) -> Ages:
        """Of its resources, temporary ones included."""
        ...


class RemoteBackend(Protocol):
    """What an engine needs of a backend whose resources live elsewhere, apart from workers and resources."""

    def recall(self, future: Any) -> None:
        """If the task was sent ahead and has not begun, puts it back into the queue."""

    def recall_all(self) -> None:
        """Puts whatever was sent ahead, and has not begun, back into the queue."""

    def overtake(self, priority: int) -> None:
        """Takes back what was sent ahead and is less urgent than a task of that priority."""

    def cancel_all(self, cause: BaseException) -> None:
        """Cancels whatever runs there, tasks of ``run_task`` included."""

    def terminate_all(self) -> None:
        """Interrupts whatever runs in a session; every session then destroys its resource and ends."""

    def kill_all(self) -> None:
        """Ends every session at once."""

    def finish(self) -> None:
        """There will be no more sessions; releases what they had in common. Waits for code of the user's: the handlers and streams
        that show the output of processes."""

    def finish_apart(self) -> None:
        """The same in another thread, which the end of the engine waits for as far as it may."""

    def usage(self) -> tuple[ProcessUsage, ...]:
        """Returns what the sessions' processes take now."""


class ReportPort(Protocol):
    """What ``stats()`` is made of."""

    @property
    def counters(self) -> Counters: ...
    @property
    def view(self) -> View: ...
    @property
    def now(self) -> Callable[[], float]:
        """The clock of the events."""
        ...

    @property
    def workers(self) -> Mapping[ev.Seat, WorkerPort]: ...
    @property
    def urgent_tasks(self) -> int:
        """How many tasks of high priority wait."""
        ...

    @property
    def available_resources(self) -> int:
        """How many resources of ``run_task``'s pool are idle."""
        ...

    @property
    def run_task_meter(self) -> Meter:
        """What the calls of ``run_task`` measured."""
        ...

    @property
    def shutdown_counts(self) -> ShutdownCounts: ...
    @property
    def backend(self) -> RemoteBackend | None: ...


class MetricsPort(Protocol):
    """What ``metrics()`` is made of."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def run_task_meter(self) -> Meter:
        """What the calls of ``run_task`` measured."""
        ...

    @property
    def arrivals(self) -> SlidingRate: ...
    @property
    def completions(self) -> SlidingRate: ...
    def sample_rates(self, now: float) -> Flow:
        """Brings the two rates up to date."""
