"""The time limits of the tasks of one manager: when each is due, and who acts on it.

A worker only notes that an attempt with a limit begins: one entry, for which it takes no lock and, most often, wakes no thread. The
supervisor's thread or loop, which wakes up several times a second anyway, files the entries in a timetable and acts on those
that are due. A task without a limit knows nothing of all this.
"""

from __future__ import annotations

import abc
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from tasker.config import Config
from tasker.context import Context
from tasker.control import events as ev
from tasker.control.lifecycle import Door
from tasker.control.limits import (
    Limits,
    LimitStep,
    checked_limits,
)
from tasker.control.timetable import Timetable
from tasker.control.workers import WorkerState
from tasker.core.hooks import Hooks
from tasker.core.limited_task import LimitedTask
from tasker.core.long_tasks import UNKNOWN
from tasker.core.ports import WorkerPort
from tasker.core.slices import SLICE
from tasker.errors import TaskTimeout
from tasker.logs import GuardedLogger
from tasker.metrics.protocol import TaskLifecycleTimestamps


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
        self._looked_at: LimitedTask | None = None
        """Whose limit the supervisor has acted on last, or acts on now."""

    # -- by any thread --------------------------------------------------------------------------------------------

    def filled_in(self, timeout: float | None, deadline: float | None) -> tuple[float | None, float | None]:
        """Returns the limits of a submission, those of the configuration in place of None."""
        own = self._defaults
        return own.timeout if timeout is None else timeout, own.deadline if deadline is None else deadline

    def of_submission(
        self, future: Any, timeout: float | None, deadline: float | None, kind: type[LimitedTask] = LimitedTask
    ) -> LimitedTask | None:
        """Returns the limits of a task, those of the configuration filled in; None if it has none. Its deadline is kept from
        ``keep_deadline`` on. Raises ``TypeError`` or ``ValueError`` for wrong ones."""
        limits = checked_limits(*self.filled_in(timeout, deadline))
        if limits == Limits():
            return None
        return kind(future, limits)

    def keep_deadline(self, limited: LimitedTask) -> None:
        """Has a task that waits end at its deadline, if it has one."""
        if limited.last_start != math.inf:
            self._file(limited, limited.last_start)
            limited.kept = limited.last_start

    def start(self, limited: LimitedTask, context: Context) -> None:
        """An attempt begins. Raises ``TaskTimeout`` if it may not."""
        if (late := self.begin(limited, context)) is not None:
            limited.skip()
            raise late

    def begin(self, limited: LimitedTask, context: Context) -> TaskTimeout | None:
        """As ``start``, but returns that error."""
        if (late := limited.start(context, monotonic())) is None:
            limited.file(self._file)
        return late

    def _file(self, limited: LimitedTask, due: float) -> None:
        # Each step is atomic. Either the supervisor files it before it decides how long to sleep, or this finds out until when.
        self._new.append((due, limited))
        if due < self._looks_at:
            # First: whatever is due after that need not wake it as well. (An interrupt between the two is made good at the next tick.)
            self._looks_at = due
            self._driver.wake_up()

    def forked(self) -> None:
        """In a forked child, in which the supervisor does not exist: a task that has forked goes on there, and ends."""
        if self._looked_at is not None:
            self._looked_at.forked()

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

    def look(self, now: float) -> bool:
        """Acts on what is due, but on no more than a slice: where many deadlines pass together, the engine has to hear of what else
        happens. Returns whether more is due; ``next_look`` then returns a moment that has passed."""
        moment = self._timetable.moment
        if moment is None or moment > now:
            return False
        for limited in self._timetable.take(now, SLICE):
            self._looked_at = limited
            try:
                limited.file_again(now, self._timetable.add)
                self._act(limited, now)
            except BaseException as error:  # the others have their limits all the same
                self._driver.log.fault("the time limit of a task", error)
        moment = self._timetable.moment
        return moment is not None and moment <= now

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
        self._looked_at = limited
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
