"""The asyncio engine: drives workers as the supervisor says, all in the thread of one event loop.

There is no supervisor's task: ``report`` asks the supervisor at once and carries its actions out, one event after the
other (an event that comes up meanwhile waits in ``_inbox``). A timer of the loop brings ticks and wakeups.

One task of the loop, the *keeper*, does nothing but wait for the end. A loop that closes (``asyncio.run`` does so)
cancels all tasks; when the keeper is cancelled, the engine kills, so that resources are destroyed while the loop still
runs.

The engine knows nothing of the ``AsyncTaskManager`` in front of it, so a manager that nobody refers to any more is
collected, and its ``__del__`` can ask for a kill.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import random
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.config import Config
from tasker.context import RootContext
from tasker.control import events as ev
from tasker.control.actions import Log
from tasker.control.rates import SlidingRate
from tasker.control.supervisor import Supervisor, View
from tasker.core.counters import Counters, Flow
from tasker.core.hooks import Hooks
from tasker.core.planning import load_of, plan_of
from tasker.errors import ShutdownError, TaskKilled
from tasker.logs import GuardedLogger, describe, formatted
from tasker.metrics.protocol import MetricsCollector, TaskLifecycleTimestamps
from tasker.options import Priority
from tasker.remote.registry import async_backend
from tasker.stats import ShutdownCounts, StopReport

from .callbacks import Callbacks
from .counters import AsyncShard
from .effects import AsyncEffects
from .future import QUEUED, AsyncTaskFuture
from .queue import AsyncTaskQueue
from .queue_slots import AsyncQueueSlots, check_queue_timeout
from .resources import AsyncMaker, AsyncResourcePool
from .run_task import AsyncRunTask
from .slow_callbacks import SlowCallbacks
from .waits import AsyncWaitRegistry
from .worker import AsyncWorker

if TYPE_CHECKING:
    from tasker.remote.aio_sessions import AsyncBackend

_HOUSEKEEPING = 1.0


class AsyncEngine:
    """See the module's docstring."""

    def __init__(self, config: Config[Any], loop: asyncio.AbstractEventLoop) -> None:
        now = monotonic()
        self.config: Config[Any] = config
        self.loop: asyncio.AbstractEventLoop = loop
        self.collector: MetricsCollector | None = config.collector
        self.counters: Counters = Counters()
        self.log: GuardedLogger = GuardedLogger(config.logger, config.name, lambda: self.counters.note("user_errors"))
        self.hooks: Hooks = Hooks(config, self.log)
        self.watch: SlowCallbacks = SlowCallbacks(config.slow_callback, self.log)
        self.backend: AsyncBackend | None = async_backend(self)
        self.maker: AsyncMaker | AsyncBackend = self.backend or AsyncMaker(self)
        self.pool: AsyncResourcePool = AsyncResourcePool(self)
        self.queue: AsyncTaskQueue = AsyncTaskQueue()
        self.queue_slots: AsyncQueueSlots | None = None
        if config.max_queue_size is not None:
            self.queue_slots = AsyncQueueSlots(self, config.max_queue_size)
        self.root: RootContext = RootContext(config.ctx)
        self.waits: AsyncWaitRegistry = AsyncWaitRegistry(self)
        self.callbacks: Callbacks = Callbacks(self)
        self.inline: AsyncRunTask = AsyncRunTask(self)
        self.supervisor: Supervisor = Supervisor(plan_of(config), random.Random(), now)
        self.view: View = self.supervisor.view()
        self.arrivals: SlidingRate = SlidingRate(config.rate_window, now)
        self.completions: SlidingRate = SlidingRate(config.rate_window, now)
        self.closed: bool = False
        self.draining: bool = False
        self.killed: bool = False
        self.must_admit: bool = self.queue_slots is not None or self.collector is not None
        """Whether ``submit`` has more to do than to queue."""
        self.refusal: str = ""
        self.finished: asyncio.Event = asyncio.Event()
        self.workers: dict[ev.Seat, AsyncWorker] = {}
        self.creation_error: BaseException | None = None
        self.ended_at: float = now
        self.shutdown_counts: ShutdownCounts = ShutdownCounts()
        self.cut: list[asyncio.Task[None]] = []
        self.forget_parent: Callable[[], None] = lambda: None
        self._inbox: deque[ev.Event] = deque()
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._next_tick = now
        self._errands: set[asyncio.Task[None]] = set()
        self._client: asyncio.Task[None] | None = None
        self._effects = AsyncEffects(self)

    async def start(self) -> None:
        """Fills ``run_task``'s pool here, then starts the workers."""
        try:
            await self.pool.fill()
        except BaseException:
            if self.backend is not None:
                self.backend.finish()
            raise
        self._next_tick = monotonic() + self._interval
        self._client = self.loop.create_task(
            self._keep(), name=f"{self.config.name}-keeper", context=contextvars.Context()
        )
        self.report(ev.Started())
        if self.config.ctx is not None:
            self.forget_parent = self.config.ctx.on_cancel(self._parent_cancelled)

    # -- events ---------------------------------------------------------------------------------------------------

    def report(self, event: ev.Event) -> None:
        """Tells the supervisor, and carries out what it says."""
        self._inbox.append(event)
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._inbox:
                self._step(self._inbox.popleft())
        finally:
            self._pumping = False
        self._arm()

    def _step(self, event: ev.Event) -> None:
        if isinstance(event, ev.WorkerEnded | ev.WorkerDied | ev.CreationFailed):
            self.workers.pop(event.seat, None)
        actions = self.supervisor.handle(event, monotonic())
        self.view = self.supervisor.view()
        if self.killed and isinstance(event, ev.CreationFailed):
            actions = [action for action in actions if not isinstance(action, Log)]  # it was cancelled: no news
        for action in actions:
            self._effects.carry_out(action)
        if self.draining:
            self.check_drained()

    def check_drained(self) -> None:
        """After a stop or kill: if nothing is outstanding any more, says so to the supervisor."""
        if self.draining and not len(self.callbacks) and not self.counters.flow().outstanding:
            self.draining = False  # nothing can become outstanding any more
            self.report(ev.Drained())

    @property
    def _interval(self) -> float:
        return self.config.burst_interval or _HOUSEKEEPING

    def _arm(self) -> None:
        """Sets the timer to the next moment at which there is something to do."""
        self.disarm()
        if self.finished.is_set():
            return
        now = monotonic()
        moments = [self._next_tick, self.supervisor.wakeup(now)]
        if self.config.ctx is not None and not self.closed:
            moments.append(self.config.ctx.deadline)
        delay = max(0.0, min(moment for moment in moments if moment is not None) - now)
        self._timer = self.loop.call_later(delay, self._wake_up, context=contextvars.Context())

    def disarm(self) -> None:
        """No more timers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_up(self) -> None:
        self._timer = None
        now = monotonic()
        parent = self.config.ctx
        if parent is not None and not self.closed and parent.cancelled:
            self._parent_ended()
        if now >= self._next_tick:
            self._next_tick = now + self._interval
            self.waits.survey()
            self.report(ev.Tick(load_of(self.sample_rates(now), self.queue.levels, now)))
        else:
            self.report(ev.Wakeup())

    def sample_rates(self, now: float) -> Flow:
        """Brings the two rates up to date."""
        flow = self.counters.flow()
        self.arrivals.sample(now, flow.accepted)
        self.completions.sample(now, flow.done)
        return flow

    def spawn(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        """Runs something of our own beside; it is kept until it ends."""
        task = self.loop.create_task(errand, name=f"{self.config.name}-{name}", context=contextvars.Context())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def shard(self, slot: int) -> AsyncShard:
        """The shard of a worker's slot."""
        shard = self.counters.shards.setdefault(slot, AsyncShard())
        assert isinstance(shard, AsyncShard)
        return shard

    @property
    def torn_down(self) -> bool:
        """Whether an error is not the user's but the ``GeneratorExit`` of a coroutine whose loop is gone: nothing can
        be awaited any more."""
        return not self.loop.is_running()

    # -- for the data plane ---------------------------------------------------------------------------------------

    def level(self, priority: int) -> Callable[[AsyncTaskFuture[Any]], None]:
        """Where to append a task of this priority."""
        try:
            return self.queue.levels[Priority(priority)].append
        except ValueError:
            raise ValueError(f"priority must be one of {', '.join(map(str, Priority))}, got {priority!r}") from None

    def admit(self, timeout: float | None, has_slot: bool) -> None:
        """What ``submit`` has to ask for before it may queue, where that is anything."""
        if self.closed:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is not None and not has_slot:
            self.queue_slots.take()
        self.hooks.arrival()

    async def place(self, timeout: float | None) -> bool:
        """Waits for a place in a bounded queue; False where it is not bounded."""
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
        """The task waits no longer: its place in a bounded queue is free. A task that is to be retried has none."""
        if (
            self.queue_slots is not None
            and not future.sent_back
            and not (future._extra and future._extra.slot_released)
        ):
            self.queue_slots.release()

    def shutdown_error(self) -> ShutdownError:
        """Why no task is taken."""
        return ShutdownError(self.refusal)

    async def healthy(self, error: BaseException) -> bool:
        """Whether an error is the task's own fault. If ``check_health`` itself raises, the resource is not to
        blame."""
        check = self.config.check_health
        if check is None:
            return True
        try:
            verdict: Any = check(error)
            return bool(await verdict if inspect.isawaitable(verdict) else verdict)
        except BaseException as fault:
            if self.torn_down:
                raise
            self.log.fault("check_health", fault)
            return True

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """A worker could not get its resource."""
        self.creation_error = error
        self.log.log("debug", "on_create raised %s\n%s", describe(error), formatted(error))
        self.report(ev.CreationFailed(seat, describe(error)))

    # -- the owner of futures -------------------------------------------------------------------------------------

    def drop(self, future: AsyncTaskFuture[Any]) -> None:
        """Ends a task that is not running as killed."""
        if future._stage == QUEUED:
            self.shutdown_counts.killed_tasks += 1
            future.extra().ended_waiting = True
            told = TaskKilled(f"{future.label} was killed before it started: {self.refusal}")
            future._end_error(told, cancelled=True)
            self.ended_in_queue(future)

    def fail_in_queue(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        """Ends a task that is not running with an error."""
        if future._stage == QUEUED:
            future.extra().ended_waiting = True
            future._end_error(error)
            self.ended_in_queue(future)

    def ended_in_queue(self, future: AsyncTaskFuture[Any]) -> None:
        """The task ended while no attempt ran."""
        if future.cancelled():
            self.counters.note("ended_in_queue", "cancelled_in_queue")
        else:
            self.counters.note("ended_in_queue")
            now = future._finished_at = monotonic()
            started = getattr(future, "_started_at", now)
            self.hooks.failure(TaskLifecycleTimestamps(future._queued_at, started, now))
        self.release_slot(future)
        self.queue.discard(future)
        if self.draining:
            self.check_drained()

    def interrupt(self, future: AsyncTaskFuture[Any], cause: BaseException) -> None:
        """Cancels a running task: its context, and where it can be done, itself."""
        future.extra().cancel_requested = True
        for worker in list(self.workers.values()):
            if worker.shard.future is future:
                try:
                    if worker.context is not None:
                        worker.context.cancel(cause)
                finally:
                    worker.interrupt()

    def callback_fault(self, future: AsyncTaskFuture[Any], error: BaseException) -> None:
        """A callback raised."""
        self.log.fault(f"callback of task #{future.id}", error)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """No more tasks. Harmless when repeated; the first reason stays."""
        if self.closed:
            return
        self.refusal = f"task manager {self.config.name!r} is shutting down: {reason}"
        self.closed = self.must_admit = self.draining = True
        if self.queue_slots is not None:
            self.queue_slots.wake_all()

    def _parent_cancelled(self) -> None:
        """From any thread."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            self._parent_ended()
        else:
            try:
                self.loop.call_soon_threadsafe(self._parent_ended)
            except RuntimeError:  # closed in the meantime
                pass

    def _parent_ended(self) -> None:
        self.close("its parent context ended")
        self.report(ev.StopRequested("its parent context ended"))

    def request_stop(self, reason: str, timeout: float | None = None) -> None:
        """Begins a graceful stop; does not wait."""
        self.close(reason)
        if timeout is None:
            self.report(ev.StopRequested(reason))
            return
        grace = min(0.1, timeout / 5)
        self.report(ev.StopRequested(reason, monotonic() + timeout - grace, grace))

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill; does not wait."""
        self.close(reason)
        self.report(ev.KillRequested(reason, monotonic() + timeout))

    async def wait_finished(self, since: float, limit: float | None) -> StopReport:
        """Waits for the end; ``limit`` seconds at most."""
        if not self.finished.is_set():
            end = None if limit is None else max(0.0, since + limit + 0.5 - monotonic())
            waiting = self.loop.create_task(self._wait_tasks())
            try:
                await asyncio.wait([waiting], timeout=end)
            finally:
                waiting.cancel()
        return StopReport(
            killed=self.killed,
            killed_tasks=self.shutdown_counts.killed_tasks,
            abandoned=tuple(self.shutdown_counts.abandoned),
            seconds=max(0.0, self.ended_at - since),
        )

    async def _wait_tasks(self) -> None:
        await self.finished.wait()
        if self.cut:
            await asyncio.wait(self.cut)
        if self._client is not None:
            await asyncio.wait([self._client])

    async def _keep(self) -> None:
        while not self.finished.is_set():
            try:
                await self.finished.wait()
            except asyncio.CancelledError:
                self.request_kill("its event loop ends", self.config.cancel_grace)
