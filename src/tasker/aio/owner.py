"""The part of the engine that owns futures: it ends tasks that no worker ends, and carries out the supervisor's
decisions about tasks.

Everything happens in the loop's thread, so the ``_stage`` of a task decides whether it can still be ended.
"""

from __future__ import annotations

import abc
import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from tasker.attempt import HandedBack, Quarantined
from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.attempts import Verdict
from tasker.control.lifecycle import DoorMove
from tasker.core.checks import check_queue_timeout
from tasker.core.engine import EngineCore
from tasker.core.history import after, forget_frames
from tasker.core.limited_calls import given, loop_call
from tasker.core.limited_task import limits_of
from tasker.errors import TaskHandedBack, TaskKilled, TaskTimeout
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.options import Priority

from .callbacks import Callbacks
from .counters import AsyncShard
from .future import ENDED, QUEUED, RUNNING, AsyncTaskFuture
from .hooks import after_quarantine
from .lending import Lending
from .queue import AsyncTaskQueue
from .queue_slots import AsyncQueueSlots
from .slow_callbacks import SlowCallbacks
from .stack_room import check_room
from .tasks import start_duty
from .turns import TurnBudget
from .worker import AsyncWorker


class AsyncFutureOwner(EngineCore[AsyncWorker], abc.ABC):
    """Implements ``future.LoopOwner``, and the methods of ``driver.Driver`` that concern tasks."""

    def __init__(self, config: Config[Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config)
        self.loop: asyncio.AbstractEventLoop = loop
        self.queue: AsyncTaskQueue = AsyncTaskQueue()
        self.queue_slots: AsyncQueueSlots | None = None
        if config.max_queue_size is not None:
            self.queue_slots = AsyncQueueSlots(self, config.max_queue_size)
        self.turns: TurnBudget = TurnBudget(loop, self.workers)
        self.slow_callbacks: SlowCallbacks = SlowCallbacks(config.slow_callback, self.log)
        self.lending: Lending = Lending(self, self.counters.numbers.endless())
        self.callbacks: Callbacks = Callbacks(self)
        self.empties: bool = False
        """Whether the queue is being emptied, as a kill does too: without a search for each task."""
        self.must_admit: bool = self.must_admit or config.when_unavailable == "fail" or not config.worker_count
        self._fails_soon = False
        self._background_tasks: set[asyncio.Task[None]] = set()
        self.thread_waits: set[asyncio.Future[Any]] = set()
        """What waits for functions in threads that may never return."""
        self.given_up: bool = False
        """Whether some of these were given up, as the loop ends."""

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a coroutine of the library in a task of its own."""
        # It is kept until it ends, because the loop itself has only weak references to its tasks.
        task = start_duty(self.loop, coroutine, f"{self.config.name}-{name}")
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    @property
    def torn_down(self) -> bool:
        """Whether the loop is gone. An error is then the ``GeneratorExit`` of a coroutine that is being collected, not
        the user's, and nothing can be awaited any more. Or it is about to be, and the error tells what waited for a thread
        that this is given up."""
        return self.given_up or not self.loop.is_running()

    @property
    def urgent_tasks(self) -> int:
        """See ``ReportPort``."""
        return self.queue.count(Priority.HIGH)

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

    def level(self, priority: int) -> deque[AsyncTaskFuture[Any]]:
        """Returns the level of this priority. Raises ``ValueError`` if it is not a priority."""
        # Not ``Priority(priority)``, which also accepts True and 2.0.
        if isinstance(priority, int) and not isinstance(priority, bool) and int(priority) in list(Priority):
            return self.queue.levels[priority]
        raise ValueError(f"priority must be one of {', '.join(map(str, Priority))}, got {priority!r}")

    def admit(self, timeout: float | None) -> bool:
        """Acquires what ``submit`` needs before it may queue a task. Returns whether that has a slot. Raises ``ShutdownError`` if
        the door is closed, and ``QueueFull`` if there is no slot."""
        if self.closed:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        check_room()
        if self.queue_slots is not None:
            self.queue_slots.check()
        self.hooks.arrival()
        if not self.view.target:
            self.report(ev.TaskWaits())  # the worker begins in a later turn of the loop, when the task is in the queue
        if self.view.in_vain is not None and not self._fails_soon:
            # Not now: the task is not in the queue yet.
            self._fails_soon = True
            self.loop.call_soon(self._fail_in_vain)
        if self.queue_slots is not None:
            self.queue_slots.take()  # last: Ctrl-C that strikes before it has nothing to give back
        return self.queue_slots is not None

    def unsubmitted(
        self, future: AsyncTaskFuture[Any] | None, level: deque[AsyncTaskFuture[Any]], has_slot: bool
    ) -> None:
        """Takes back the number and the slot, if any, of a ``submit`` that failed or was interrupted, unless it has queued its
        task."""
        if future is not None and future in level:
            self.keep_deadline(future)  # this and the next line perhaps for the second time, which does no harm
            self.queue.wake()
            return
        if has_slot and self.queue_slots is not None:
            self.queue_slots.release()
        if hasattr(future, "id"):
            self.counters.note("refused")
            # A stop counts this number as an outstanding task; it may be the last one.
            self.check_drained()

    def _fail_in_vain(self) -> None:
        self._fails_soon = False
        self.report(ev.Wakeup())

    def keep_workers(self, count: int) -> None:
        """See ``EngineCore``."""
        self.must_admit = self.must_admit or not count

    async def acquire_slot(self, timeout: float | None) -> bool:
        """Waits for a slot of the queue. Returns False if the queue is not bounded. Raises ``QueueFull`` if there is
        none within ``timeout`` seconds, and ``ShutdownError`` if the door is or gets closed."""
        if self.closed:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is None:
            return False
        await self.queue_slots.acquire(timeout)
        if self.closed:
            raise self.shutdown_error()
        return True

    def release_slot(self, future: AsyncTaskFuture[Any]) -> None:
        """Releases the slot of a task that no longer waits to be started."""
        # Computed from what is recorded anyway: a task has released its slot if an attempt has ended, or it was taken
        # from the queue and put back.
        extra = future._extra
        if self.queue_slots is not None and not future.sent_back and not (extra and extra.slot_released):
            self.queue_slots.release()

    # -- time limits ----------------------------------------------------------------------------------------------

    def limit(self, future: AsyncTaskFuture[Any], timeout: float | None, deadline: float | None) -> None:
        """Gives a task that is not queued yet its limits. Raises ``TypeError`` or ``ValueError`` for wrong ones."""
        limited = self.limits.of_submission(future, timeout, deadline)
        if limited is None:
            return
        future.extra().limited = limited
        if self.backend is None:
            assert future._task is not None
            future._task = loop_call(self.limits, limited, future._task)

    def keep_deadline(self, future: AsyncTaskFuture[Any]) -> None:
        """Has a task end at its deadline, if it has one, now that it is queued."""
        if future._limited is not None:
            self.limits.keep_deadline(future._limited)

    def wake_up(self) -> None:
        """See ``LimitsDriver``."""
        with suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.report, ev.Wakeup())

    def expire(self, task: AsyncTaskFuture[Any], error: TaskTimeout) -> None:
        """See ``LimitsDriver``."""
        if task._stage == RUNNING and self.backend is not None:  # back in the queue, if it was sent ahead
            self.backend.recall(task)
        self.fail_queued(task, error)

    def cancel_attempt(self, task: AsyncTaskFuture[Any], context: Context, error: TaskTimeout) -> None:
        """See ``LimitsDriver``."""
        try:
            context.cancel(error)
        finally:
            for worker in list(self.workers.values()):
                if worker.shard.future is task:
                    worker.interrupt(str(error))

    def end_overdue(self, task: AsyncTaskFuture[Any], error: TaskTimeout) -> None:
        """See ``EngineCore``."""
        if task._stage == RUNNING:
            task._end_error(error)

    # -- future.LoopOwner -----------------------------------------------------------------------------------------

    def ended_in_queue(self, future: AsyncTaskFuture[Any]) -> None:
        """See ``LoopOwner``."""
        if future.cancelled():
            self.counters.note("ended_in_queue", "cancelled_in_queue")
        else:
            error: Any = future.extra().error
            timed_out = ("timed_out_in_queue",) if issubclass(type(error), TaskTimeout) else ()
            self.counters.note("ended_in_queue", *timed_out)
            now = future._finished_at = monotonic()
            started = getattr(future, "_started_at", now)
            self.hooks.failure(TaskLifecycleTimestamps(future._queued_at, started, now), future, error)
        self.release_slot(future)
        if not (self.killed or self.empties):  # a kill empties the queue itself, without a search for each task
            self.queue.discard(future)
        if self.door:
            self.check_drained()

    def interrupt(self, future: AsyncTaskFuture[Any], cause: BaseException) -> None:
        """See ``LoopOwner``. Cancels the context of the task, and throws ``CancelledError`` into it if possible."""
        extra = future.extra()
        extra.cancel_requested = True
        # A search, because a cancellation of a running task is rare, and a reference in each future would cost memory.
        for worker in list(self.workers.values()):
            if worker.shard.future is future:
                try:
                    # Before the interruption: a task that catches ``CancelledError`` finds its context cancelled.
                    if worker.context is not None:
                        worker.context.cancel(cause)
                finally:
                    worker.interrupt(extra.cancel_message)

    def callback_fault(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        """See ``LoopOwner``."""
        self.log.fault(f"callback of task #{future.id}", error)

    def outstanding(self) -> bool:
        """See ``EngineCore``. Includes asynchronous callbacks: a stop waits for them, too."""
        return len(self.callbacks) > 0 or super().outstanding()

    # -- tasks that an attempt has left behind --------------------------------------------------------------------

    def claim(self, task: AsyncTaskFuture[Any]) -> BaseException | None:
        """See ``Driver``."""
        # Until here the task counted as running, so that it never counts as queued beyond the bound of the queue. By a note,
        # since a reader in another thread enters others into the same number, and `+=` is not atomic without the GIL.
        self.counters.note("sent_back")
        if task._stage != QUEUED:  # cancelled in the meantime
            return None
        extra = task.extra()
        failure, extra.failure = extra.failure, None
        return failure

    def remember(self, task: AsyncTaskFuture[Any], error: BaseException, verdict: Verdict) -> None:
        """See ``Driver``."""
        extra = task.extra()
        extra.history = after(extra.history, task, error, verdict)

    def on_success(self, task: AsyncTaskFuture[Any], call: Callable[[], None]) -> None:
        """See ``EngineCore``."""

        def look(future: AsyncTaskFuture[Any]) -> None:
            if future._stage == ENDED:
                call()

        task.add_done_callback(look)

    def returned(self, task: AsyncTaskFuture[Any]) -> bool:
        """See ``Driver``."""
        return True  # nothing can have come between the claim and this

    def enqueue(self, task: AsyncTaskFuture[Any], priority: Priority) -> None:
        """See ``Driver``."""
        self.queue.put(task, priority)
        if self.backend is not None:
            self.backend.overtake(priority)

    def fail_returned(self, task: AsyncTaskFuture[Any], error: BaseException) -> None:
        """See ``Driver``."""
        self.fail_queued(task, error)

    def call_of(self, task: AsyncTaskFuture[Any]) -> tuple[Any, tuple[Any, ...]]:
        """See ``Driver``."""
        return given(task._task), task._held or ()

    def quarantined(self, task: AsyncTaskFuture[Any], info: Quarantined) -> None:
        """See ``Driver``. Called as a callback is, and waited for like one."""
        if self.config.on_quarantine is not None:

            def tell(value: object, error: object) -> object:
                return after_quarantine(self, self.hooks.quarantined(info))

            self.callbacks.call(task, tell, None, None)

    def drop_returned(self, task: AsyncTaskFuture[Any]) -> None:
        """See ``Driver``."""
        self.counters.note("sent_back")  # as in ``claim``
        extra = task.extra()
        failure, extra.failure = extra.failure, None
        if failure is not None:
            self.remember(task, failure, Verdict.KILLED)
            forget_frames(failure)
        self.drop(task)

    # -- handing back ---------------------------------------------------------------------------------------------

    def take_unstarted(self, most: int) -> Sequence[tuple[AsyncTaskFuture[Any], int]]:
        """See ``Driver``."""
        self.empties = True
        return self.queue.take_unstarted(most)

    def hand_back(self, task: AsyncTaskFuture[Any], priority: Priority) -> None:
        """See ``Driver``."""
        if task._stage == QUEUED and task._task is not None:
            extra, limits = task.extra(), limits_of(task._limited)
            again = (extra.once, task._retry, *limits)
            back = HandedBack(given(task._task), task._held, priority, task.attempts, task, *again)
            self.shutdown_counts.handed_back.append(back)
            extra.ended_waiting = True
            error = TaskHandedBack(f"{task.label} was handed back before it started: {self.refusal}")
            task._end_error(error, cancelled=True)

    # -- pauses ---------------------------------------------------------------------------------------------------

    def hold_tasks(self) -> None:
        """See ``Driver``."""
        self.queue.hold()
        if self.backend is not None:
            self.backend.recall_all()
        self.check_drained()

    def release_tasks(self) -> None:
        """See ``Driver``."""
        self.queue.release()

    def is_quiet(self) -> bool:
        """See ``EngineCore``."""
        return all(worker.quiet for worker in self.workers.values()) and not self.counters.flow().inline_running

    # -- tasks that wait ------------------------------------------------------------------------------------------

    def waiting(self) -> list[AsyncTaskFuture[Any]]:
        """See ``Driver``."""
        return self.queue.waiting()

    def fail_queued(self, task: AsyncTaskFuture[Any], error: BaseException) -> None:
        """See ``Driver``."""
        if task._stage == QUEUED:
            task.extra().ended_waiting = True
            task._end_error(error)

    def bar(self) -> None:
        """See ``Driver``."""
        self.move_door(DoorMove.KILL, self.refusal)

    def take_queued(self, most: int) -> Sequence[AsyncTaskFuture[Any]]:
        """See ``Driver``."""
        return self.queue.take_many(most)

    def drop(self, task: AsyncTaskFuture[Any]) -> None:
        """See ``Driver``."""
        if task._stage == QUEUED:
            self.shutdown_counts.add_killed()
            task.extra().ended_waiting = True
            error = TaskKilled(f"{task.label} was killed before it started: {self.refusal}")
            task._end_error(error, cancelled=True)

    def hung(self, workers: list[Any]) -> list[Any]:
        """See ``Driver``. None: one that is in a callback was not ended by force."""
        return []

    def abandon(self, task: AsyncTaskFuture[Any], error: TaskKilled) -> bool:
        """See ``Driver``."""
        if task._stage != RUNNING:
            return False
        task._finished_at = monotonic()
        task._end_error(error, cancelled=True)
        return True

    def abandon_callbacks(self) -> list[str]:
        """See ``Driver``."""
        return self.callbacks.abandon()
