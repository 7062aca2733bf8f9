"""What collaborators of the threaded engine get in place of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context, RunTaskRoot
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.core.counters import Counters, Shard
from tasker.core.hooks import Hooks
from tasker.errors import ShutdownError
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import MetricsCollector

from .future import TaskFuture
from .host import Host
from .queue import TaskQueue
from .queue_slots import QueueSlots
from .resource_pool import ResourcePool
from .resources import ResourceMaker


class EngineForTasks(Protocol):
    """What running a task needs, in whichever way it is run."""

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
    def killed(self) -> bool:
        """Whether no task may start any more."""
        ...

    @property
    def put_event(self) -> Callable[[ev.Event], None]:
        """``report`` as one call of C, in which no signal can interrupt the caller."""
        ...

    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor. From any thread."""

    def check_drained(self) -> None:
        """Has the supervisor look whether anything is still outstanding."""


class EngineForWorkers(EngineForTasks, Protocol):
    """What a worker and its host need."""

    @property
    def queue(self) -> TaskQueue: ...
    @property
    def queue_slots(self) -> QueueSlots | None: ...
    @property
    def maker(self) -> ResourceMaker: ...
    @property
    def new_host(self) -> Callable[[Any], Host]:
        """Makes the host of a worker."""
        ...

    @property
    def finished(self) -> threading.Event:
        """Set once no event is handled any more."""
        ...

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """Reports that a worker could not get its resource."""

    def release_slot(self, future: TaskFuture[Any]) -> None:
        """Frees the slot of a task that waits no longer."""

    def drop(self, future: TaskFuture[Any]) -> None:
        """Ends a task that is not running as killed."""

    def drop_returned(self, future: TaskFuture[Any]) -> None:
        """Ends a task whose attempt failed as killed, if it was not decided already."""


class HostedWorker(Protocol):
    """What a host needs of the worker that drives it."""

    @property
    def engine(self) -> EngineForWorkers: ...
    @property
    def seat(self) -> ev.Seat: ...
    @property
    def name(self) -> str: ...
    @property
    def shard(self) -> Shard: ...
    def skip(self, future: TaskFuture[Any]) -> None:
        """Sees to a task that was taken from the queue and must not start."""

    def failed(self, future: TaskFuture[Any], error: BaseException, *, blameless: bool = False) -> bool:
        """Sees to a task that raised. False if the resource is to blame: then the host must serve no more."""
        ...

    def send_back(self, future: TaskFuture[Any], error: BaseException) -> None:
        """Leaves a task whose attempt failed unhealthily to the supervisor."""


class EngineForRunTask(EngineForTasks, Protocol):
    """What ``run_task`` needs."""

    @property
    def run_task_root(self) -> RunTaskRoot:
        """The ancestor of the contexts of ``run_task``."""
        ...

    @property
    def pool(self) -> ResourcePool: ...
    def shutdown_error(self) -> ShutdownError:
        """Returns the error of a task that is not accepted."""
        ...
