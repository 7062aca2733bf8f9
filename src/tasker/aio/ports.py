"""The narrow protocols that collaborators of the asyncio engine get in place of it. All methods belong to the loop's
thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context, RunTaskRoot
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.control.view import View
from tasker.control.workers import WorkerState
from tasker.core.counters import Counters
from tasker.core.hooks import Hooks
from tasker.core.limits import TimeLimits
from tasker.core.ports import CreationsPort
from tasker.core.quarantine import QuarantineRecord
from tasker.errors import ShutdownError
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import MetricsCollector

from .counters import AsyncShard
from .future import AsyncTaskFuture
from .queue import AsyncTaskQueue
from .queue_slots import AsyncQueueSlots
from .resource_handle import AsyncResourceMaker
from .slow_callbacks import SlowCallbacks
from .turns import TurnBudget
from .waits import AsyncWaitRegistry


class OffersOfWorkers(Protocol):
    """The part of ``Lending`` that workers and hooks use."""

    @property
    def offers(self) -> dict[asyncio.Future[None], Any]: ...
    @property
    def kept_out(self) -> set[asyncio.Task[Any] | None]: ...


class EngineInLoop(Protocol):
    """The part of the engine that all collaborators in the loop use."""

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one in which the engine was made."""
        ...

    @property
    def config(self) -> Config[Any]: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def lending(self) -> OffersOfWorkers: ...
    @property
    def door(self) -> Door: ...
    @property
    def killed(self) -> bool:
        """Whether no task may start any more."""
        ...

    @property
    def torn_down(self) -> bool:
        """Whether the loop is gone. An error is then the ``GeneratorExit`` of a coroutine that is being collected, and
        must be raised again: nothing can be awaited any more."""
        ...

    @property
    def thread_waits(self) -> set[asyncio.Future[Any]]:
        """What waits for functions in threads that may never return."""
        ...

    def report(self, event: ev.Event) -> None:
        """Passes an event to the supervisor, and carries out its actions."""

    def dependency_down(self, error: BaseException, begun: float) -> None:
        """Reports that ``check_health`` has said so of an error in an attempt that began at that moment."""

    def check_drained(self) -> None:
        """Has the supervisor check whether anything is still outstanding."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a coroutine of the library in a task of its own, which is kept until it ends."""

    def callback_fault(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        """Logs and counts an error that a callback raised."""


class GuardOfLoop(Protocol):
    """The part of ``LoopGuard`` that the resources of ``run_task`` use."""

    @property
    def lives(self) -> bool:
        """Whether the engine will learn that its loop ends."""
        ...


class EndingLoop(EngineInLoop, Protocol):
    """The part of the engine that tells when its loop ends."""

    @property
    def loop_ends(self) -> int:
        """How often all tasks of the loop were cancelled, as before it is closed."""
        ...


class EngineForResources(EndingLoop, CreationsPort, Protocol):
    """The part of the engine that the pool of ``run_task`` uses."""

    @property
    def maker(self) -> AsyncResourceMaker: ...
    @property
    def guard(self) -> GuardOfLoop: ...


class EngineForTasks(EngineForResources, Protocol):
    """The part of the engine that runs of tasks use, in a worker or by ``run_task``."""

    @property
    def collector(self) -> MetricsCollector | None: ...
    @property
    def hooks(self) -> Hooks: ...
    @property
    def root(self) -> Context:
        """The ancestor of the contexts of all tasks."""
        ...

    @property
    def run_task_root(self) -> RunTaskRoot:
        """The ancestor of the contexts of ``run_task``."""
        ...

    def shutdown_error(self) -> ShutdownError:
        """Returns the error for a task that is not accepted."""
        ...


class EngineForInlineTasks(EngineForTasks, Protocol):
    """The part of the engine that ``run_task`` uses."""

    @property
    def backend(self) -> object | None:
        """Where the resources live, if not in this process."""
        ...

    @property
    def refusal(self) -> str:
        """Why no task is accepted any more."""
        ...

    @property
    def closed(self) -> bool:
        """Whether no task is accepted any more."""
        ...

    @property
    def view(self) -> View: ...
    @property
    def limits(self) -> TimeLimits:
        """The time limits of tasks."""
        ...

    @property
    def quarantine(self) -> QuarantineRecord: ...
    @property
    def queue(self) -> AsyncTaskQueue: ...
    @property
    def workers(self) -> dict[ev.Seat, Any]: ...


class EngineForWorkers(EngineForInlineTasks, Protocol):
    """The part of the engine that a worker and its task runner use."""

    @property
    def slow_callbacks(self) -> SlowCallbacks: ...
    @property
    def queue_slots(self) -> AsyncQueueSlots | None: ...
    @property
    def turns(self) -> TurnBudget: ...
    @property
    def waits(self) -> AsyncWaitRegistry: ...
    def shard(self, slot: int) -> AsyncShard:
        """Returns the shard of a worker's slot."""
        ...

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """Reports that a worker could not get its resource."""

    def release_slot(self, future: AsyncTaskFuture[Any]) -> None:
        """Releases the slot of a task that no longer waits to be started."""


class OrderedWorker(Protocol):
    """The part of a worker that obeys orders of the queue."""

    state: WorkerState
    outdated: bool
    """Whether its resource is to be renewed."""

    @property
    def engine(self) -> EngineForWorkers: ...
    @property
    def seat(self) -> ev.Seat: ...
    @property
    def shard(self) -> AsyncShard: ...


class RunnerWorker(Protocol):
    """The part of a worker that its task runner uses."""

    context: Context | None
    waited: Any
    waits: bool

    @property
    def root(self) -> Context:
        """The parent of the contexts of its tasks."""
        ...

    @property
    def upkeep(self) -> object | None:
        """What is done with the resource between two tasks."""
        ...

    @property
    def engine(self) -> EngineForWorkers: ...
    @property
    def name(self) -> str: ...
    @property
    def shard(self) -> AsyncShard: ...
    @property
    def task(self) -> asyncio.Task[None]: ...
    @property
    def ordered(self) -> bool:
        """Whether there is an order for this worker."""
        ...

    @property
    def suspended(self) -> Any:
        """The awaitable of its task that is suspended, or None."""
        ...
