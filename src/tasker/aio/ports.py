"""What collaborators of the asyncio engine get in place of it. All of it belongs to the loop's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context, RunTaskRoot
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.core.counters import Counters
from tasker.core.hooks import Hooks
from tasker.errors import ShutdownError
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import MetricsCollector

from .counters import AsyncShard
from .future import AsyncTaskFuture
from .queue import AsyncTaskQueue
from .queue_slots import AsyncQueueSlots
from .resource_handle import AsyncResourceMaker
from .slow_callbacks import SlowCallbacks
from .waits import AsyncWaitRegistry


class EngineInLoop(Protocol):
    """What whatever lives in the loop beside the engine needs."""

    @property
    def config(self) -> Config[Any]: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def log(self) -> GuardedLogger: ...
    @property
    def door(self) -> Door: ...
    @property
    def killed(self) -> bool:
        """Whether no task may start any more."""
        ...

    @property
    def torn_down(self) -> bool:
        """Whether an error is the ``GeneratorExit`` of a coroutine whose loop is gone: nothing can be awaited."""
        ...

    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor, and carries out what it decides."""

    def check_drained(self) -> None:
        """Has the supervisor look whether anything is still outstanding."""

    def spawn(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a coroutine of the library's own beside; it is kept until it ends."""

    def callback_fault(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        """Logs and counts what a callback raised."""


class EngineForResources(EngineInLoop, Protocol):
    """What the pool of ``run_task`` needs."""

    @property
    def maker(self) -> AsyncResourceMaker: ...


class EngineForTasks(EngineForResources, Protocol):
    """What running a task needs, in whichever way it is run."""

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

    async def healthy(self, error: BaseException) -> bool:
        """Asks ``check_health``."""
        ...

    def shutdown_error(self) -> ShutdownError:
        """Returns the error of a task that is not accepted."""
        ...


class EngineForWorkers(EngineForTasks, Protocol):
    """What a worker and its task runner need."""

    @property
    def refusal(self) -> str:
        """Why no task is accepted any more."""
        ...

    @property
    def slow_callbacks(self) -> SlowCallbacks: ...
    @property
    def queue(self) -> AsyncTaskQueue: ...
    @property
    def queue_slots(self) -> AsyncQueueSlots | None: ...
    @property
    def waits(self) -> AsyncWaitRegistry: ...
    def shard(self, slot: int) -> AsyncShard:
        """Returns the shard of a worker's slot."""
        ...

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """Reports that a worker could not get its resource."""

    def release_slot(self, future: AsyncTaskFuture[Any]) -> None:
        """Frees the slot of a task that waits no longer."""


class RunnerWorker(Protocol):
    """What a task runner needs of the worker that it belongs to."""

    context: Context | None
    waited: Any
    waits: bool

    @property
    def engine(self) -> EngineForWorkers: ...
    @property
    def name(self) -> str: ...
    @property
    def shard(self) -> AsyncShard: ...
    @property
    def task(self) -> asyncio.Task[None]: ...
    @property
    def runner(self) -> Any: ...
    def waits_for(self) -> list[Any]:
        """Returns what the task that runs there waits for, as far as it can be seen."""
        ...

    def interrupt(self) -> None:
        """Throws ``CancelledError`` into what runs there, where it can be done."""
