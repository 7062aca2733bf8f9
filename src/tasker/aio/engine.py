"""The asyncio engine: the driver of the engine core in the thread of one event loop.

There is no task for the supervisor: ``report`` asks the supervisor at once and carries its actions out, one event at a
time. A timer of the loop causes ticks and wakeups.

The engine has no reference to its ``AsyncTaskManager``, so a manager that is no longer referenced is collected, and its
``__del__`` can request a kill.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.core.effects import Effects
from tasker.core.fork import disable_in_children
from tasker.errors import TaskKilled
from tasker.logs import describe
from tasker.metrics.meter import Meter
from tasker.stats import StopReport

from .backend_port import AsyncBackendPort
from .end_waits import EndWaits
from .interrupts import HeldInterrupts
from .loop_guard import LoopGuard
from .owner import AsyncFutureOwner
from .pool_prober import AsyncPoolProber
from .resource_handle import AsyncResourceMaker
from .resource_pool import AsyncResourcePool
from .resources import AsyncMaker
from .run_task import AsyncRunTask
from .tasks import start_task
from .waits import AsyncWaitRegistry
from .worker import AsyncWorker

_PARENT_ENDED = "its parent context ended"


class AsyncEngine(AsyncFutureOwner):
    """Drives the engine core in an event loop; see the module's docstring. All methods belong to the loop's thread."""

    backend: AsyncBackendPort | None

    def __init__(
        self,
        config: Config[Any],
        loop: asyncio.AbstractEventLoop,
        open_backend: Callable[[AsyncEngine], AsyncBackendPort] | None = None,
    ) -> None:
        super().__init__(config, loop)
        self.backend = None if open_backend is None else open_backend(self)
        self.maker: AsyncResourceMaker = self.backend or AsyncMaker(self)
        self.pool: AsyncResourcePool = AsyncResourcePool(self)
        self.prober: AsyncPoolProber = AsyncPoolProber(self, self.pool)
        self.waits: AsyncWaitRegistry = AsyncWaitRegistry(self)
        self.run_task: AsyncRunTask = AsyncRunTask(self, self.pool)
        self.effects: Effects = Effects(self)
        self.finished: asyncio.Event = asyncio.Event()
        self.emptied: asyncio.Event = asyncio.Event()
        self.end_waits: EndWaits = EndWaits(self)
        self.guard: LoopGuard = LoopGuard(self)
        self._worker_tasks: set[asyncio.Task[None]] = set()
        self._leaving: list[asyncio.Task[None]] = []
        """The tasks of workers that were stopped by force, which ``wait_finished`` waits for."""
        self._inbox: deque[ev.Event | Callable[[], None]] = deque()
        """Events, and functions to be called between two events."""
        self._processing = False
        self._drain_check_pending = False
        self._timer: tuple[float, asyncio.Handle] | None = None  # and when it ends, which uvloop's handle may not say
        self._next_tick = 0.0

    async def start(self) -> None:
        """Fills ``run_task``'s pool, then starts the workers. Raises ``ResourceError`` if the pool cannot be filled,
        and ``ShutdownError`` if a stop has begun meanwhile."""
        disable_in_children(self)  # first: ``on_create`` may fork
        try:
            await self.pool.fill()
            if self.door:  # closed when the pool was full, and nothing was left to be cancelled
                raise self.shutdown_error()
        except BaseException:
            if self.backend is not None and not self.door:  # otherwise a stop has begun, and finishes it
                self.backend.finish()
            raise
        # Everything else is ready before the first event, whose actions start the workers.
        self._next_tick = monotonic() + self.interval
        self.guard.start()
        self.report(ev.Started())
        if self.config.ctx is not None:
            self.forget_parent: Callable[[], None] = self.config.ctx.on_cancel(self._parent_cancelled)

    # -- events ---------------------------------------------------------------------------------------------------

    def report(self, event: ev.Event) -> None:
        """Passes an event to the supervisor and carries out its actions, after those of an event that is being handled."""
        self._post(event)

    def _post(self, event: ev.Event | Callable[[], None]) -> None:
        if self.is_forked:  # the supervisor is the parent's
            return
        self._inbox.append(event)
        # An action may report an event itself. It waits until all actions of the present event are carried out.
        if not self._processing:
            with HeldInterrupts(self.loop):
                self._process_inbox()

    def check_drained(self) -> None:
        """See ``EngineCore``."""
        if self._drain_check_pending or not ((quiet := self.view.awaits_quiet) or self.view.awaits_drain):
            return
        # While the inbox is processed, one check at its end is enough for all: a kill ends many tasks at once, and each
        # check costs O(workers). Otherwise it is made here first, because processing the inbox sets the timer anew.
        if self._processing or (self.is_quiet() if quiet else not self.outstanding()):
            self._drain_check_pending = True
            self._post(self._answer_drain_check)

    def _answer_drain_check(self) -> None:
        self._drain_check_pending = False
        self.answer_drained(monotonic())

    def soon(self, call: Callable[[], None]) -> None:
        """See ``Driver``."""
        # By the loop, which runs other tasks in between.
        self.loop.call_soon(self._post, call, context=contextvars.Context())

    def _process_inbox(self) -> None:
        self._processing, ticked = True, False
        try:
            while True:  # docs/decisions/0043
                if not self._inbox:
                    break
                event = self._inbox.popleft()
                ticked = ticked or event == self._tick
                try:
                    self._handle(event)
                except BaseException as error:  # what was reported behind it must not be lost, at the end above all
                    self.log.fault("the supervisor", error)
                if not self._inbox:
                    self.judge_waits(monotonic(), tick=ticked)
                    ticked = False
        finally:
            # Also after an error: without the timer there would be no ticks and no deadlines any more.
            self._processing = False
            self._arm()

    def _handle(self, event: ev.Event | Callable[[], None]) -> None:
        if callable(event):
            event()
        else:
            self.step(event, monotonic())

    def _arm(self) -> None:
        """Sets the timer to the next moment at which there is something to do."""
        now, ended = monotonic(), self.finished.is_set()
        if self._timer is not None and self._timer[0] <= now and not ended:
            return  # Due, so on its way. Set anew with each event of a steady stream, it would never come.
        self._disarm()
        if ended:
            return
        due = max(now, self.next_moment(now, self._next_tick))
        # In an empty context: the timer is set by whatever code reports an event, and must not inherit its variables.
        self._timer = due, self.loop.call_later(due - now, self._wake_up, context=contextvars.Context())

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer[1].cancel()
            self._timer = None

    def _wake_up(self) -> None:
        self._timer = None
        # ``Context.on_cancel`` reports that the parent was cancelled, but not that its deadline has passed.
        parent = self.config.ctx
        if parent is not None and not self.closed and parent.cancelled:
            self._parent_ended()
        self._post(self._tick if monotonic() >= self._next_tick else ev.Wakeup())

    def _tick(self) -> None:
        now = monotonic()
        self._next_tick = now + self.interval
        self.tick(now)
        self.end_waits.judge()

    @property
    def ended(self) -> bool:
        """See ``EngineCore``."""
        return self.finished.is_set()

    # -- workers --------------------------------------------------------------------------------------------------

    def start_worker(self, seat: ev.Seat) -> None:
        """See ``Driver``."""
        worker = self.workers[seat] = (AsyncWorker if self.backend is None else self.backend.worker)(self, seat)
        self._worker_tasks.add(worker.task)
        worker.task.add_done_callback(self._worker_tasks.discard)

    def retire(self, count: int) -> None:
        """See ``Driver``."""
        self.queue.retire(count)

    def park(self, count: int) -> None:
        """See ``Driver``."""
        self.queue.park(count)

    def cancel_running(self) -> None:
        """See ``Driver``."""
        try:
            if self.backend is not None:
                self.backend.cancel_all(TaskKilled(self.refusal))
        finally:
            # The contexts first: a task that catches ``CancelledError`` finds its context cancelled, and why.
            self.cancel_contexts()
            for worker in list(self.workers.values()):
                worker.interrupt()
            self.run_task.interrupt_all()
            if self.backend is None:  # else an ``on_create`` would be cut off there, which the deadline sees to
                self.pool.cancel_filling()
                self.prober.interrupt()

    def running_contexts(self) -> list[Context]:
        """See ``EngineCore``."""
        # A worker keeps the context of its last task, which must not be cancelled any more.
        running = [worker.context for worker in self.workers.values() if worker.shard.future is not None]
        return [context for context in running if context is not None]

    # -- the pool of run_task -------------------------------------------------------------------------------------

    @property
    def available_resources(self) -> int:
        """The number of idle resources in ``run_task``'s pool."""
        return self.pool.available

    @property
    def run_task_meter(self) -> Meter:
        """The measurements of the calls of ``run_task``."""
        return self.run_task.meter

    def refill_pool(self) -> None:
        """See ``Driver``."""
        self.spawn(self._refill(), "refill")

    async def _refill(self) -> None:
        try:
            await self.pool.refill()
        except BaseException as error:
            if self.torn_down:
                raise
            self.report(ev.PoolRefillFailed(describe(error)))
        else:
            self.report(ev.PoolRefilled())

    def renew_pool(self) -> None:
        """See ``Driver``."""
        self.spawn(self._renew_pool(), "renew")

    async def _renew_pool(self) -> None:
        try:
            renewed = await self.pool.renew_idle()
        except BaseException as error:
            if self.torn_down:
                raise
            self.report(ev.PoolRefillFailed(describe(error)))
        else:
            self.report(renewed)

    def close_pool(self) -> None:
        """See ``Driver``."""
        self.spawn(self._close_pool(), "pool")

    async def _close_pool(self) -> None:
        try:
            await self.pool.close()
        finally:
            if not self.torn_down:
                self.report(ev.PoolClosed())

    def abandon_pool(self) -> None:
        """See ``Driver``. Nothing waits for the task itself."""

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Accepts no more tasks. Harmless if repeated: the first reason stays."""
        # The door first: callers that wake up look at it, and are refused.
        self.move_door(DoorMove.CLOSE, self.shutting_down(reason))
        if self.queue_slots is not None:
            self.queue_slots.wake_all()
        self.queue.cooling.wake()
        self.check_drained()

    def _parent_cancelled(self) -> None:
        """Closes the manager because its parent context was cancelled, in whatever thread that was done, and perhaps in a signal
        handler, in the midst of a step of the engine."""
        with suppress(RuntimeError):  # the loop was closed in the meantime
            self.loop.call_soon_threadsafe(self._parent_ended)
        with suppress(RuntimeError):  # no loop runs in this thread
            if asyncio.get_running_loop() is self.loop:  # at once, so that no task is accepted from here on
                self.move_door(DoorMove.CLOSE, self.shutting_down(_PARENT_ENDED))

    def _parent_ended(self) -> None:
        self.request_stop(_PARENT_ENDED)

    def request_stop(self, reason: str, timeout: float | None = None, hand_back: bool = False) -> None:
        """Begins a graceful stop, and returns at once."""
        self.close(reason)
        self.report(self.stop_event(reason, timeout, hand_back))

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill, and returns at once."""
        self.close(reason)
        self.report(self.kill_event(reason, timeout))

    def left(self, worker: AsyncWorker) -> None:
        """See ``EngineCore``."""
        if not worker.task.done():
            self._leaving = [*(task for task in self._leaving if not task.done()), worker.task]

    def finish(self) -> None:
        """See ``Driver``."""
        self.pool.shut()
        # Each may run code of others, whose errors must not keep the rest from being done.
        for finish in (self.forget_parent, None if self.backend is None else self.backend.finish_apart):
            try:
                if finish is not None:
                    finish()
            except BaseException as error:
                self.log.fault("the end of the manager", error)
        self.ended_at: float = monotonic()
        self.finished.set()  # last of all: callers of ``stop`` return from here on
        self._disarm()

    def forked(self) -> None:
        """See ``core.fork``."""
        self.disable("its event loop and its threads serve the parent")
        for worker in self.inherited.values():
            running = worker.shard.future
            if running is not None and running._extra is not None:
                running._extra.callback = None  # the parent calls it
        # If a task in the loop has forked, the loop goes on in the child as well, and so do the workers. They end
        # without destroying their resources, which are the parent's.
        self.emptied.set()
        self.finished.set()
        self.queue.set_aside()
        self.queue.retire(len(self.inherited))
        self.loop.call_soon(self._fail_inherited)

    def _fail_inherited(self) -> None:
        """In a forked child whose loop goes on: ends the waits for tasks that only the parent runs."""
        for task in self.queue.inherited:
            if not task.done():
                extra = task.extra()
                extra.callback = None  # the parent calls it
                task._fail(extra, self.shutdown_error(), cancelled=False)

    async def wait_finished(self, since: float, limit: float | None) -> StopReport:
        """Waits for the end, at most ``limit`` seconds after ``since``, and returns the report."""
        # Also after the last event: a kill without time ends all in one step, and what it has cut off follows.
        left = None if limit is None else since + limit - monotonic()
        end = None if left is None else max(0.0, left + self.patience)
        # A task of its own, and ``wait``: a caller that is cancelled ends its own waiting and nothing else.
        waiting = start_task(self.loop, self._wait_tasks(left), f"{self.config.name}-wait")
        try:
            await self.end_waits.wait(waiting, end)
        finally:
            waiting.cancel()
        return self.stop_report(since, self.ended_at if self.finished.is_set() else monotonic())

    async def _wait_tasks(self, seconds: float | None) -> None:
        deadline = None if seconds is None else self.loop.time() + seconds + self.dropping
        await self.emptied.wait()
        try:
            async with asyncio.timeout_at(deadline):
                await self.finished.wait()
        except TimeoutError:
            return
        pooled = () if self.backend is None else self.pool.tasks()  # these end soon, with their processes
        if leaving := [task for task in (*self._leaving, *pooled) if not task.done()]:
            await asyncio.wait(leaving)  # which raises no error of theirs, and does not cancel them
        await self.guard.until_released()

    @property
    def loop_ends(self) -> int:
        """See ``LoopGuard``."""
        return self.guard.loop_ends

    def left_behind(self) -> list[asyncio.Task[None]]:
        """See ``GuardedEngine``."""
        return [*self._worker_tasks, *self._background_tasks, *self.pool.tasks()]
