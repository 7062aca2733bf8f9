"""The threaded engine: the driver of the engine core on threads.

One thread, ``<name>-supervisor``, takes events from the inbox one at a time, asks the supervisor, and carries the
actions out in order. The only user code that runs in it is the logger (guarded), and whatever should run in one of its
helper threads when the system has no more threads; it holds no lock meanwhile.

The engine has no reference to its ``TaskManager``, so a manager that is no longer referenced is collected, and its
``__del__`` can request a kill.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.core.daemon import Daemon
from tasker.core.effects import Effects
from tasker.core.flag import Flag
from tasker.core.fork import disable_in_children
from tasker.core.ports import RemoteBackend
from tasker.errors import TaskKilled
from tasker.metrics.meter import Meter
from tasker.stats import StopReport

from .callbacks import CallbackThread
from .future_log import Ending
from .helpers import HelperThreads, seconds_until
from .host import Host
from .owner import FutureOwner
from .pool_keeper import PoolKeeper
from .pool_prober import ThreadPoolProber
from .ports import HostedWorker
from .resource_pool import ResourcePool
from .resources import Maker, ResourceMaker
from .run_task import RunTask
from .this_thread import this_thread
from .worker import Worker
from .worker_loop import ThreadHost

_CHECK_DRAINED = object()
"""In the inbox: asks the supervisor's thread to check whether anything is still outstanding."""


class ThreadsBackendPort(RemoteBackend, ResourceMaker, Protocol):
    """The part of a backend that a threaded engine uses: makes hosts for workers, and resources for ``run_task``."""

    def host(self, worker: HostedWorker) -> Host:
        """Makes the host of a worker."""
        ...


class Engine(FutureOwner):
    """Drives the engine core on threads. Methods may be called from any thread, except those of ``Driver``."""

    backend: ThreadsBackendPort | None

    def __init__(self, config: Config[Any], open_backend: Callable[[Engine], ThreadsBackendPort] | None = None) -> None:
        super().__init__(config)
        self.finished: Flag = Flag()
        self.emptied: Flag = Flag()
        self.backend = None if open_backend is None else open_backend(self)
        self.maker: ResourceMaker = self.backend or Maker(config, self.counters, self.log)
        self.new_host: Callable[[HostedWorker], Host] = ThreadHost if self.backend is None else self.backend.host
        self.pool: ResourcePool = ResourcePool(self, self.maker, config.pool_size, config.max_temporary_resources)
        self.run_task: RunTask = RunTask(self)
        self.must_follow_up: bool = (
            self.backend is not None or config.when_unavailable == "fail" or not config.worker_count
        )
        """Whether ``submit`` has to call ``follow_up`` after queueing; always True once the door is closed."""
        self.effects: Effects = Effects(self)
        self._begun = Flag()
        self._drain_check_pending = self._exiting = False
        self._threadless_workers: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        """Workers that got no thread because the interpreter is exiting; the exiting thread runs them. None ends it."""
        # A SimpleQueue: its ``put`` may be called from finalizers and signal handlers.
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.put_event: Callable[[ev.Event], None] = self._inbox.put
        """Does what ``report`` does as one call of C, which no signal handler can interrupt."""
        self._helpers = HelperThreads(self)
        self.help: Callable[[Callable[[], None], str, str], threading.Thread] = self._helpers.start
        self._pool_keeper = PoolKeeper(self.pool, self, self._helpers)
        self.prober: ThreadPoolProber = ThreadPoolProber(self, self.pool, self.help, self._helpers.forget)
        self._callbacks = CallbackThread(self, self._helpers)
        self.thread: threading.Thread = Daemon(self._supervise, f"{config.name}-supervisor")

    def start(self) -> None:
        """Fills ``run_task``'s pool in this thread, then starts the supervisor and the workers. Raises
        ``ResourceError`` if the pool cannot be filled. If it is interrupted, the engine ends by itself."""
        disable_in_children(self)  # first: ``on_create`` may fork
        try:
            self.pool.fill()
        except BaseException:
            if self.backend is not None:
                self.backend.finish()
            raise
        # The supervisor's thread starts the workers, because Ctrl-C never strikes there. Waiting for it matters because
        # the program may end right after this call, and from CPython 3.12 on no thread can be started then.
        try:
            self.thread.start()
            self._begun.wait()
            # Last, because a parent that is cancelled already calls back at once.
            if self.config.ctx is not None:
                self.forget_parent: Callable[[], None] = self.config.ctx.on_cancel(self._parent_ended)
        except BaseException as error:
            self.request_kill("its start was interrupted", self.config.cancel_grace)
            self.pool.close()
            # With no thread, nothing handles the request. After Ctrl-C there is one, or it is about to begin.
            if self.backend is not None and isinstance(error, Exception) and self.thread.ident is None:
                self.backend.finish()
            raise

    # -- the supervisor's thread ----------------------------------------------------------------------------------

    def report(self, event: ev.Event) -> None:
        """Passes an event to the supervisor. May be called from finalizers and signal handlers."""
        self._inbox.put(event)

    def check_drained(self) -> None:
        """See ``EngineCore``. May be called from finalizers and signal handlers."""
        # One pending check is enough: the flag is cleared before it, so it sees what happened before the flag was found set.
        if not self._drain_check_pending:
            self._drain_check_pending = True
            self._inbox.put(_CHECK_DRAINED)

    def _supervise(self) -> None:
        self._callbacks.serve_this_thread()
        next_tick = monotonic() + self.interval
        self.step(ev.Started(), monotonic())
        self._begun.set()
        while not self.finished.is_set():
            try:
                next_tick = self._next_turn(next_tick)
            except BaseException as error:
                # Not of user code, which is guarded: an asynchronous exception, or no memory. Without this thread no stop ends.
                self.log.fault("the supervisor's thread", error)
        # Events that arrived behind the last one. ``finished`` is set by now, so a worker that reports after this loop
        # finds it set, and drops its task itself (``Worker.send_back``).
        while not self.is_forked:
            try:
                event = self._inbox.get_nowait()
            except queue.Empty:
                return
            try:
                self._handle(event)
            except BaseException as error:  # the next may be a task that has to get its outcome
                self.log.fault("the supervisor's thread", error)

    def _next_turn(self, next_tick: float) -> float:
        """Handles the next event, and ticks if it is time. Returns when the next tick is due."""
        try:
            event = self._inbox.get(True, self._seconds_to_wait(next_tick))
        except queue.Empty:
            event = ev.Wakeup()
        self._handle(event)
        # After each event, not only when the wait times out: a steady stream of events must not suppress the ticks.
        now = monotonic()
        due = now >= next_tick
        if due:
            next_tick = now + self.interval
            self.tick(now)
            self.queue.mend()
            if self.alert:
                self.look_after_renewals()
        if self._inbox.empty():
            self.judge_waits(now, tick=due)
        return next_tick

    def _handle(self, event: Any) -> None:
        if event is _CHECK_DRAINED:
            self._drain_check_pending = False  # before the check, see ``check_drained``
            self.answer_drained(monotonic())
        elif callable(event):
            event()
        else:
            self.step(event, monotonic())
        self._callbacks.pass_on_held(at_once=type(event) is ev.Wakeup or bool(self.door))

    def _seconds_to_wait(self, next_tick: float) -> float:
        now = monotonic()
        parent = self.config.ctx  # whose ``on_cancel`` does not report that its deadline has passed
        if parent is not None and not self.closed and parent.cancelled:
            self._parent_ended()
        return min(max(0.0, self.next_moment(now, next_tick) - now), self._callbacks.patience)

    def keep_workers(self, count: int) -> None:
        """See ``EngineCore``."""
        self.must_follow_up = self.must_follow_up or not count

    def resize(self, worker_count: int | None, max_worker_count: int | None) -> None:
        """See ``EngineCore``."""
        with self.counters.lock:  # of two threads that change one bound each, neither must undo the other's change
            super().resize(worker_count, max_worker_count)

    @property
    def ended(self) -> bool:
        """See ``EngineCore``."""
        return self.finished.is_set()

    def left(self, worker: Worker) -> None:
        """See ``EngineCore``."""
        self._helpers.remember(worker.thread)

    def soon(self, call: Callable[[], None]) -> None:
        """See ``Driver``. May be called from finalizers and signal handlers."""
        self._inbox.put(call)
        if self.finished.is_set():
            # As in ``Worker.send_back``: the supervisor's thread has emptied the inbox for the last time, or finds the call
            # there as well. Harmless: what is asked for so late, the notification of a bridge, may be repeated.
            call()

    # -- workers --------------------------------------------------------------------------------------------------

    def start_worker(self, seat: ev.Seat) -> None:
        """See ``Driver``."""
        worker = self.workers[seat] = Worker(self, seat)
        try:
            worker.thread.start()
        except Exception as error:
            # While the interpreter exits, CPython refuses to start threads. The queued tasks still need a worker.
            if self._exiting and isinstance(error, RuntimeError):
                self._threadless_workers.put(worker)
            else:  # the system has no more threads, or no memory for one
                self.creation_failed(seat, error)

    def retire(self, count: int) -> None:
        """See ``Driver``."""
        self.queue.retire(count)

    def park(self, count: int) -> None:
        """See ``Driver``."""
        self.queue.park(count)

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
        self._pool_keeper.refill()

    def renew_pool(self) -> None:
        """See ``Driver``."""
        self._pool_keeper.renew()

    def close_pool(self) -> None:
        """See ``Driver``."""
        self._pool_keeper.close(killing=self.killed)

    def abandon_pool(self) -> None:
        """See ``Driver``."""
        self._pool_keeper.abandon()

    # -- the end --------------------------------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Accepts no more tasks. Harmless if repeated: the first reason stays. Thread-safe."""
        # The lock orders two threads that move the door, and ``run_task``, which looks at the door and counts its task
        # under it. ``must_follow_up`` first: a ``submit`` that does not see it has queued before the door was closed.
        with self.counters.lock:
            self.must_follow_up = True
            self.move_door(DoorMove.CLOSE, self.shutting_down(reason))
        if self.queue_slots is not None:
            self.queue_slots.close()
        if threading.current_thread() is self.thread:  # not before: a stop that hands back first holds all workers
            self.queue.cooling.wake()
        self.check_drained()  # after the door was closed, see ``follow_up``

    def _parent_ended(self) -> None:
        self.close("its parent context ended")
        self.report(ev.StopRequested("its parent context ended"))

    def request_stop(self, reason: str, timeout: float | None = None, hand_back: bool = False) -> None:
        """Begins a graceful stop, and returns at once. May be called from any thread and from signal handlers."""
        self.report(self.stop_event(reason, timeout, hand_back))

    def request_kill(self, reason: str, timeout: float) -> None:
        """Begins a kill, and returns at once. Takes no lock, so signal handlers and finalizers may call it."""
        self.report(self.kill_event(reason, timeout))

    def cancel_running(self) -> None:
        """See ``Driver``."""
        self._helpers.cancel(self._cancel_all)

    def _cancel_all(self) -> None:
        try:
            if self.backend is not None:
                self.backend.cancel_all(TaskKilled(self.refusal))
        finally:
            self.cancel_contexts()

    def running_contexts(self) -> list[Context]:
        """See ``EngineCore``."""
        # A copy, because this runs beside the supervisor's thread, which adds and removes workers.
        running = [worker.shard.future for worker in list(self.workers.values())]
        contexts = [getattr(future, "_context", None) for future in running]
        return [context for context in contexts if context is not None]

    def finish(self) -> None:
        """See ``Driver``."""
        self._pool_keeper.ended()
        try:
            if self.backend is not None:
                self.backend.finish_apart()
            self.forget_parent()
        finally:
            self.ended_at: float = monotonic()
            # Last: from here on waiting threads return, and workers that report find no supervisor any more.
            self.finished.set()
            self._threadless_workers.put(None)

    def outstanding(self) -> bool:
        """See ``EngineCore``. Includes callbacks that the supervisor's thread has passed on."""
        return len(self._callbacks) > 0 or super().outstanding()

    def abandon_callbacks(self) -> list[str]:
        """See ``Driver``. Those that run in the threads of workers are abandoned with them."""
        return self._callbacks.abandon()

    def end(self, kill: bool, reason: str, timeout: float | None, hand_back: bool = False) -> StopReport:
        """Ends the engine, waits for it, and returns the report; see ``TaskManager.stop`` and ``kill``."""
        since = monotonic()
        self._pool_keeper.waiter_closes |= timeout is None
        # The door is closed in this thread, so no ``submit`` that begins after this call is accepted.
        self.close(reason)
        if kill:
            assert timeout is not None
            self.request_kill(reason, timeout)
        else:
            self.request_stop(reason, timeout, hand_back)
        return self.wait_finished(since, timeout)

    def wait_finished(self, since: float, limit: float | None) -> StopReport:
        """Waits for the end and for the threads, at most ``limit`` seconds after ``since``, and returns the report."""
        deadline = None if limit is None else since + limit
        end = None if deadline is None else deadline + self.patience
        try:
            if deadline is not None and not self.finished.wait(seconds_until(deadline + self.dropping)):
                end = deadline if self.emptied.wait(seconds_until(end)) else end
            else:
                self.finished.wait()
        except BaseException:  # interrupted: this thread will not close the pool
            self._pool_keeper.waiter_closes = False
            raise
        if end is None and self.killed:  # a callback of ``Context.on_cancel`` may hang
            end = deadline = monotonic() + self.config.cancel_grace
        self.shutdown_counts.abandoned += self._helpers.join(self.thread, end)
        if end is not None and self.finished.is_set():  # of refreshes, which the end of the manager ends
            self.shutdown_counts.abandoned += self._callbacks.abandon()
        # The supervisor is through, and it was another thread, without a limit, that had to close the pool.
        if self.finished.is_set() and not self._pool_keeper.complete(deadline):
            self.bar()
            self.effects.carry_out(act.Abandon((), pool=True))
        return self.stop_report(since, self.ended_at if self.finished.is_set() else monotonic())

    # -- the exit of the interpreter, and fork --------------------------------------------------------------------

    def begin_exit(self) -> None:
        """See ``interpreter_exit``."""
        self._exiting = self._pool_keeper.waiter_closes = True
        self.request_stop("the interpreter exits")

    def finish_at_exit(self) -> None:
        """Waits for the end, and runs the workers that cannot get a thread any more in this one."""
        while (worker := self._threadless_workers.get()) is not None:
            worker.run()
        self.wait_finished(0.0, None)

    def forked(self) -> None:
        """See ``core.fork``."""
        # A thread that held a lock during the fork does not exist here.
        self.run_task.meter.lock = threading.RLock()
        self.pool.forked()
        self._callbacks.forked()
        self.waits.renew_lock()
        self.renewals.forked()
        if self.queue_slots is not None:
            self.queue_slots.renew_lock()
        self.disable("its threads exist in the parent only")
        self.finished = Flag()
        self.finished.set()  # ends the supervisor, if it is the one that has forked
        if (worker := this_thread.worker) is not None and worker.engine is self and worker.shard.future is not None:
            # ``os.fork`` was called in this task. It goes on in both processes, but its outcome is the parent's: nothing behind
            # this entry counts here, and no watcher is notified.
            worker.shard.future._append(Ending(self.shutdown_error(), forced=True))
