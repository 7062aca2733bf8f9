"""TaskFuture: a task and its outcome in one object. ``future_log`` explains how its races are decided."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextvars import Context as ContextVariables
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tasker.attempt import Attempt
from tasker.context import Context
from tasker.control.attempts import Verdict
from tasker.control.retries import RetryPolicy
from tasker.core.history import History, tell, verdict_of, with_last
from tasker.errors import TaskCancelled
from tasker.logs import task_name
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .callback_runner import callback_runner
from .completion import complete, finish
from .future_log import (
    BACK,
    CANCELLED,
    FAILED,
    FINISHED,
    LATE,
    PENDING,
    RUN,
    UNOPENED,
    Ending,
    Mark,
    Owner,
    opened,
    outcome_in,
)
from .future_protocol import StandardFuture

if TYPE_CHECKING:  # it imports what `import tasker` has no need of yet
    from tasker.core.limited_task import LimitedTask

T = TypeVar("T")


class TaskFuture(StandardFuture[T]):
    """A task that was accepted, and its outcome. ``submit`` makes it.

    It is a ``concurrent.futures.Future``, so ``wait``, ``as_completed`` and ``asyncio.wrap_future`` take it, and can be
    awaited in any event loop. All methods are thread-safe; ``cancel`` and ``add_done_callback`` take no lock, so they
    may also be called from signal handlers and finalizers.

    ``result`` and ``exception`` raise ``TaskKilled`` if the task was killed and ``TaskCancelled`` if it was cancelled;
    both are subclasses of ``concurrent.futures.CancelledError``.
    """

    __slots__ = (
        "_args",
        "_attempts",
        "_context",
        "_finished_at",
        "_kind",
        "_log",
        "_owner",
        "_queued_at",
        "_started_at",
        "_task",
        "_value",
        "_variables",
        "_worker",
        "id",
    )

    _args: tuple[Any, ...] | None
    _attempts: int
    _context: Context | None
    _finished_at: float
    _kind: int
    _log: list[Any]
    _owner: Owner
    _queued_at: float
    _started_at: float
    _task: Callable[..., Any] | None
    _value: T
    _variables: ContextVariables | None
    """The context variables of the submitter; None if none was set."""
    _worker: str
    id: int
    # Few tasks have other values than these, so slots would waste memory; instances have a __dict__ from ``Future``.
    _holds_slot = False
    _error: BaseException | None = None
    _failure: BaseException | None = None
    _once: bool = False
    _retry: RetryPolicy | None = None
    _history: History = ()
    _harmed: int = 0
    """How many resources it has left unhealthy."""
    _snoozes: int = 0
    _gone_back: int = 0
    """``_attempts`` when it went back last: an attempt that is counted since then has not."""
    _limited: LimitedTask | None = None

    # Not Future.__init__: it would make a Condition, which costs more than the rest of a task. No __init__ of its own
    # either: the call would cost a tenth of ``submit``, which sets the fields itself, as ``_accepted`` does.
    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__

    # -- for callers ----------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Waits for the outcome and returns the task's result.

        Raises the error that the task raised, ``TaskCancelled`` or ``TaskKilled`` if it was cancelled or killed,
        ``TimeoutError`` if there is no outcome within ``timeout`` seconds (None: no limit), and ``DeadlockError`` if it
        is called without a limit in a task of the same manager and the wait would never end.
        """
        # Without a lock: ``_kind`` is written last (see ``_publish``), so whatever it announces is already there.
        if not self._kind:
            self._wait(timeout)
        if self._kind == FINISHED:
            return self._value
        if self._kind == CANCELLED:
            finish(self)
        try:
            raise self._error  # type: ignore[misc]
        finally:
            # The traceback of the error holds this frame; the frame would hold the future, and the future the error.
            del self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the outcome and returns the error that the task raised, or None if it has a result.

        Raises ``TaskCancelled`` or ``TaskKilled`` if the task was cancelled or killed, and, as ``result`` does,
        ``TimeoutError`` and ``DeadlockError``.
        """
        if not self._kind:
            self._wait(timeout)
        if self._kind == CANCELLED:
            finish(self)
            assert self._error is not None
            raise self._error
        return self._error

    def cancel(self) -> bool:
        """Cancels the task. Never blocks, except for callbacks, which run in this thread.

        Returns True if the outcome is a cancellation: the task will not be started (again). Returns False if the task
        has another outcome, or is running; then its ``Context`` is cancelled, and the task decides how it ends.
        """
        ending = Ending(TaskCancelled(f"{self.label} was cancelled before it started"), cancelled=True)
        if self._end(ending):
            return True
        if not self._kind and getattr(self, "_context", self) is None:
            # Sent ahead to another process. If it has not begun there, it ends on its way back into the queue. After the
            # ending is in the log: else it could be sent again before that.
            self._owner.recall(self)
        outcome = outcome_in((*self._log,))
        if outcome is not None:
            return isinstance(outcome, Ending) and outcome.cancelled
        # An attempt runs. The ending stays in the log, so the task is not retried even if it ignores its context.
        context = getattr(self, "_context", None)
        if context is not None:
            context.cancel(TaskCancelled(f"{self.label} was cancelled"))
        return False

    def cancelled(self) -> bool:
        """Whether the outcome is a cancellation."""
        return self._kind == CANCELLED

    def running(self) -> bool:
        """Whether an attempt is running."""
        if self._kind:
            return False
        marks = [entry for entry in (*self._log,) if isinstance(entry, Mark)]
        # A task that was sent ahead to another process, and has not begun there, has its RUN but no context yet.
        return bool(marks) and marks[-1] is RUN and getattr(self, "_context", None) is not None

    def done(self) -> bool:
        """Whether the task has its outcome: a result, an error or a cancellation."""
        return self._kind != PENDING

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Has ``fn(future)`` called once, as soon as the task has its outcome.

        Callbacks are called in the order in which they were added, in the thread that sets the outcome (most often the
        worker's) or one of the manager's own; if the task is done already, at once and in this thread. An error that
        ``fn`` raises is logged and counted in ``stats().user_errors``, and goes no further."""
        self._watch(self._owner.callback(self, fn))

    @property
    def attempts(self) -> int:
        """The number of times that the task was started; those that ended with ``Snooze`` do not count."""
        return self._attempts - self._snoozes

    @property
    def attempts_made(self) -> tuple[Attempt, ...]:
        """The attempts that have ended, the first one first: which worker ran them, for how long, and how each ended. Of more
        than 10, the first 5 and the last 5."""
        kind = self._kind  # first: whatever it announces is there
        history = self._history
        if not kind or kind == FINISHED:
            return with_last(history, self, None, Verdict.SUCCEEDED) if kind else history
        return with_last(history, self, self._error, verdict_of(self._error, cancelled=kind == CANCELLED))

    @property
    def worker(self) -> str | None:
        """The name of the worker that ran the last attempt; None before the first."""
        name = getattr(self, "_worker", None)
        return None if name is None else str(name)

    @property
    def timestamps(self) -> TaskLifecycleTimestamps | None:
        """When the task was accepted, last started and ended (``time.monotonic`` seconds); None while it is not done,
        or if it was never started."""
        if not self._kind or not self._attempts:
            return None
        finished_at = getattr(self, "_finished_at", None)
        return None if finished_at is None else TaskLifecycleTimestamps(self._queued_at, self._started_at, finished_at)

    def __await__(self) -> Generator[Any, None, T]:
        """Waits in the running event loop. Cancelling the waiter cancels the task."""
        import asyncio  # noqa: PLC0415  takes longer to import than this library, and few programs wait this way

        return asyncio.wrap_future(self).__await__()

    @property
    def label(self) -> str:
        """``task #<id> <function>``, as in messages; without the function once the task is done."""
        task = self._task  # read once: another thread may clear it
        return f"task #{self.id}" if task is None else f"task #{self.id} {task_name(task)}"

    # -- for workers and the manager ------------------------------------------------------------------------------

    @classmethod
    def _accepted(
        cls, owner: Owner, number: int, task: Callable[..., Any], args: tuple[Any, ...], queued_at: float
    ) -> Self:
        """Makes a future as ``submit`` does, which saves this call."""
        future: Self = cls()
        future._owner = owner
        future.id = number
        # Three slots, not one tuple or partial: each object more is one for the garbage collector to visit in a queue.
        future._task = task
        future._args = args
        future._variables = copy_context() or None
        future._queued_at = queued_at
        future._log = UNOPENED if LATE else []
        future._kind = PENDING
        future._attempts = 0
        return future

    def _may_run(self) -> bool:
        """Returns whether no ending precedes the ``RUN`` that was just appended to a log that was not empty."""
        return outcome_in((*self._log,)) is None

    def _take_failure(self) -> BaseException | None:
        """Returns the error of a failed attempt to the first caller, which then decides about the task; else None."""
        # ``pop`` is atomic. A worker that outlives the supervisor and the supervisor's last event may both get here.
        failure: BaseException | None = self.__dict__.pop("_failure", None)
        return failure

    def _note_snooze(self) -> None:
        """Has the last attempt not count."""
        self._snoozes += 1

    def _was_cancelled(self, log: tuple[Any, ...] | None = None) -> bool:
        """Returns whether the task was cancelled while it ran, or has an outcome: then it must not run again."""
        # ``cancel`` of a running task appends an ending that does not count, and then cancels the context. The
        # canceller may be between the two, so both are checked.
        context = self._context
        entries = (*self._log,) if log is None else log
        return any(type(entry) is Ending for entry in entries) or (context is not None and context.cancelled)

    def _goes_back(self) -> bool:
        """Appends ``BACK``, and takes it out with its ``RUN``. Returns whether the task must not run again; then both stay."""
        log = self._append(BACK)
        self._gone_back = self._attempts
        # Only the entries before BACK: a ``cancel`` behind it is an ending that counts, so its thread ends the task.
        if self._was_cancelled(log[: len(log) - 1 - log[::-1].index(BACK)]):
            return True
        # A task that is tried for days must not have a log of all its attempts. BACK alone says the same as both.
        entries = opened(self)
        entries.remove(RUN)
        entries.remove(BACK)
        return False

    def _end(self, ending: Ending) -> bool:
        """Appends an ending. Returns True if it is the outcome; then every watcher before it was notified."""
        try:
            if self._history:  # before anyone can see the outcome
                tell(ending.error, self.label, self._history)
            return self._decide(ending, self._append(ending))
        except BaseException:
            # No call before this line, so that nothing keeps it from being reached.
            ending.unfinished = True
            finish(self)  # at once, if the interrupt was but one; else the next that finds it does
            raise

    def _after(self, ending: Ending | Mark) -> bool:
        """Does what ``_end`` does for an ``ending`` that is in the log already."""
        return self._decide(ending, (*self._log,))

    def _decide(self, ending: Ending | Mark, log: tuple[Any, ...]) -> bool:
        """Returns False if another ending, or a running attempt, takes precedence over this one."""
        outcome = outcome_in(log)
        if outcome is not ending:
            if type(outcome) is Ending and outcome.unfinished:
                finish(self)
            return False
        complete(self, ending, log)
        return True

    def _publish(self, ending: Ending | Mark) -> None:
        """Makes the outcome visible to ``done`` and ``result``. Two threads may do so at once: they write the same."""
        # ``_kind`` last: readers look at it first and without a lock, and trust the other fields once it is set.
        if isinstance(ending, Ending):
            self._error = ending.error
            self._value = None  # type: ignore[assignment]
            self._kind = CANCELLED if ending.cancelled else FAILED
        else:
            self._kind = FINISHED
        if callback_runner.held is not None:
            callback_runner.held.append((self._task, self._args, self._variables, getattr(self, "_context", None)))
        # A future that is kept must not keep the arguments of its task.
        self._task = self._args = self._variables = self._context = None
