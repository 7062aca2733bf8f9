"""InlineDriver: carries out what the supervisor decides, in the calling thread."""

from __future__ import annotations

import abc
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import DoorMove
from tasker.control.supervisor import Supervisor
from tasker.control.view import View
from tasker.core.effects import Effects
from tasker.core.flag import Flag
from tasker.core.inline_tries import InlineTries
from tasker.core.planning import plan_of
from tasker.errors import TaskTimeout
from tasker.logs import describe
from tasker.metrics.meter import Meter
from tasker.metrics.protocol import TaskLifecycleTimestamps
from tasker.threads.future import TaskFuture
from tasker.threads.owner import FutureOwner
from tasker.threads.pool_prober import ThreadPoolProber
from tasker.threads.resource_pool import ResourcePool
from tasker.threads.run_task import RunTask

from .clock import ManualClock
from .clocked_context import ClockedFace, ClockedLimitedFace, ClockedRoot, ClockedRunTaskRoot
from .inline_maker import InlineMaker
from .inline_waits import InlineWaits
from .inline_worker import InlineHost, InlineWorker, limited_on


class InlineDriver(FutureOwner, abc.ABC):
    """Implements what an engine is asked to do. When it is asked is the affair of ``InlineEngine``."""

    backend: None = None
    workers: dict[ev.Seat, InlineWorker]  # type: ignore[assignment]

    def __init__(self, config: Config[Any], clock: ManualClock) -> None:
        super().__init__(config)
        self.clock: ManualClock = clock
        self.now: Callable[[], float] = clock.now
        self._inbox: deque[Any] = deque()
        self.put_event: Callable[[ev.Event], None] = self._inbox.append
        """Does what ``report`` does."""
        # The workers themselves see what has taken too long, when it has returned: nothing else happens before. The same jitter
        # each time.
        no_limits = {"create_timeout": None, "check_timeout": None, "return_timeout": None, "destroy_timeout": None}
        plan = replace(plan_of(config), interrupts=False, **no_limits)  # type: ignore[arg-type]
        self.supervisor: Supervisor = Supervisor(plan, random.Random(0), clock.now())
        self.view: View = self.supervisor.view()
        self.root: ClockedRoot = ClockedRoot(config.ctx, clock)
        self.run_task_root: ClockedRunTaskRoot = ClockedRunTaskRoot(config.ctx, clock)
        self.waits: InlineWaits = InlineWaits(self)  # type: ignore[assignment]
        self.finished: Flag = Flag()
        self.emptied: Flag = Flag()
        self.maker: InlineMaker = InlineMaker(config, self.counters, self.log, clock)
        self.pool: ResourcePool = ResourcePool(self, self.maker, config.pool_size, config.max_temporary_resources)
        self.prober: ThreadPoolProber = ThreadPoolProber(self, self.pool, self.help, lambda _: None)
        self.run_task: RunTask = RunTask(self)
        self.new_host: Callable[[Any], InlineHost] = lambda worker: InlineHost(self.maker, worker)
        self.effects: Effects = Effects(self)
        self.thread: threading.Thread = threading.Thread()
        """Never started: there is no supervisor's thread."""
        self._due_retirements = 0

    def help(self, target: Callable[[], None], name: str, what: str) -> threading.Thread:
        """See ``ThreadEngineForRunTask``. There are no other threads."""
        target()
        return self.thread

    def report(self, event: ev.Event) -> None:
        """See ``EngineCore``. It is handled when a call is about to return."""
        self._inbox.append(event)

    def keep_workers(self, count: int) -> None:
        """See ``EngineCore``. ``submit`` looks each time."""

    @property
    def ended(self) -> bool:
        """See ``EngineCore``."""
        return self.finished.is_set()

    @abc.abstractmethod
    def run_until(self, done: Callable[[], object], timeout: float | None, what: object) -> bool:
        """See ``RunsTasks``."""

    # -- workers --------------------------------------------------------------------------------------------------

    def start_worker(self, seat: ev.Seat) -> None:
        """See ``Driver``. Its resource is made when it gets a task."""
        self.workers[seat] = InlineWorker(self, seat)

    def retire(self, count: int) -> None:
        """See ``Driver``."""
        self._due_retirements += count

    def park(self, count: int) -> None:
        """See ``Driver``. Never called: nothing is tried without ticks."""

    # -- pauses ---------------------------------------------------------------------------------------------------

    def hold_tasks(self) -> None:
        """See ``Driver``: while the door says so, ``run_next`` runs nothing."""
        self.check_drained()

    def release_tasks(self) -> None:
        """See ``Driver``."""

    def is_quiet(self) -> bool:
        """See ``EngineCore``."""
        busy = any(worker.busy for worker in self.workers.values())
        return not busy and not self.counters.flow().inline_running

    # -- time limits ----------------------------------------------------------------------------------------------

    @property
    def ends_by_force(self) -> bool:
        """See ``LimitsDriver``. Nothing can go on in virtual time while something else is done."""
        return True

    def limit(self, future: TaskFuture[Any], timeout: float | None, deadline: float | None) -> None:
        """See ``FutureOwner``. The worker itself notes when its attempts begin."""
        future._limited = self.limits.of_submission(future, timeout, deadline)
        self.keep_deadline(future)

    def limited_inline(self, tries: InlineTries) -> Callable[..., Any]:
        """See ``ThreadEngineForRunTask``."""
        limited, grace = tries.limited, self.config.cancel_grace

        def on_the_clock(ctx: Context, resource: Any, *args: Any) -> Any:
            face: Context = ClockedFace(ctx) if limited is None else ClockedLimitedFace(ctx, limited)
            with limited_on(self.clock, grace, limited, ctx):
                return tries.task(face, resource, *args)

        return on_the_clock

    def pause_caller(self, tries: InlineTries) -> None:
        """See ``ThreadEngineForRunTask``."""
        if not tries.hurried:
            self.clock.advance_to(tries.until)

    def wake_up(self) -> None:
        """See ``LimitsDriver``. Each call that is about to return looks."""

    def cancel_attempt(self, task: Any, context: Context, error: TaskTimeout) -> None:
        """See ``LimitsDriver``."""
        context.cancel(error)

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
        try:
            self.pool.refill()
        except BaseException as error:
            self.report(ev.PoolRefillFailed(describe(error)))
        else:
            self.report(ev.PoolRefilled())

    def renew_pool(self) -> None:
        """See ``Driver``."""
        try:
            renewed = self.pool.renew_idle()
        except BaseException as error:
            self.report(ev.PoolRefillFailed(describe(error)))
        else:
            self.report(renewed)

    def close_pool(self) -> None:
        """See ``Driver``."""
        self.pool.close()
        self.report(ev.PoolClosed())

    def abandon_pool(self) -> None:
        """See ``Driver``: there is nothing to wait for."""

    # -- the end --------------------------------------------------------------------------------------------------

    def request_kill(self, reason: str, timeout: float) -> None:
        """For a manager that is collected: accepts no more tasks. A finalizer must not call functions of the user's."""
        self.close(reason)

    def close(self, reason: str) -> None:
        """See ``Driver``."""
        with self.counters.lock:
            self.move_door(DoorMove.CLOSE, self.shutting_down(reason))
        if self.queue_slots is not None:
            self.queue_slots.close()
        self.check_drained()

    def _look_at_parent(self) -> None:
        parent = self.config.ctx
        if parent is not None and not self.closed and parent.cancelled:
            self._parent_ended()

    def _parent_ended(self) -> None:
        self.close("its parent context ended")
        self.report(ev.StopRequested("its parent context ended"))

    def cancel_running(self) -> None:
        """See ``Driver``."""
        self.cancel_contexts()

    def running_contexts(self) -> list[Context]:
        """See ``EngineCore``."""
        running = [worker.shard.future for worker in self.workers.values()]
        return [future._context for future in running if future is not None]

    def abandon_callbacks(self) -> list[str]:
        """See ``Driver``: none is ever left behind."""
        return []

    def finish(self) -> None:
        """See ``Driver``."""
        self.forget_parent()
        if not self.pool.closed:
            self.pool.close()
        self.ended_at: float = self.clock.now()
        self.finished.set()

    def _failed_in_queue(self, task: TaskFuture[Any], error: BaseException) -> None:
        now = task._finished_at = self.clock.now()
        stamps = TaskLifecycleTimestamps(task._queued_at, getattr(task, "_started_at", now), now)
        self.hooks.failure(stamps, task, error)
