"""The narrow protocols that collaborators of the threaded engine get in place of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context, RunTaskRoot
from tasker.control import events as ev
from tasker.control.health import Health
from tasker.control.lifecycle import Door
from tasker.control.view import View
from tasker.control.workers import WorkerState
from tasker.core.counters import Counters, Shard
from tasker.core.flag import Flag
from tasker.core.hooks import Hooks
from tasker.core.identity import WorkerContext
from tasker.core.inline_tries import InlineTries
from tasker.core.limits import TimeLimits
from tasker.core.quarantine import QuarantineRecord
from tasker.errors import ShutdownError, WorkerLost
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import MetricsCollector

from .future import TaskFuture
from .future_log import Ending
from .hold import TaskHold
from .host import Host
from .queue import TaskQueue
from .queue_slots import QueueSlots
from .renewals import Renewals
from .resource_pool import ResourcePool
from .resources import ResourceMaker


class HelpedEngine(Protocol):
    """The part of the engine that its helper threads use."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def door(self) -> Door: ...
    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one in which the engine was made."""
        ...

    def check_drained(self) -> None:
        """Has the supervisor check whether anything is still outstanding. Thread-safe."""


class ThreadEngineForTasks(Protocol):
    """The part of the engine that runs of tasks use, in a worker or by ``run_task``."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def collector(self) -> MetricsCollector | None: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def root(self) -> Context:
        """The ancestor of the contexts of all tasks."""
        ...

    @property
    def door(self) -> Door: ...
    @property
    def closed(self) -> bool:
        """Whether no task is accepted any more."""
        ...

    @property
    def killed(self) -> bool:
        """Whether no task may start any more."""
        ...

    @property
    def put_event(self) -> Callable[[ev.Event], None]:
        """Does what ``report`` does as one call of C, which no signal handler can interrupt."""
        ...

    def report(self, event: ev.Event) -> None:
        """Passes an event to the supervisor. Thread-safe."""

    def dependency_down(self, error: BaseException, begun: float) -> None:
        """Reports that ``check_health`` has said so of an error in an attempt that began at that moment. Thread-safe."""

    def check_drained(self) -> None:
        """Has the supervisor check whether anything is still outstanding. Thread-safe."""


class ThreadEngineForWorkers(ThreadEngineForTasks, Protocol):
    """The part of the engine that a worker and its host use."""

    @property
    def queue(self) -> TaskQueue: ...
    @property
    def alert(self) -> bool:
        """Whether workers have to look, after each task, whether they go on as before."""
        ...

    @property
    def renewals(self) -> Renewals: ...
    def attend(self) -> None:
        """Sets ``alert``. Called by the supervisor's thread."""

    @property
    def queue_slots(self) -> QueueSlots | None: ...
    @property
    def hold(self) -> TaskHold: ...
    @property
    def maker(self) -> ResourceMaker: ...
    @property
    def new_host(self) -> Callable[[Any], Host]:
        """Makes the host of a worker."""
        ...

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one in which the engine was made."""
        ...

    @property
    def finished(self) -> Flag:
        """Is set once the supervisor handles no more events."""
        ...

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """Reports that a worker could not get its resource."""

    def ended_in_queue(self, future: TaskFuture[Any], ending: Ending) -> None:
        """Counts a task that ended while no attempt ran, unless it was counted."""

    def release_slot(self, future: TaskFuture[Any]) -> None:
        """Releases the slot of a task that no longer waits to be started."""

    def drop(self, future: TaskFuture[Any]) -> None:
        """Ends a task that is not running as killed."""

    def drop_returned(self, future: TaskFuture[Any]) -> None:
        """Ends a task whose attempt failed as killed, unless the supervisor has decided about it already."""


class HostedWorker(Protocol):
    """The part of a worker that its host uses."""

    state: WorkerState
    overdue: str
    """The task that it runs although that has its outcome, in words."""
    outdated: bool
    """Whether its resource is to be renewed."""
    tends: bool
    """Whether it runs ``on_return`` or ``check_resource``. It looks at ``outdated`` after that."""
    cools_until: float
    """Until when its resource must not be used, after ``Health.COOL_DOWN``; 0: it may be."""

    @property
    def engine(self) -> ThreadEngineForWorkers: ...
    @property
    def seat(self) -> ev.Seat: ...
    @property
    def name(self) -> str: ...
    @property
    def root(self) -> WorkerContext:
        """The parent of the contexts of its tasks."""
        ...

    @property
    def shard(self) -> Shard: ...
    def skip(self, future: TaskFuture[Any]) -> None:
        """Drops a task that was taken from the queue and must not start."""

    def succeeded(self, future: TaskFuture[Any], value: Any) -> None:
        """Ends a task with its result."""

    def failed(self, future: TaskFuture[Any], error: BaseException, *, blameless: bool = False) -> Health:
        """Handles a task that raised. Returns what that says of the resource: whether the host must stop serving, or first
        call ``cool_down``."""
        ...

    def probe(self, check: Callable[[], bool], callback: str = "check_resource") -> bool:
        """Has the resource checked, or reset, by the ``callback`` while no task runs. Returns whether the worker may go on; if
        not, the supervisor knows."""
        ...

    def cool_down(self, interrupted: Callable[[], bool] = bool) -> bool:
        """Waits until the resource may be used again, the manager ends, or ``interrupted()``. Returns False if it was ordered
        to retire meanwhile, and has reported that."""
        ...

    def send_back(self, future: TaskFuture[Any], error: BaseException) -> None:
        """Leaves the decision about a task whose attempt failed unhealthily to the supervisor."""

    def lose(self, future: TaskFuture[Any], lost: WorkerLost) -> None:
        """Ends the current task, which is counted as done, after a fault."""


class ThreadEngineForRunTask(ThreadEngineForTasks, Protocol):
    """The part of the engine that ``run_task`` uses."""

    @property
    def now(self) -> Callable[[], float]:
        """The clock of the events."""
        ...

    @property
    def help(self) -> Callable[[Callable[[], None], str, str], threading.Thread]:
        """Starts a thread that a stop waits for, with a name, and one for what it does in messages."""
        ...

    @property
    def run_task_root(self) -> RunTaskRoot:
        """The ancestor of the contexts of ``run_task``."""
        ...

    @property
    def pool(self) -> ResourcePool: ...
    @property
    def limits(self) -> TimeLimits:
        """The time limits of tasks."""
        ...

    @property
    def view(self) -> View: ...
    @property
    def quarantine(self) -> QuarantineRecord: ...
    @property
    def refusal(self) -> str:
        """Why no task is accepted any more."""
        ...

    def limited_inline(self, tries: InlineTries) -> Callable[..., Any]:
        """Returns what is called for a task of ``run_task`` that has limits."""
        ...

    def pause_caller(self, tries: InlineTries) -> None:
        """Has the calling thread wait for the time of its next attempt."""

    def shutdown_error(self) -> ShutdownError:
        """Returns the error for a task that is not accepted."""
        ...
