"""The threaded engine: drives workers as the supervisor says.

One thread, ``<name>-supervisor``, takes events from ``inbox`` one at a time, asks the supervisor, and carries the
actions out in order. Nothing of the user's runs in it but the logger (guarded), and, at the very end, ``on_destroy``
for the resources of ``run_task``. It holds no lock while it does.

The engine knows nothing of the ``TaskManager`` in front of it, so a manager that nobody refers to any more is
collected, and its ``__del__`` can put a kill into the inbox (``SimpleQueue.put`` may be called from finalizers and
signal handlers).

Closing, and how no task gets lost in the door: ``submit`` queues its task and *then* looks at ``closed``; the engine
sets ``closed`` and *then* looks whether anything is outstanding. A task that found the door closed behind it is taken
back by its own submitter (an ending appended to its log, so a worker that got there first wins), who raises
``ShutdownError``.
"""

from __future__ import annotations

import queue
import random
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasker.config import Config
from tasker.context import RootContext
from tasker.control import events as ev
from tasker.control.rates import SlidingRate
from tasker.control.supervisor import Supervisor, View
from tasker.core.counters import Counters, Flow
from tasker.core.hooks import Hooks
from tasker.core.planning import load_of, plan_of
from tasker.errors import ShutdownError, TaskKilled
from tasker.logs import GuardedLogger, describe, formatted
from tasker.metrics.protocol import MetricsCollector, TaskLifecycleTimestamps
from tasker.options import Priority
from tasker.remote.registry import threads_backend
from tasker.stats import ShutdownCounts, StopReport

from .effects import Effects
from .future import TaskFuture
from .future_log import Ending
from .host import Host
from .queue import TaskQueue
from .queue_slots import QueueSlots, SlotWait
from .resource_pool import ResourcePool
from .resources import Maker
from .run_task import RunTask
from .waits import WaitRegistry
from .worker import Worker, working
from .worker_loop import ThreadHost

if TYPE_CHECKING:
    from tasker.remote.threads_sessions import ThreadsBackend

_CHECK_DRAINED = object()
_HOUSEKEEPING = 1.0


class Engine:
    """See the module's docstring."""

    def __init__(self, config: Config[Any]) -> None:
        now = monotonic()
        self.config = config
        self.collector: MetricsCollector | None = config.collector
        self.counters: Counters = Counters()
        self.log: GuardedLogger = GuardedLogger(config.logger, config.name, lambda: self.counters.note("user_errors"))
        self.hooks: Hooks = Hooks(config, self.log)
        self.queue: TaskQueue = TaskQueue()
        self.backend: ThreadsBackend | None = threads_backend(self)
        self.maker: Maker | ThreadsBackend = self.backend or Maker(config, self.counters, self.log)
        self.new_host: Callable[[Worker], Host] = ThreadHost if self.backend is None else self.backend.host
        self.pool: ResourcePool = ResourcePool(self.maker, config.pool_size, config.max_temporary_resources)
        self.queue_slots: QueueSlots | None = (
            None if config.max_queue_size is None else QueueSlots(config.max_queue_size)
        )
        self.root: RootContext = RootContext(config.ctx)
        self.waits: WaitRegistry = WaitRegistry(self)
        self.inline: RunTask = RunTask(self)
        self.supervisor: Supervisor = Supervisor(plan_of(config), random.Random(), now)
        self.view: View = self.supervisor.view()
        self.arrivals: SlidingRate = SlidingRate(config.rate_window, now)
        self.completions: SlidingRate = SlidingRate(config.rate_window, now)
        self.closed: bool = False
        self.draining: bool = False
        self.killed: bool = False
        self.forked: bool = False
        self.must_admit: bool = self.queue_slots is not None or self.collector is not None
        """Whether ``submit`` has more to do than to queue."""
        self.must_follow_up: bool = self.backend is not None
        """Whether it has more to do once it has queued."""
        self.refusal: str = ""
        self.bounds: tuple[int, int] = (config.worker_count, config.most_workers)
        self._begun = threading.Event()
        self.finished: threading.Event = threading.Event()
        self._drain_check_pending = False
        self.exiting: bool = False
        self.threadless_workers: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        """Workers that got no thread because the interpreter exits; the exiting thread runs them. None: no more."""
        self.pool_closed_by_waiter: bool = False
        """Whether a thread waits for the end without a limit. It then ends ``run_task``'s idle resources, since it is
        most often the thread that made them, and some resources insist on that; else the supervisor's thread does."""
        self.workers: dict[ev.Seat, Worker] = {}
        self.working: Callable[[], tuple[int, int]] = lambda: working(list(self.workers.values()))
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put_event: Callable[[ev.Event], None] = self._inbox.put
        """``report``, where no signal or other asynchronous exception may come between a step before and this one."""
        self.creation_error: BaseException | None = None
        self._leaving: list[threading.Thread] = []
        self.ended_at: float = now
        self.shutdown_counts: ShutdownCounts = ShutdownCounts()
        self.forget_parent: Callable[[], None] = lambda: None
        self.thread: threading.Thread = threading.Thread(
            target=self._supervise, name=f"{config.name}-supervisor", daemon=True
        )
        self._effects = Effects(self)

    def start(self) -> None:
        """Fills ``run_task``'s pool here, then starts the threads. Interrupted in that, the engine ends by itself."""
        try:
            self.pool.fill()
        except BaseException:
            if self.backend is not None:
                self.backend.finish()
            raise
        # The threads of the workers are started by the supervisor's, which Ctrl-C never strikes; and are waited for, because
        # a program may come to its end right after this, and from CPython 3.12 on no thread can be started then.
        try:
            self.thread.start()
            self._begun.wait()
        except BaseException:
            self.request_kill("its start was interrupted", self.config.cancel_grace)
            self.pool.close()
            raise
        if self.config.ctx is not None:
            self.forget_parent = self.config.ctx.on_cancel(self._parent_ended)

    # -- the supervisor's thread ----------------------------------------------------------------------------------

    def report(self, event: ev.Event) -> None:
        """Tells the supervisor. From any thread, finalizers and signal handlers included."""
        self._inbox.put(event)

    def check_drained(self) -> None:
        """Asks, after a stop or kill, whether anything is still outstanding. One question at a time is enough, as its answer
        is looked for after ``_drain_check_pending`` was taken back."""
        if not self._drain_check_pending:
            self._drain_check_pending = True
            self._inbox.put(_CHECK_DRAINED)

    def _supervise(self) -> None:
        interval = self.config.burst_interval or _HOUSEKEEPING
        next_tick = monotonic() + interval
        self._step(ev.Started(), monotonic())
        self._begun.set()
        while not self.finished.is_set():
            try:
                event = self._inbox.get(True, self._patience(next_tick))
            except queue.Empty:
                event = ev.Wakeup()
            now = monotonic()
            if event is not _CHECK_DRAINED:
                self._step(event, now)
            else:
                self._drain_check_pending = False
                if self.draining and not self.counters.flow().outstanding:
                    self._step(ev.Drained(), now)
            if now >= next_tick:
                next_tick = now + interval
                self._step(ev.Tick(self._load(now)), now)
        self._drop_late()

    def _drop_late(self) -> None:
        """What came in behind the last event. A worker that reports later than this finds ``finished`` set, and drops
        its task itself."""
        while True:
            try:
                event = self._inbox.get_nowait()
            except queue.Empty:
                return
            if event is not _CHECK_DRAINED:
                self._step(event, monotonic())

    def _patience(self, next_tick: float) -> float:
        now = monotonic()
        moments = [next_tick, self.supervisor.wakeup(now)]
        parent = self.config.ctx
        if parent is not None and not self.closed:
            moments.append(parent.deadline)
            if parent.cancelled:
                self._parent_ended()
        nearest = min(moment for moment in moments if moment is not None)
        return min(max(0.0, nearest - now), threading.TIMEOUT_MAX)

    def _step(self, event: ev.Event, now: float) -> None:
        if isinstance(event, ev.WorkerEnded | ev.WorkerDied | ev.CreationFailed):
            worker = self.workers.pop(event.seat, None)
            if worker is not None:
                self.remember(worker.thread)
            if self.draining:
                self.check_drained()
        try:
            actions = self.supervisor.handle(event, now)
        except Exception as error:  # a fault of ours; this thread has to go on all the same
            self.log.fault(f"the supervisor, at {event},", error)
            return
        self.view = self.supervisor.view()
        for action in actions:
            self._effects.carry_out(action)

    def remember(self, thread: threading.Thread) -> None:
        """Remembers a thread that is about to end, for whoever stops the manager."""
        self._leaving = [other for other in self._leaving if other.is_alive()]
        self._leaving.append(thread)

    def _load(self, now: float) -> ev.Load:
        return load_of(self.sample_rates(now), self.queue.levels, now)

    def sample_rates(self, now: float) -> Flow:
        """Brings the two rates up to date."""
        with self.counters.lock:
            flow = self.counters.flow()
            self.arrivals.sample(now, flow.accepted)
            self.completions.sample(now, flow.done)
        return flow

    def close(self, reason: str) -> None:
        """No more tasks. Harmless when repeated; the first reason stays."""
        with self.counters.lock:
            if not self.closed:
                self.refusal = f"task manager {self.config.name!r} is shutting down: {reason}"
            self.closed = self.must_admit = self.must_follow_up = self.draining = True
        if self.queue_slots is not None:
            self.queue_slots.close()
        self.check_drained()

    def drop(self, future: TaskFuture[Any]) -> None:
        """Ends a task that is not running as killed."""
        if future._end(
            Ending(TaskKilled(f"{future.label} was killed before it started: {self.refusal}"), cancelled=True)
        ):
            self.shutdown_counts.killed_tasks += 1

    def drop_returned(self, future: TaskFuture[Any]) -> None:
        """Ends a task as killed whose attempt failed and about which nobody will decide any more."""
        if future._take_failure() is not None:
            error = TaskKilled(f"{future.label} was killed before its next attempt: {self.refusal}")
            self.shutdown_counts.killed_tasks += 1
            self.conclude(future, Ending(error, cancelled=True, forced=True))

    def conclude(self, future: TaskFuture[Any], ending: Ending) -> None:
        """Ends a task whose attempt failed. If a kill gave it its outcome before, that stays; the attempt is over now."""
        if ending.cancelled:
            self.counters.note("sent_back", "ended_in_queue", "cancelled_in_queue")
        else:
            self.counters.note("sent_back", "ended_in_queue")
            now = future._finished_at = monotonic()
            self.hooks.failure(TaskLifecycleTimestamps(future._queued_at, future._started_at, now))
        future._end(ending)
        if self.draining:
            self.check_drained()

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """A worker could not get its resource, or its thread."""
        self.creation_error = error
        self.log.log("debug", "on_create raised %s\n%s", describe(error), formatted(error))
        self.report(ev.CreationFailed(seat, describe(error)))

    # -- for the data plane ---------------------------------------------------------------------------------------

    def release_slot(self, future: TaskFuture[Any]) -> None:
        """The task waits no longer: its place in a bounded queue is free."""
        if self.queue_slots is not None and future._holds_slot:
            future._holds_slot = False
            self.queue_slots.release()

    def level(self, priority: object) -> deque[TaskFuture[Any]]:
        """Where tasks of this priority are queued."""
        if isinstance(priority, int) and not isinstance(priority, bool) and int(priority) in list(Priority):
            return self.queue.levels[priority]
        raise ValueError(f"priority must be one of {', '.join(map(str, Priority))}, got {priority!r}")

    def slot_wait(self) -> SlotWait | None:
        """What ``submit`` keeps its place in, where the queue is bounded."""
        return None if self.queue_slots is None else SlotWait()

    def admit(self, place: SlotWait | None, block: bool, timeout: float | None) -> None:
        """What ``submit`` has to ask for before it may queue, where that is anything."""
        if self.closed:
            raise self.shutdown_error()
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float)):
            raise TypeError(f"queue_timeout must be a number of seconds or None, got {timeout!r}")
        if self.queue_slots is not None:
            self.queue_slots.acquire(block, timeout, self.waits.enter, self.waits.leave, place)
            if self.refusal:  # closed meanwhile
                raise self.shutdown_error()
        if self.collector is not None:
            self.hooks.arrival()

    def unsubmitted(self, number: int, place: SlotWait | None) -> None:
        """``submit`` failed or was interrupted: takes back the number and the place, if it had them."""
        if place is not None and place.served and self.queue_slots is not None:
            self.queue_slots.release()
        if number:
            self.counters.note("refused")
            self.check_drained()

    def look_after(self, future: TaskFuture[Any], priority: int) -> bool:
        """Called by ``submit`` that has queued its task. True if it found the door closed and the task was not accepted."""
        if self.backend is not None and priority != Priority.NORMAL:
            self.backend.overtake(priority)
        return self.closed and future._end(Ending(self.shutdown_error()))

    def shutdown_error(self) -> ShutdownError:
        """Why no task is taken."""
        return ShutdownError(self.refusal)

    # -- the owner of futures -------------------------------------------------------------------------------------

    def ended_in_queue(self, future: TaskFuture[Any], ending: Ending) -> None:
        """See ``tasks.Owner``. Takes no lock: it may be called from a signal handler or a finalizer."""
        if isinstance(ending.error, ShutdownError):
            self.counters.note("refused")
        elif ending.cancelled:
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

    def recall(self, future: TaskFuture[Any]) -> None:
        """See ``tasks.Owner``."""
        if self.backend is not None:
            self.backend.recall(future)

    def callback_fault(self, future: TaskFuture[Any], error: BaseException) -> None:
        """See ``tasks.Owner``."""
        self.log.fault(f"callback of {future.label}", error)

    def enter_wait(self, future: TaskFuture[Any]) -> object:
        """See ``tasks.Owner``."""
        return self.waits.enter(future)

    def leave_wait(self, ticket: object) -> None:
        """See ``tasks.Owner``."""
        self.waits.leave(ticket)

    # -- the end --------------------------------------------------------------------------------------------------

    def _parent_ended(self) -> None:
        self.close("its parent context ended")
        self.report(ev.StopRequested("its parent context ended"))

    def request_stop(self, reason: str, timeout: float | None = None) -> None:
        """Begins a graceful stop; does not wait. From any thread."""
        if timeout is None:
            self.report(ev.StopRequested(reason))
            return
        grace = min(0.1, timeout / 5)
        self.report(ev.StopRequested(reason, monotonic() + timeout - grace, grace))

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill; does not wait. From any thread."""
        self.report(ev.KillRequested(reason, monotonic() + timeout))

    def wait_finished(self, since: float, limit: float | None) -> StopReport:
        """WaitRegistry for the end, and for the threads; ``limit`` seconds at most."""
        end = None if limit is None else since + limit + 0.5
        try:
            self.finished.wait(None if end is None else min(max(0.0, end - monotonic()), threading.TIMEOUT_MAX))
        except BaseException:
            self.pool_closed_by_waiter = False
            raise
        if end is None and self.killed:
            end = monotonic() + self.config.cancel_grace  # a callback of ``Context.on_cancel`` may hang
        for thread in (self.thread, *self._leaving):
            if thread.ident is not None:
                thread.join(None if end is None else min(max(0.0, end - monotonic()), threading.TIMEOUT_MAX))
        if self.pool_closed_by_waiter and self.finished.is_set():
            self.pool.close()
        return StopReport(
            killed=self.killed,
            killed_tasks=self.shutdown_counts.killed_tasks,
            abandoned=tuple(self.shutdown_counts.abandoned),
            seconds=max(0.0, (self.ended_at if self.finished.is_set() else monotonic()) - since),
        )

    def finish_at_exit(self) -> None:
        """WaitRegistry for the end, and meanwhile runs the workers that can get no thread any more."""
        while (worker := self.threadless_workers.get()) is not None:
            worker.run()
        self.wait_finished(0.0, None)
