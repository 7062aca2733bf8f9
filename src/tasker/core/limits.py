"""The time limits of the tasks of one manager: when each is due, and who acts on it.

A worker only notes that an attempt with a limit begins: one entry, for which it takes no lock and, most often, wakes no thread. The
supervisor's thread or loop, which wakes up several times a second anyway, files the entries in a timetable and acts on those
that are due. A task without a limit knows nothing of all this.

What becomes of an attempt is decided between two threads, that of the worker, which ends it, and that of the supervisor, which
gives it up, under a lock of the task: so exactly one of them counts it.
"""

from __future__ import annotations

import abc
import math
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.control.limits import (
    LimitMove,
    LimitName,
    Limits,
    LimitStage,
    LimitStep,
    checked_limits,
    limit_moved,
    limit_step,
)
from tasker.control.timetable import Timetable
from tasker.control.workers import WorkerState
from tasker.core.causes import set_cause
from tasker.core.hooks import Hooks
from tasker.core.long_tasks import UNKNOWN
from tasker.core.ports import WorkerPort
from tasker.errors import TaskTimeout
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import TaskLifecycleTimestamps


class LateReturn(BaseException):
    """Raised by an attempt that was given up meanwhile; ``__cause__``: what the task itself has raised, if it did."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """What an attempt has come to that a limit has ended."""

    error: TaskTimeout
    retries: bool
    """Whether another attempt may follow, as far as the limits are concerned."""
    blameless: bool
    """Whether the resource cannot be to blame, as it was not used."""


def may_retry(timed_out: TimedOut | None, *, sound: bool) -> bool:
    """Returns whether ``RetryPolicy.retry_on`` is to be asked. ``sound``: whether the resource is not to blame."""
    return sound if timed_out is None else timed_out.retries


def limits_of(limited: LimitedTask | None) -> tuple[float | None, float | None]:
    """Returns the timeout and the deadline of a task; None: it has none."""
    return (None, None) if limited is None else (limited._limits.timeout, limited._limits.deadline)


class LimitedTask:
    """The limits of one task, and how far it is. Keeps nothing of the task alive. Thread-safe."""

    __slots__ = ("_future", "_limits", "_lock", "_name", "_queued_at", "_stage", "context", "end", "error", "unused")

    def __init__(self, future: Any, limits: Limits) -> None:
        self._future: weakref.ref[Any] = weakref.ref(future)
        self._limits: Limits = limits
        self._queued_at: float = future._queued_at
        self._lock = threading.RLock()
        self._stage: LimitStage = LimitStage.WAITING
        self._name: LimitName = "timeout"
        self.end: float = math.inf
        """Until when the attempt may run."""
        self.context: Context | None = None
        """What is cancelled when a limit has passed, while an attempt runs."""
        self.error: TaskTimeout | None = None
        """The error of the present attempt, once its limit has passed."""
        self.unused: bool = False
        """Whether a worker has taken it and not called it, since it might not start any more."""

    @property
    def future(self) -> Any:
        """The task; None if it was collected, or has its outcome."""
        future = self._future()
        return None if future is None or future.done() else future

    def over(self) -> bool:
        """See ``Entry``."""
        return self.future is None

    @property
    def last_start(self) -> float:
        """Until when an attempt may start."""
        return self._limits.last_start(self._queued_at)

    def late(self, now: float) -> TaskTimeout | None:
        """Returns the error of a task that may not start any more; None if it may."""
        return None if now < self.last_start else self._timed_out("deadline", started=False)

    def timed_out(self) -> TaskTimeout:
        """Returns the error of the attempt, whose limit has passed."""
        found = self.error
        if found is None:
            made = self._timed_out(self._name, started=True)
            with self._lock:  # the supervisor and the task may find out at the same moment, and need the same error
                found = self.error = self.error or made
        return found

    def _timed_out(self, name: LimitName, *, started: bool) -> TaskTimeout:
        future = self._future()
        text = f"{'a task' if future is None else future.label} {self._limits.missed(name, started=started)}"
        return TaskTimeout(text, name, getattr(self._limits, name))

    # -- by the worker --------------------------------------------------------------------------------------------

    def start(self, context: Context, now: float) -> TaskTimeout | None:
        """An attempt begins. Returns the error of the task if it may not."""
        late = self.late(now)
        with self._lock:
            self.unused = False
            if late is not None:
                # Where that is noticed in another process too late, the attempt has begun all the same, and is cancelled.
                self.error, self._name = late, "deadline"
                return late
            self.error, self.context = None, context
            self.end, self._name = self._limits.of_attempt(self._queued_at, now)
            self._move(
                LimitMove.START
            )  # last: ``step`` takes no lock, and must not take the last attempt's end for this one's
            return None

    @property
    def given_up(self) -> bool:
        """Whether the task has ended without its attempt."""
        return self._stage is LimitStage.OVERDUE

    def skip(self) -> None:
        """It does not begin after all, since it may not start any more."""
        self.unused = True

    def ended(self) -> bool:
        """The attempt has ended, or was taken back. Returns False if it was given up before."""
        with self._lock:
            self.context = None
            self._move(LimitMove.END)
            return self._stage is not LimitStage.OVERDUE

    def outcome(self, error: BaseException, context: Context | None) -> TimedOut | None:
        """Returns what an attempt has come to that ended with ``error``; None if that has nothing to do with its limit.
        ``context``: that of the attempt, in which it was cancelled."""
        timed_out = self.error
        if timed_out is None:
            return None
        if self.unused:
            return TimedOut(timed_out, retries=False, blameless=True)
        cause = None if context is None else context.cause
        if cause is not None and cause is not timed_out:  # it was cancelled, or the manager killed, before that
            return None
        # Any error: a task may obey by having its socket closed, and fail with what that leads to.
        set_cause(timed_out, error)
        return TimedOut(timed_out, retries=self._name == "timeout", blameless=False)

    # -- by the supervisor ----------------------------------------------------------------------------------------

    def step(self, now: float, grace: float) -> LimitStep:
        """Returns what is to be done about it now."""
        return limit_step(self._stage, now, self.last_start, self.end, grace)

    def cancel(self, now: float = math.inf) -> Context | None:
        """The limit has passed. Returns the context to be cancelled, unless the attempt has ended, and another one begun."""
        with self._lock:
            if now < self.end or not self._move(LimitMove.CANCEL):
                return None
            self.timed_out()
            return self.context

    def give_up(self, count: Callable[[], object]) -> bool:
        """Has the task end without its attempt, and calls ``count``. Returns False if the attempt has ended."""
        with self._lock:
            given_up = self._move(LimitMove.GIVE_UP)
            if given_up:
                count()  # under the lock: the worker, which counts otherwise, is in the attempt until it has had it
            return given_up

    def _move(self, move: LimitMove) -> bool:
        after = limit_moved(self._stage, move)
        if after is not None:
            self._stage = after
        return after is not None


class LimitContext(Context):
    """The context of an attempt with a limit, as its task has it: it knows when it ends, and is cancelled then, even where the
    supervisor is late. Callbacks are called by the supervisor."""

    __slots__ = ("_limited",)

    def __init__(self, parent: Context, limited: LimitedTask) -> None:
        super().__init__(parent)
        self._limited = limited

    def _now(self) -> float:
        return monotonic()

    def _own_deadline(self) -> float:
        return self._limited.end

    def _expired(self) -> bool:
        if self._now() < self._limited.end:
            return False
        self._cause: BaseException | None = self._limited.timed_out()
        return True


class LimitsDriver(abc.ABC):
    """What acting on limits needs of an engine."""

    config: Config[Any]
    log: GuardedLogger
    hooks: Hooks
    workers: dict[ev.Seat, Any]
    backend: object
    door: Door
    now: Callable[[], float]
    soon: Callable[[Callable[[], None]], None]

    @property
    def ends_by_force(self) -> bool:
        """Whether a cancelled attempt that goes on is ended by force anyway, in its process."""
        return self.backend is not None

    @abc.abstractmethod
    def wake_up(self) -> None:
        """Has the supervisor look again when to wake up. From any thread, and from finalizers."""

    @abc.abstractmethod
    def expire(self, task: Any, error: TaskTimeout) -> None:
        """Ends a task that waits."""

    @abc.abstractmethod
    def cancel_attempt(self, task: Any, context: Context, error: TaskTimeout) -> None:
        """Cancels the context of a task that runs, and interrupts it if that is possible."""

    @abc.abstractmethod
    def end_overdue(self, task: Any, error: TaskTimeout) -> None:
        """Ends a task whose attempt still runs, and is counted as ended."""

    @abc.abstractmethod
    def step(self, event: ev.Event, now: float) -> None:
        """Handles an event."""

    @abc.abstractmethod
    def check_drained(self) -> None:
        """Has the engine look whether anything is still outstanding."""


class TimeLimits:
    """See the module's docstring."""

    def __init__(self, driver: LimitsDriver) -> None:
        config = driver.config
        self._driver = driver
        self._defaults = Limits(config.task_timeout, config.task_deadline)
        self.by_default: bool = self._defaults != Limits()
        """Whether tasks have limits of which nothing was said at their submission; see ``filled_in``."""
        self._new: deque[tuple[float, LimitedTask]] = deque()
        """What was not filed yet."""
        self._timetable: Timetable[LimitedTask] = Timetable()
        self._looks_at = math.inf
        """When the supervisor looks next; it has to be woken for what is due before that."""

    # -- by any thread --------------------------------------------------------------------------------------------

    def filled_in(self, timeout: float | None, deadline: float | None) -> tuple[float | None, float | None]:
        """Returns the limits of a submission, those of the configuration in place of None."""
        own = self._defaults
        return own.timeout if timeout is None else timeout, own.deadline if deadline is None else deadline

    def of_submission(
        self, future: Any, timeout: float | None, deadline: float | None, kind: type[LimitedTask] | None = LimitedTask
    ) -> LimitedTask | None:
        """Returns the limits of a task, those of the configuration filled in; None if it has none. Its deadline is kept from now
        on, except with ``kind`` None: from ``keep_deadline`` on. Raises ``TypeError`` or ``ValueError`` for wrong ones."""
        limits = checked_limits(*self.filled_in(timeout, deadline))
        if limits == Limits():
            return None
        limited = (kind or LimitedTask)(future, limits)
        if kind is not None:
            self.keep_deadline(limited)
        return limited

    def keep_deadline(self, limited: LimitedTask) -> None:
        """Has a task that waits end at its deadline, if it has one."""
        if limited.last_start != math.inf:
            self._file(limited, limited.last_start)

    def start(self, limited: LimitedTask, context: Context) -> None:
        """An attempt begins. Raises ``TaskTimeout`` if it may not."""
        if (late := self.begin(limited, context)) is not None:
            limited.skip()
            raise late

    def begin(self, limited: LimitedTask, context: Context) -> TaskTimeout | None:
        """As ``start``, but returns that error."""
        if (late := limited.start(context, monotonic())) is None:
            self._file(limited, limited.end)
        return late

    def _file(self, limited: LimitedTask, due: float) -> None:
        # Each step is atomic. Either the supervisor files it before it decides how long to sleep, or this finds out until when.
        self._new.append((due, limited))
        if due < self._looks_at:
            self._driver.wake_up()

    # -- by the supervisor ----------------------------------------------------------------------------------------

    def next_look(self, otherwise: float) -> float:
        """Returns when there is something to do; ``otherwise`` if nothing is due before that. The caller sleeps until then."""
        self._looks_at = math.inf  # whatever is added from here on wakes the caller up, until the moment is known
        while self._new:
            due, limited = self._new.popleft()
            self._timetable.add(limited, due)
        moment = self._timetable.moment
        self._looks_at = otherwise if moment is None else min(moment, otherwise)
        return self._looks_at

    def look(self, now: float) -> None:
        """Acts on what is due."""
        moment = self._timetable.moment
        if moment is None or moment > now:
            return
        for limited in self._timetable.take(now):
            try:
                self._act(limited, now)
            except BaseException as error:  # the others have their limits all the same
                self._driver.log.fault("the time limit of a task", error)

    def _act(self, limited: LimitedTask, now: float) -> None:
        driver, future = self._driver, limited.future
        # What is ended by force is never given up, although its deadline is looked at after its timeout and the grace: its
        # worker is not stuck, and counts it when the process is gone.
        grace = math.inf if driver.ends_by_force else driver.config.cancel_grace
        step = limited.step(now, grace)
        if future is None or step is LimitStep.NOTHING:
            return
        if step is LimitStep.EXPIRE:
            error = limited.late(now)
            assert error is not None
            driver.expire(future, error)
        elif step is LimitStep.CANCEL:
            self._cancel(future, limited, grace, now)
        else:
            # Behind what its worker has reported before: until that is handled, the worker counts as one that makes, checks or
            # has just got back its resource, and would be ready again after it.
            driver.soon(partial(self._give_up, future, limited))

    def _cancel(self, future: Any, limited: LimitedTask, grace: float, now: float) -> None:
        if (context := limited.cancel(now)) is None:
            return
        if grace != math.inf:
            self._timetable.add(limited, limited.end + grace)
        self._driver.cancel_attempt(future, context, limited.timed_out())

    def _give_up(self, future: Any, limited: LimitedTask) -> None:
        """Ends a task without its attempt, and reports its worker as stuck."""
        driver, error = self._driver, limited.timed_out()
        worker = next((one for one in list(driver.workers.values()) if one.shard.future is future), None)
        label, stamps = future.label, TaskLifecycleTimestamps(future._queued_at, future._started_at, driver.now())
        if worker is None or not limited.give_up(partial(_count_overdue, worker, label, stamps)):
            return
        driver.hooks.failure(stamps, future, error)
        future._finished_at = stamps.finished_at
        driver.log.log("warning", "worker %s is at\n%s", worker.name, worker.where() or UNKNOWN)
        # Before the outcome is visible: a caller that has it also finds the worker in ``stats()``.
        driver.step(ev.TaskOverdue(worker.seat, str(error)), stamps.finished_at)
        driver.end_overdue(future, error)
        if driver.door is not Door.OPEN:
            driver.check_drained()


def _count_overdue(worker: WorkerPort, label: str, stamps: TaskLifecycleTimestamps) -> None:
    """Counts a task that is given up in place of its worker, which is stuck in it and counts nothing meanwhile."""
    worker.overdue = label
    worker.state = WorkerState.STUCK
    worker.shard.failed(stamps, cancelled=False, timed_out=True)
    worker.shard.future = None
