"""The limits of one task, and how far it is.

What becomes of an attempt is decided between two threads, that of the worker, which ends it, and that of the supervisor, which
gives it up, under a lock of the task: so exactly one of them counts it.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tasker.context import Context
from tasker.control.limits import LimitMove, LimitName, Limits, LimitStage, LimitStep, limit_moved, limit_step
from tasker.core.causes import set_cause
from tasker.errors import TaskTimeout


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

    __slots__ = (
        "_future",
        "_limits",
        "_lock",
        "_name",
        "_queued_at",
        "_stage",
        "_watched",
        "context",
        "end",
        "error",
        "kept",
        "unused",
    )

    def __init__(self, future: Any, limits: Limits) -> None:
        self._future: weakref.ref[Any] = weakref.ref(future)
        self._limits: Limits = limits
        self._queued_at: float = future._queued_at
        self._lock = threading.RLock()
        self._stage: LimitStage = LimitStage.WAITING
        self._name: LimitName = "timeout"
        self._watched: float = math.inf
        """When the supervisor looks at it next, as far as it is in the timetable for that; see ``file``."""
        self.kept: float = math.inf
        """The moment for which it is in the timetable all the time: that of its deadline, if that is kept."""
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

    def forked(self) -> None:
        """In a forked child, in which the supervisor, which may have held the lock, does not exist."""
        self._lock = threading.RLock()

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

    def file(self, file: Callable[[LimitedTask, float], object]) -> None:
        """Has the attempt that has begun filed for its end, unless the supervisor looks at the task before that anyway: so one
        that begins often is in the timetable twice at most, whatever its limits are."""
        with self._lock:  # the supervisor does not look before the last line
            if self.end < min(self._watched, self.kept):
                file(self, self.end)
                self._watched = self.end  # last: what is interrupted before that is filed twice, and not never

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

    def file_again(self, now: float, file: Callable[[LimitedTask, float], object]) -> None:
        """The supervisor looks at it ``now``. If the attempt that was filed has ended and another one runs, files that."""
        with self._lock:
            if now >= self._watched:
                self._watched = math.inf
                if self._stage is LimitStage.RUNNING and now < self.end:
                    self.file(file)

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
