"""The threaded engine: the driver of the engine core on threads.

One thread, ``<name>-supervisor``, takes events from ``inbox`` one at a time, asks the supervisor, and carries the
actions out in order. Of the user's code only the logger runs in it (guarded), and, at the very end, ``on_destroy`` for
the resources of ``run_task``. It holds no lock while it does.

The engine knows nothing of the ``TaskManager`` in front of it, so a manager without references is collected, and its
``__del__`` can put a kill into the inbox (``SimpleQueue.put`` may be called from finalizers and signal handlers).
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import Door, DoorMove
from tasker.core.checks import check_queue_timeout
from tasker.core.effects import Effects
from tasker.core.ports import RemoteBackend
from tasker.errors import TaskKilled
from tasker.logs import describe
from tasker.metrics.meter import Meter
from tasker.options import Priority
from tasker.stats import StopReport

from .future import TaskFuture
from .future_log import Ending
from .host import Host
from .owner import FutureOwner
from .ports import HostedWorker
from .queue_slots import SlotWait
from .resource_pool import ResourcePool
from .resources import Maker, ResourceMaker
from .run_task import RunTask
from .worker import Worker
from .worker_loop import ThreadHost

_CHECK_DRAINED = object()
"""In the inbox: look whether anything is still outstanding."""


class ThreadsBackendPort(RemoteBackend, ResourceMaker, Protocol):
    """What a threaded engine needs of a backend: its hosts, and the resources of ``run_task``."""

    def host(self, worker: HostedWorker) -> Host:
        """Makes the host of a worker."""
        ...


class Engine(FutureOwner):
    """See the module's docstring."""

    backend: ThreadsBackendPort | None

    def __init__(self, config: Config[Any], open_backend: Callable[[Engine], ThreadsBackendPort] | None = None) -> None:
        super().__init__(config)
        self.finished: threading.Event = threading.Event()
        self.backend = None if open_backend is None else open_backend(self)
        self.maker: ResourceMaker = self.backend or Maker(config, self.counters, self.log)
        self.new_host: Callable[[HostedWorker], Host] = ThreadHost if self.backend is None else self.backend.host
        self.pool: ResourcePool = ResourcePool(self.maker, config.pool_size, config.max_temporary_resources)
        self.run_task: RunTask = RunTask(self)
        self.must_follow_up: bool = self.backend is not None
        """Whether ``submit`` has to call ``follow_up`` once it has queued; always once the door is closed."""
        self.effects = Effects(self)
        self._begun = threading.Event()
        self._drain_check_pending = False
        self._exiting = False
        self._threadless_workers: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        """Workers that got no thread because the interpreter exits; the exiting thread runs them. None: no more."""
        self._waiter_closes_pool = False
        """Whether a thread waits for the end without a limit. It then ends ``run_task``'s idle resources, since it is
        most often the thread that made them, and some resources insist on that; else the supervisor's thread does."""
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put_event: Callable[[ev.Event], None] = self._inbox.put
        """``report``, where no signal or other asynchronous exception may come between a step before and this one."""
        self._leaving: list[threading.Thread] = []
        self.thread: threading.Thread = threading.Thread(
            target=self._supervise, name=f"{config.name}-supervisor", daemon=True
        )

    def start(self) -> None:
        """Fills ``run_task``'s pool here, then starts the threads. Interrupted in that, the engine ends by itself."""
        try:
            self.pool.fill()
        except BaseException:
            if self.backend is not None:
                self.backend.finish()
            raise
        # The supervisor's thread starts the workers, because Ctrl-C never strikes there. It is waited for because a
        # program may come to its end right after this, and from CPython 3.12 on no thread can be started then.
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
        """Hands an event to the supervisor. From any thread, finalizers and signal handlers included."""
        self._inbox.put(event)

    def check_drained(self) -> None:
        """See ``EngineCore``. From any thread, finalizers and signal handlers included."""
        # One question at a time is enough: the supervisor's thread takes the flag back before it looks, so whatever
        # happened before a caller found the flag set is seen by that look.
        if not self._drain_check_pending:
            self._drain_check_pending = True
            self._inbox.put(_CHECK_DRAINED)

    def _supervise(self) -> None:
        next_tick = monotonic() + self.interval
        self.step(ev.Started(), monotonic())
        self._begun.set()
        while not self.finished.is_set():
            try:
                event = self._inbox.get(True, self._patience(next_tick))
            except queue.Empty:
                event = ev.Wakeup()
            self._handle(event)
            now = monotonic()
            if now >= next_tick:
                next_tick = now + self.interval
                self.tick(now)
        # What came in behind the last event. A worker that reports later than this finds ``finished`` set, and drops
        # its task itself.
        while True:
            try:
                self._handle(self._inbox.get_nowait())
            except queue.Empty:
                return

    def _handle(self, event: Any) -> None:
        if event is _CHECK_DRAINED:
            self._drain_check_pending = False
            self.answer_drained(monotonic())
        else:
            self.step(event, monotonic())

    def _patience(self, next_tick: float) -> float:
        now = monotonic()
        parent = self.config.ctx
        if parent is not None and not self.door and parent.cancelled:
            self._parent_ended()
        return min(max(0.0, self.next_moment(now, next_tick) - now), threading.TIMEOUT_MAX)

    def left(self, worker: Worker) -> None:
        """See ``EngineCore``."""
        self._remember(worker.thread)

    def _remember(self, thread: threading.Thread) -> None:
        """Remembers a thread that is about to end, for ``wait_finished`` to join."""
        self._leaving = [other for other in self._leaving if other.is_alive()]
        self._leaving.append(thread)

    # -- for submit -----------------------------------------------------------------------------------------------

    def level(self, priority: object) -> deque[TaskFuture[Any]]:
        """Returns where tasks of this priority are queued; raises ``ValueError`` for what is no priority."""
        if isinstance(priority, int) and not isinstance(priority, bool) and int(priority) in list(Priority):
            return self.queue.levels[priority]
        raise ValueError(f"priority must be one of {', '.join(map(str, Priority))}, got {priority!r}")

    def slot_wait(self) -> SlotWait | None:
        """Returns what ``submit`` keeps its slot in, or None where the queue is not bounded."""
        return None if self.queue_slots is None else SlotWait()

    def admit(self, slot: SlotWait | None, block: bool, timeout: float | None) -> None:
        """Asks for whatever ``submit`` needs before it may queue; raises ``QueueFull`` or ``ShutdownError``."""
        if self.door:
            raise self.shutdown_error()
        check_queue_timeout(timeout)
        if self.queue_slots is not None:
            self.queue_slots.acquire(block, timeout, self.waits.enter, self.waits.leave, slot)
            if self.refusal:  # closed meanwhile
                raise self.shutdown_error()
        if self.collector is not None:
            self.hooks.arrival()

    def unsubmitted(self, number: int, slot: SlotWait | None) -> None:
        """Takes back the number and the slot, if any, of a ``submit`` that failed or was interrupted."""
        if slot is not None and slot.served and self.queue_slots is not None:
            self.queue_slots.release()
        if number:
            self.counters.note("refused")
            self.check_drained()

    def follow_up(self, future: TaskFuture[Any], priority: int) -> bool:
        """Sees to what ``submit`` has queued. True if the door was closed behind it and the task was not accepted."""
        if self.backend is not None and priority != Priority.NORMAL:
            self.backend.overtake(priority)
        # No task gets lost in the door: ``submit`` queues its task and *then* looks at the door; ``close`` closes the
        # door and *then* looks whether anything is outstanding. A task that finds the door closed behind it is taken
        # back by its own submitter. That is an ending in its log, so a worker that got there first wins.
        return self.closed and future._end(Ending(self.shutdown_error()))

    # -- workers --------------------------------------------------------------------------------------------------

    def start_worker(self, seat: ev.Seat) -> None:
        """See ``Driver``."""
        worker = self.workers[seat] = Worker(self, seat)
        try:
            worker.thread.start()
        except Exception as error:
            if self._exiting and isinstance(error, RuntimeError):
                self._threadless_workers.put(worker)
            else:  # the system has no more threads, or no memory for one
                self.creation_failed(seat, error)

    def retire(self, count: int) -> None:
        """See ``Driver``."""
        self.queue.retire(count)

    # -- the pool of run_task -------------------------------------------------------------------------------------

    @property
    def available_resources(self) -> int:
        """How many resources of ``run_task``'s pool are idle."""
        return self.pool.available

    @property
    def run_task_meter(self) -> Meter:
        """What the calls of ``run_task`` measured."""
        return self.run_task.meter

    def refill_pool(self) -> None:
        """See ``Driver``."""
        try:
            self._start_thread(self._refill, "refill")
        except Exception as error:  # no more threads
            self.report(ev.PoolRefillFailed(describe(error)))

    def _refill(self) -> None:
        try:
            self.pool.refill()
        except BaseException as error:
            self.report(ev.PoolRefillFailed(describe(error)))
        else:
            self.report(ev.PoolRefilled())

    def _start_thread(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=f"{self.config.name}-{name}", daemon=True)
        thread.start()
        self._remember(thread)

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Accepts no more tasks. From any thread; harmless when repeated, the first reason stays."""
        with self.counters.lock:
            self.must_follow_up = True
            self.move_door(DoorMove.CLOSE, self.shutting_down(reason))
        if self.queue_slots is not None:
            self.queue_slots.close()
        self.check_drained()

    def _parent_ended(self) -> None:
        self.close("its parent context ended")
        self.report(ev.StopRequested("its parent context ended"))

    def request_stop(self, reason: str, timeout: float | None = None) -> None:
        """Begins a graceful stop; does not wait. From any thread."""
        self.report(self.stop_event(reason, timeout))

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill; does not wait. From any thread, finalizers included: it takes no lock."""
        self.report(self.kill_event(reason, timeout))

    def cancel_running(self) -> None:
        """See ``Driver``. In a thread of its own, since callbacks of ``Context.on_cancel`` may take their time."""
        try:
            self._start_thread(self._cancel_all, "cancel")
        except Exception:  # no more threads
            self._cancel_all()

    def _cancel_all(self) -> None:
        try:
            if self.backend is not None:
                self.backend.cancel_all(TaskKilled(self.refusal))
        finally:
            self.cancel_contexts()

    def running_contexts(self) -> list[Context]:
        """See ``EngineCore``."""
        running = [worker.shard.future for worker in list(self.workers.values())]
        contexts = [getattr(future, "_context", None) for future in running]
        return [context for context in contexts if context is not None]

    def finish(self) -> None:
        """See ``Driver``."""
        self.forget_parent()
        if not self._waiter_closes_pool:
            self.pool.close()
        if self.backend is not None:
            self.backend.finish()
        self.ended_at = monotonic()
        self.finished.set()
        self._threadless_workers.put(None)

    def end(self, kill: bool, reason: str, timeout: float | None) -> StopReport:
        """Ends the engine and waits for that; see ``TaskManager.stop`` and ``kill``."""
        since = monotonic()
        self._waiter_closes_pool = self._waiter_closes_pool or timeout is None
        self.close(reason)
        if kill:
            assert timeout is not None
            self.request_kill(reason, timeout)
        else:
            self.request_stop(reason, timeout)
        return self.wait_finished(since, timeout)

    def wait_finished(self, since: float, limit: float | None) -> StopReport:
        """Waits for the end, and for the threads; ``limit`` seconds at most."""
        end = None if limit is None else since + limit + 0.5
        try:
            self.finished.wait(_left_until(end))
        except BaseException:
            self._waiter_closes_pool = False
            raise
        if end is None and self.killed:
            end = monotonic() + self.config.cancel_grace  # a callback of ``Context.on_cancel`` may hang
        for thread in (self.thread, *self._leaving):
            if thread.ident is not None:
                thread.join(_left_until(end))
        if self._waiter_closes_pool and self.finished.is_set():
            self.pool.close()
        return self.stop_report(since, self.ended_at if self.finished.is_set() else monotonic())

    # -- the exit of the interpreter, and fork --------------------------------------------------------------------

    def begin_exit(self) -> None:
        """See ``interpreter_exit``."""
        self._exiting = self._waiter_closes_pool = True
        self.request_stop("the interpreter exits")

    def finish_at_exit(self) -> None:
        """Waits for the end, and meanwhile runs the workers that can get no thread any more."""
        while (worker := self._threadless_workers.get()) is not None:
            worker.run()
        self.wait_finished(0.0, None)

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one that the engine was made in."""
        return self.door is Door.FORKED

    def forked(self) -> None:
        """See ``interpreter_exit``."""
        # Whatever thread held a lock in the parent does not exist here, so the locks come first.
        self.counters.renew_locks()
        self.run_task.meter.lock = threading.RLock()
        self.pool.renew_lock()
        text = f"task manager {self.config.name!r} was inherited through fork: its threads exist in the parent only"
        self.move_door(DoorMove.FORK, text)


def _left_until(end: float | None) -> float | None:
    return None if end is None else min(max(0.0, end - monotonic()), threading.TIMEOUT_MAX)
