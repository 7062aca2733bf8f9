"""The engine core: what the threaded and the asyncio engine have in common, without a thread or a loop.

An engine takes events one at a time (``step``), asks the supervisor, and carries its actions out through one table
(``effects``). Around that it keeps the counters, the supervisor's latest view, the door, the hooks and the log. What is
left to a driver is *when*: how events get here, what wakes up at the next moment, how a task is started and ended.
"""

from __future__ import annotations

import abc
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Generic, TypeVar

from tasker.config import Config
from tasker.context import Context, RootContext, RunTaskRoot
from tasker.control import events as ev
from tasker.control.lifecycle import Door, DoorMove, Phase, door_moved
from tasker.control.rates import SlidingRate
from tasker.control.retries import most_retries
from tasker.control.retry_budget import Loan
from tasker.control.supervisor import Supervisor
from tasker.control.view import View
from tasker.control.workers import WorkerState
from tasker.core.census import enrol
from tasker.core.counters import Counters, Flow
from tasker.core.effects import Effects, fault_at
from tasker.core.hooks import Hooks
from tasker.core.limits import LimitsDriver, TimeLimits
from tasker.core.long_tasks import LongTasks
from tasker.core.memory import memory_use
from tasker.core.origins import Origins
from tasker.core.pauses import Answer, QuietWaits
from tasker.core.planning import load_of, new_bounds, plan_of
from tasker.core.ports import AgingPool, JudgedWaits, RemoteBackend, WorkerPort
from tasker.core.quarantine import QuarantineRecord
from tasker.core.refreshes import Refreshes
from tasker.core.report import built_in_metrics
from tasker.core.retry_credit import RetryCredit
from tasker.errors import ShutdownError, TaskKilled
from tasker.logs import GuardedLogger, describe, formatted
from tasker.metrics.meter import Meter
from tasker.metrics.protocol import MetricsCollector
from tasker.stats import ShutdownCounts, StopReport

HOUSEKEEPING = 1.0
"""Seconds between two ticks where scaling is off."""
_WORKER_GONE = (ev.WorkerEnded, ev.WorkerDied, ev.CreationFailed)

W = TypeVar("W", bound=WorkerPort)


class EngineCore(LimitsDriver, Generic[W]):
    """See the module's docstring."""

    backend: RemoteBackend | None
    """Where the resources live, if not in this process."""
    effects: Effects
    """Of the engine as a whole, which is their ``Driver``."""
    pool: AgingPool
    """The resources of ``run_task``."""
    patience: float = 0.5
    """Seconds beyond the deadline of a ``stop`` or ``kill`` for the supervisor, which keeps it, to get there on a busy machine."""
    dropping: float = 0.1  # likewise, for queued tasks to be dropped; the rest of them is, while the caller goes on
    waits: JudgedWaits
    """The waits of this engine's workers for tasks of their own."""

    def __init__(self, config: Config[Any]) -> None:
        now = monotonic()
        self.now: Callable[[], float] = monotonic
        """The clock of the events."""
        self.config: Config[Any] = config
        self.collector: MetricsCollector | None = config.collector
        self.counters: Counters = Counters()
        if config.debug:
            self.counters.origins = Origins()
        self.log: GuardedLogger = GuardedLogger(config.logger, config.name, lambda: self.counters.note("user_errors"))
        self.retry_credit: RetryCredit = RetryCredit(self.counters, config.retry, self.log)
        self.hooks: Hooks = Hooks(config, self.log)
        self.root: RootContext = RootContext(config.ctx)
        self.run_task_root: RunTaskRoot = RunTaskRoot(config.ctx)
        self.supervisor: Supervisor = Supervisor(plan_of(config), random.Random(), now)
        self.view: View = self.supervisor.view()
        self.arrivals: SlidingRate = SlidingRate(config.rate_window, now)
        self.completions: SlidingRate = SlidingRate(config.rate_window, now)
        self.door: Door = Door.OPEN
        self.refusal: str = ""
        self.alert: bool = False
        """Whether workers have to look, after each task, whether they go on as before: at the door, and at ``outdated``."""
        self.refreshes: Refreshes = Refreshes()
        self.limits: TimeLimits = TimeLimits(self)
        self.must_admit: bool = (
            config.max_queue_size is not None or config.collector is not None or self.limits.by_default
        )
        """Whether ``submit`` has to call ``admit`` before it queues; always once the door is closed."""
        self.bounds: tuple[int, int] = (config.worker_count, config.most_workers)
        """What the user last asked for; the supervisor's view follows."""
        self.workers: dict[ev.Seat, W] = {}
        self.inherited: dict[ev.Seat, W] = {}
        """In a forked child, the workers of the parent."""
        self.creation_error: BaseException | None = None
        self.quarantine: QuarantineRecord = QuarantineRecord()
        self.shutdown_counts: ShutdownCounts = ShutdownCounts()
        self.long_tasks: LongTasks | None = (
            None if config.stuck_after is None else LongTasks(config.stuck_after, self.log)
        )
        self.quiet_waits: QuietWaits = QuietWaits()
        self.ended_at: float = now
        self._told_leaks = False
        self.forget_parent: Callable[[], None] = lambda: None
        enrol(self)

    # -- events ---------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def report(self, event: ev.Event) -> None:
        """Hands an event to the supervisor."""

    @abc.abstractmethod
    def check_drained(self) -> None:
        """Has ``answer_drained`` called soon, between two events. Cheap, harmless when repeated, from anywhere."""

    @property
    @abc.abstractmethod
    def ended(self) -> bool:
        """Whether the supervisor handles no more events."""

    @property
    @abc.abstractmethod
    def levels(self) -> Sequence[Sequence[Any]]:
        """The levels of the queue, most urgent first."""

    @property
    @abc.abstractmethod
    def run_task_meter(self) -> Meter:
        """What the calls of ``run_task`` measured."""

    @property
    @abc.abstractmethod
    def urgent_tasks(self) -> int:
        """How many tasks of high priority wait."""

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return self.config.burst_interval or HOUSEKEEPING

    def step(self, event: ev.Event, now: float) -> None:
        """Handles one event. A fault of the supervisor is logged and counted; the next event is handled all the same."""
        if isinstance(event, _WORKER_GONE):
            worker = self.workers.pop(event.seat, None)
            if worker is not None:
                self.left(worker)
            if self.door is not Door.OPEN:
                self.check_drained()
        elif type(event) is ev.AttemptFailed:
            self.retry_credit.settle(event.policy or self.config.retry)
        watched = None if (teller := self.hooks.teller) is None else teller.watch(event)
        try:
            actions = self.supervisor.handle(event, now)
        except BaseException as error:  # even a SystemExit, which would end the thread or the loop that this runs in
            fault_at(event, error, self.effects, self.log)
            return
        # The view goes first: an action may start what looks at it.
        self.view = self.supervisor.view()
        if watched is not None:
            watched(actions, now)
        for action in actions:
            self.effects.carry_out(action)
        if self.view.awaits_pool and not self.pool.ages.outdated:
            self.step(ev.PoolCurrent(), now)
        if self.quiet_waits:
            self.quiet_waits.settle(self.view.phase)
        self.limits.look(now)

    def judge_waits(self, now: float, *, tick: bool = False) -> None:
        """Looks for deadlocks. To be called once every event that was reported is handled: a wait that follows a resize
        must not be judged by the former bounds. ``tick``: whether the interval of the ticks has passed."""
        try:
            self.waits.judge(now, tick=tick)
        except Exception as error:
            self.log.fault("the search for deadlocks", error)

    def tick(self, now: float) -> None:
        """Lets the supervisor decide about the number of workers."""
        tasks = [worker.shard.future for worker in list(self.workers.values())]
        if self.long_tasks is not None:
            self.long_tasks.look(list(self.workers.values()), now)
        memory = None if self.config.max_memory is None else memory_use()
        self.step(ev.Tick(load_of(self.sample_rates(now), self.levels, now, tasks, memory)), now)

    def answer_drained(self, now: float) -> None:
        """Looks, after a stop or kill, whether anything is outstanding (if not, workers may end); in a pause, whether anything runs."""
        # Between the closing of the door and the supervisor's hearing of it nothing is awaited yet. That loses nothing:
        # its answer to the request, ``RefuseTasks``, closes the door again and so has this called again.
        if self.view.awaits_drain and not self.outstanding():
            self.step(ev.Drained(), now)
        elif self.view.awaits_quiet and self.is_quiet():
            self.step(ev.Quiet(), now)

    @abc.abstractmethod
    def is_quiet(self) -> bool:
        """Returns whether no task runs, and none can start while the door is ``PAUSED``."""

    def await_quiet(self, answer: Answer) -> None:
        """See ``QuietWaits.add``. To be called between two events."""
        self.quiet_waits.add(answer, self.view.phase)

    def outstanding(self) -> bool:
        """Returns whether the end of the manager still has to wait for a task."""
        return self.counters.flow().outstanding > 0

    def left(self, worker: W) -> None:
        """A worker is about to end; an engine whose end has to wait for that notes it here."""

    def next_moment(self, now: float, next_tick: float) -> float:
        """Returns when there is something to do next though nothing is reported (the clock of ``now``)."""
        moments = [next_tick, self.supervisor.wakeup(now)]
        if (judgement := self.waits.moment) is not None and judgement > now:
            moments.append(judgement)
        if self.config.ctx is not None and not self.closed:
            moments.append(self.config.ctx.deadline)
        return self.limits.next_look(min(moment for moment in moments if moment is not None))

    def sample_rates(self, now: float) -> Flow:
        """Brings the two rates up to date."""
        with self.counters.lock:
            flow = self.counters.flow()
            self.arrivals.sample(now, flow.accepted)
            self.completions.sample(now, flow.done)
        return flow

    def creation_failed(self, seat: ev.Seat, error: BaseException) -> None:
        """A worker could not get its resource, or nothing to run in."""
        worker = self.workers.get(seat)
        if worker is None or worker.state is not WorkerState.STUCK:  # else this is how it was interrupted
            self.creation_error = error
        self.log.log("debug", "on_create raised %s\n%s", describe(error), formatted(error))
        self.report(ev.CreationFailed(seat, describe(error)))

    def lend(self, task: Any, loan: Loan) -> None:
        """See ``Driver``."""
        self.retry_credit.lend(task, loan, self.on_success)

    @abc.abstractmethod
    def on_success(self, task: Any, call: Callable[[], None]) -> None:
        """Has ``call`` made if the task succeeds."""

    def max_retries_of(self, task: Any) -> int:
        """See ``Driver``."""
        return most_retries(task._retry or self.config.retry, self.config.max_retries)

    def dependency_down(self, error: BaseException, begun: float) -> None:
        """``check_health`` has said so of an error in an attempt that began at that moment."""
        self.creation_error = error
        self.report(ev.DependencyDown(describe(error), begun))

    def resize(self, worker_count: int | None, max_worker_count: int | None) -> None:
        """See ``TaskManager.resize``."""
        self.bounds = base, most = new_bounds(self.config, self.bounds, worker_count, max_worker_count)
        self.keep_workers(base)
        self.report(ev.Resized(base, most))

    @abc.abstractmethod
    def keep_workers(self, count: int) -> None:
        """So many workers are always kept. Where it is none, ``submit`` has to report ``TaskWaits``."""

    def refresh(self, notify: Callable[[bool], object]) -> int:
        """Returns the number of a refresh, for ``begin_refresh``. ``notify``: see ``Refreshes.add``. Raises ``ShutdownError``."""
        if self.closed:
            raise self.shutdown_error()
        return self.refreshes.add(notify)

    def begin_refresh(self, number: int) -> None:
        """See ``TaskManager.refresh``."""
        self.report(ev.RefreshRequested(number))
        if self.ended:  # meanwhile, perhaps after all others were told
            self.refreshes.over(number, refreshed=False)

    # -- the door -------------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether no task is accepted any more."""
        # Not by the name of the class: a manager that is collected at the interpreter's exit may find it gone from this module.
        return self.door >= type(self.door).CLOSED

    @property
    def paused(self) -> bool:
        """Whether no task may start for the time being."""
        return self.door is Door.PAUSED

    @property
    def killed(self) -> bool:
        """Whether no task may start any more."""
        return self.door >= Door.KILLED

    @property
    def barred(self) -> bool:
        """Whether no task may start now."""
        return self.paused or self.killed

    @property
    def is_forked(self) -> bool:
        """Whether this process is a fork of the one in which the engine was made."""
        return self.door is Door.FORKED

    def move_door(self, move: DoorMove, refusal: str) -> bool:
        """Moves the door; ``refusal`` is the reason that callers get from now on, if that closes it. True if it was not closed. The
        caller holds whatever keeps two threads from moving it at once."""
        was_open, door = not self.closed, door_moved(self.door, move)
        if door >= Door.CLOSED:
            if was_open or move is DoorMove.FORK:
                # Before the door: a thread that finds it closed reads why.
                self.refusal = refusal
            self.must_admit = self.alert = True
        self.door = door
        return was_open

    def shutting_down(self, reason: str) -> str:
        """Returns why no task is accepted, in words."""
        return f"task manager {self.config.name!r} is shutting down: {reason}"

    def disable(self, missing: str) -> None:
        """Refuses all work, in a forked child that lacks what the engine needs."""
        # The resources, the numbers and the threads are the parent's: the child reports nothing and destroys nothing.
        self.counters.renew_locks()
        self.hooks.forked()
        self.limits.forked()
        self.move_door(DoorMove.FORK, f"task manager {self.config.name!r} was inherited through fork: {missing}")
        # Kept, because a resource that is collected may end a session that the parent still uses.
        self.inherited, self.workers = self.workers, {}

    def shutdown_error(self) -> ShutdownError:
        """Returns the error of a task that is not accepted."""
        return ShutdownError(self.refusal)

    # -- the end --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def running_contexts(self) -> Iterable[Context]:
        """Returns the contexts of the tasks that workers run now."""

    def cancel_contexts(self) -> None:
        """Cancels the contexts of all tasks, as a kill does. What callbacks of ``Context.on_cancel`` raise is logged."""
        error = TaskKilled(self.refusal)
        # A callback may take long, so both roots come before the first one: every task that asks or waits learns of the kill.
        # The root does not know the callbacks, so the contexts of the running tasks follow: of those that ran before it, because a
        # task that sees the root cancelled may end before it is looked up; and of those that run after it, because one may have
        # started and registered a callback in between. A task that registers one later finds the root cancelled.
        running = list(self.running_contexts())
        due = [self.root._strike(error), self.run_task_root._strike(error)]
        due += [partial(context.cancel, error) for context in (*running, *self.running_contexts())]
        for call in due:
            try:
                call()
            except BaseException as fault:
                self.log.fault("a callback of Context.on_cancel", fault)

    def stop_event(self, reason: str, timeout: float | None, hand_back: bool = False) -> ev.StopRequested:
        """Returns the request of a stop that turns into a kill shortly before ``timeout`` seconds have passed, so that
        what the kill does is done by then."""
        if timeout is None:
            return ev.StopRequested(reason, hand_back=hand_back)
        # Where tasks can be interrupted, their resources are destroyed afterwards, which takes some time.
        grace = min(0.1 if self.backend is None else 1.0, timeout / 5)
        return ev.StopRequested(reason, monotonic() + timeout - grace, grace, hand_back)

    def kill_event(self, reason: str, timeout: float) -> ev.KillRequested:
        """Returns the request of a kill that leaves behind what still runs after ``timeout`` seconds."""
        return ev.KillRequested(reason, monotonic() + timeout)

    def stop_report(self, since: float, end: float) -> StopReport:
        """Returns how the manager ended; ``since``: when that was asked for."""
        metrics = built_in_metrics(self)
        return StopReport(
            killed=self.door is Door.KILLED,
            killed_tasks=self.shutdown_counts.killed_tasks,
            abandoned=tuple(self.shutdown_counts.abandoned),
            seconds=max(0.0, end - since),
            completed_tasks=metrics.total_tasks_completed,
            failed_tasks=metrics.total_tasks_failed,
            cancelled_tasks=metrics.total_tasks_cancelled,
            stacks=tuple(self.shutdown_counts.stacks),
            delayed_tasks=self.shutdown_counts.delayed_tasks,
            leaked=self._leaked(),
            handed_back=tuple(self.shutdown_counts.handed_back),
        )

    def _leaked(self) -> tuple[str, ...]:
        """Returns whose resources were not destroyed although the manager has ended; logs it, the first time."""
        origins = self.counters.origins
        if origins is None or self.view.phase is not Phase.STOPPED or self.is_forked:
            return ()
        if (leaked := origins.living) and not self._told_leaks:
            self._told_leaks = True
            self.log.log("warning", "not destroyed: %s", "\n".join(leaked))
        return leaked
