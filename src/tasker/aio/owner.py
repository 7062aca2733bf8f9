"""The engine as the owner of futures: how tasks are ended that no worker ends, and what the supervisor decides of them.

Everything happens in the loop's thread, so a task's ``_stage`` says whether there is anything left to end.
"""

from __future__ import annotations

import abc
import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from time import monotonic
from typing import Any

from tasker.config import Config
from tasker.control.lifecycle import DoorMove
from tasker.core.checks import check_queue_timeout
from tasker.core.engine import EngineCore
from tasker.errors import TaskKilled
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.options import Priority

from .callbacks import Callbacks
from .counters import AsyncShard
from .future import QUEUED, RUNNING, AsyncTaskFuture
from .queue import AsyncTaskQueue
from .queue_slots import AsyncQueueSlots
from .worker import AsyncWorker


class AsyncFutureOwner(EngineCore[AsyncWorker], abc.ABC):
    """See the module's docstring. Implements ``future.LoopOwner``, and of ``effects.Driver`` what is about tasks."""

    def __init__(self, config: Config[Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config)
        self.loop: asyncio.AbstractEventLoop = loop
        self.queue: AsyncTaskQueue = AsyncTaskQueue()
        self.queue_slots: AsyncQueueSlots | None = None
        if config.max_queue_size is not None:
            self.queue_slots = AsyncQueueSlots(self, config.max_queue_size)
        self.callbacks: Callbacks = Callbacks(self)
        self._errands: set[asyncio.Task[None]] = set()

    def spawn(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a coroutine of the library's own beside; it is kept until it ends."""
        task = self.loop.create_task(errand, name=f"{self.config.name}-{name}", context=contextvars.Context())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    @property
    def torn_down(self) -> bool:
        """Whether an error is not the user's but the ``GeneratorExit`` of a coroutine whose loop is gone: nothing can
        be awaited any more."""
        return not self.loop.is_running()

    @property
    def levels(self) -> Sequence[Sequence[Any]]:
        """See ``EngineCore``."""
        return self.queue.levels

    def shard(self, slot: int) -> AsyncShard:
        """Returns the shard of a worker's slot."""
        shard = self.counters.shards.setdefault(slot, AsyncShard())
        assert isinstance(shard, AsyncShard)
        return shard

    # -- for submit -----------------------------------------------------------------------------------------------

    def level(self, priority: int) -> Callable[[AsyncTaskFuture[Any]], None]:
        """Returns what appends a task of this priority; raises ``ValueError`` for what is no priority."""
        try:
            return self.queue.levels[Priority(priority)].append
        except ValueError:
            raise ValueError(f"priority must be one of {', '.join(map(str, Priority))}, got {priority!r}") from None

    def admit(self, timeout: float | None, has_slot: bool) -> None:
        """Asks for whatever ``submit`` needs before it may queue; raises ``QueueFull`` or ``ShutdownError``."""
        if self.door:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is not None and not has_slot:
            self.queue_slots.take()
        self.hooks.arrival()

    async def acquire_slot(self, timeout: float | None) -> bool:
        """Waits for a slot of a bounded queue; False where it is not bounded."""
        if self.door:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is None:
            return False
        await self.queue_slots.acquire(timeout)
        if self.door:
            raise self.shutdown_error()
        return True

    def release_slot(self, future: AsyncTaskFuture[Any]) -> None:
        """Frees the slot of a task that waits no longer. A task that is to be retried has none."""
        extra = future._extra
        if self.queue_slots is not None and not future.sent_back and not (extra and extra.slot_released):
            self.queue_slots.release()

    # -- future.LoopOwner -----------------------------------------------------------------------------------------

    def ended_in_queue(self, future: AsyncTaskFuture[Any]) -> None:
        """See ``LoopOwner``."""
        if future.cancelled():
            self.counters.note("ended_in_queue", "cancelled_in_queue")
        else:
            self.counters.note("ended_in_queue")
            now = future._finished_at = monotonic()
            started = getattr(future, "_started_at", now)
            self.hooks.failure(TaskLifecycleTimestamps(future._queued_at, started, now))
        self.release_slot(future)
        self.queue.discard(future)
        if self.door:
            self.check_drained()

    def interrupt(self, future: AsyncTaskFuture[Any], cause: BaseException) -> None:
        """See ``LoopOwner``: cancels its context, and the task itself where that can be done."""
        future.extra().cancel_requested = True
        for worker in list(self.workers.values()):
            if worker.shard.future is future:
                try:
                    if worker.context is not None:
                        worker.context.cancel(cause)
                finally:
                    worker.interrupt()

    def callback_fault(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        """See ``LoopOwner``."""
        self.log.fault(f"callback of task #{future.id}", error)

    def outstanding(self) -> bool:
        """See ``EngineCore``: a stop waits for asynchronous callbacks, too."""
        return len(self.callbacks) > 0 or super().outstanding()

    # -- tasks that an attempt has left behind --------------------------------------------------------------------

    def claim(self, task: AsyncTaskFuture[Any]) -> BaseException | None:
        """See ``Driver``."""
        if task._stage != QUEUED:
            return None
        extra = task.extra()
        failure, extra.failure = extra.failure, None
        return failure

    def returned(self, task: AsyncTaskFuture[Any]) -> bool:
        """See ``Driver``. It counts as queued since its worker sent it back, and was wanted then."""
        return True

    def enqueue(self, task: AsyncTaskFuture[Any], priority: Priority) -> None:
        """See ``Driver``."""
        self.queue.put(task, priority)
        if self.backend is not None:
            self.backend.overtake(priority)

    def fail_returned(self, task: AsyncTaskFuture[Any], error: BaseException) -> None:
        """See ``Driver``."""
        self.fail_queued(task, error)

    def drop_returned(self, task: AsyncTaskFuture[Any]) -> None:
        """See ``Driver``."""
        self.drop(task)

    # -- tasks that wait ------------------------------------------------------------------------------------------

    def waiting(self) -> list[AsyncTaskFuture[Any]]:
        """See ``Driver``."""
        return self.queue.waiting()

    def fail_queued(self, task: AsyncTaskFuture[Any], error: BaseException) -> None:
        """See ``Driver``."""
        if task._stage == QUEUED:
            task.extra().ended_waiting = True
            task._end_error(error)
            self.ended_in_queue(task)

    def take_queued(self) -> list[AsyncTaskFuture[Any]]:
        """See ``Driver``."""
        self.move_door(DoorMove.KILL, self.refusal)
        return self.queue.take_all()

    def drop(self, task: AsyncTaskFuture[Any]) -> None:
        """See ``Driver``."""
        if task._stage == QUEUED:
            self.shutdown_counts.killed_tasks += 1
            task.extra().ended_waiting = True
            error = TaskKilled(f"{task.label} was killed before it started: {self.refusal}")
            task._end_error(error, cancelled=True)
            self.ended_in_queue(task)

    def abandon(self, task: AsyncTaskFuture[Any], error: TaskKilled) -> bool:
        """See ``Driver``."""
        if task._stage != RUNNING:
            return False
        task._end_error(error, cancelled=True)
        return True

    def abandon_callbacks(self) -> list[str]:
        """See ``Driver``."""
        return self.callbacks.abandon()
