"""Priority, and TaskFuture: a task and its outcome in one object. What decides its races is told in ``tasklog``."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextvars import Context as ContextVariables
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from tasker.context import Context
from tasker.errors import TaskCancelled
from tasker.logs import task_name
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .future_log import (
    BACK,
    CANCELLED,
    DONE,
    FAILED,
    FINISHED,
    LATE,
    PENDING,
    RUN,
    SETTLED,
    UNOPENED,
    Bridge,
    Callback,
    Ending,
    Mark,
    Waiter,
    Watcher,
    nest,
    opened,
    outcome_in,
)

__all__ = ["BACK", "DONE", "FINISHED", "RUN", "Ending", "outcome_in"]

T = TypeVar("T")


class Owner(Protocol):
    """What a future asks of the manager it belongs to."""

    def ended_in_queue(self, future: TaskFuture[Any], ending: Ending) -> None:
        """The task ended while no attempt ran. Called before anybody is told."""

    def recall(self, future: TaskFuture[Any]) -> None:
        """If the task was sent ahead to another process and has not begun there, it is to wait in the queue again."""

    def callback_fault(self, future: TaskFuture[Any], error: BaseException) -> None:
        """A callback raised."""

    def enter_wait(self, future: TaskFuture[Any]) -> object:
        """This thread is going to wait without a limit; raises ``DeadlockError`` where that would be for ever."""

    def leave_wait(self, ticket: object) -> None:
        """The wait that ``enter_wait`` gave the ticket for is over."""


class TaskFuture(Future[T]):
    """A task that was accepted, and its outcome: a ``concurrent.futures.Future`` (so ``wait``, ``as_completed`` and
    ``asyncio.wrap_future`` take it) that can also be awaited, in any event loop. Made by ``submit``; thread-safe.

    A killed or cancelled task raises ``TaskKilled`` or ``TaskCancelled`` here, which are ``CancelledError``.
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
    """The submitter's; None where nothing was set there."""
    _worker: str
    id: int
    # Rarely other than this, so a slot would be memory for nothing; ``Future`` gives its instances a __dict__.
    _holds_slot = False
    _error: BaseException | None = None
    _failure: BaseException | None = None
    _once: bool = False
    _made_bridge: Bridge | None = None

    # Not Future.__init__: it would make a Condition, which costs more than all the rest of a task. And none of our own,
    # since its call would cost a tenth of ``submit``, which sets the fields itself, as ``_accepted`` does.
    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__

    # -- for callers ----------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """The task's result; waits for it up to ``timeout`` seconds (``TimeoutError``), without one for as long as
        it takes. Raises what the task raised."""
        if not self._kind:
            self._wait(timeout)
        if self._kind == FINISHED:
            return self._value
        try:
            raise self._error  # type: ignore[misc]
        finally:
            del self  # the error's traceback holds this frame, which would hold the future, which holds the error

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The task's error, or None where it has a result. WaitRegistry and raises as ``result`` does; a cancelled task
        raises."""
        if not self._kind:
            self._wait(timeout)
        if self._kind == CANCELLED:
            assert self._error is not None
            raise self._error
        return self._error

    def cancel(self) -> bool:
        """True: the task will not be started (again) and ends cancelled. False: it is done, or it is running; then
        its ``Context`` is cancelled, and the task decides how it ends."""
        if not self._kind and self._log and getattr(self, "_context", self) is None:  # sent ahead to another process
            self._owner.recall(self)
        mine = Ending(TaskCancelled(f"{self.label} was cancelled before it started"), cancelled=True)
        if self._end(mine):
            return True
        outcome = outcome_in((*self._log,))
        if outcome is not None:
            return isinstance(outcome, Ending) and outcome.cancelled
        context = getattr(self, "_context", None)
        if context is not None:
            context.cancel(TaskCancelled(f"{self.label} was cancelled"))
        return False

    def cancelled(self) -> bool:
        """Whether the outcome is a cancellation."""
        return self._kind == CANCELLED

    def running(self) -> bool:
        """Whether an attempt runs now."""
        if self._kind:
            return False
        marks = [entry for entry in (*self._log,) if isinstance(entry, Mark)]
        # What was sent ahead to another process has no context there yet.
        return bool(marks) and marks[-1] is RUN and getattr(self, "_context", None) is not None

    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._kind != PENDING

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Calls ``fn(future)`` once the outcome is there: in the thread that brings it, in the order of the calls, or
        at once and here if it is there already. What ``fn`` raises is logged and counted, and nothing else."""
        self._watch(Callback(fn))

    @property
    def attempts(self) -> int:
        """How often it was started."""
        return self._attempts

    @property
    def worker(self) -> str | None:
        """The name of the worker that ran the last attempt; None before the first."""
        return getattr(self, "_worker", None)

    @property
    def timestamps(self) -> TaskLifecycleTimestamps | None:
        """When it was accepted, last started and ended; None until it has ended, or where it never started."""
        if not self._kind or not self._attempts:
            return None
        finished_at = getattr(self, "_finished_at", None)
        return None if finished_at is None else TaskLifecycleTimestamps(self._queued_at, self._started_at, finished_at)

    def __await__(self) -> Generator[Any, None, T]:
        """Waits in the running event loop; cancelling the waiter cancels the task."""
        import asyncio  # noqa: PLC0415  it takes longer to import than all of this library, and few wait this way

        return asyncio.wrap_future(self).__await__()

    def __repr__(self) -> str:
        return f"<{self.label}>"

    @property
    def label(self) -> str:
        """``task #<id> <function>``, as in messages; without the function once it has ended."""
        task = self._task
        return f"task #{self.id}" if task is None else f"task #{self.id} {task_name(task)}"

    # -- for workers and the manager ------------------------------------------------------------------------------

    @classmethod
    def _accepted(
        cls, owner: Owner, number: int, task: Callable[..., Any], args: tuple[Any, ...], queued_at: float
    ) -> Self:
        """A future as ``submit`` makes it, which does the same without this call."""
        future: Self = cls()
        future._owner = owner
        future.id = number
        # Three slots, and no tuple or bound method of them: what the garbage collector has to look at is what a deep
        # queue costs.
        future._task = task
        future._args = args
        future._variables = copy_context() or None
        future._queued_at = queued_at
        future._log = UNOPENED if LATE else []
        future._kind = PENDING
        future._attempts = 0
        return future

    def _may_run(self) -> bool:
        """Asked after ``RUN`` was appended to a log that was not empty: whether no ending stands before it."""
        return outcome_in((*self._log,)) is None

    def _take_failure(self) -> BaseException | None:
        """The error of an attempt that failed, for the one who decides what becomes of the task; None for a second one."""
        failure: BaseException | None = self.__dict__.pop("_failure", None)
        return failure

    def _was_cancelled(self, log: tuple[Any, ...] | None = None) -> bool:
        """Returns whether the task was cancelled while it ran, or has an outcome: then it must not run again."""
        # ``cancel`` of a running task leaves an ending that does not count, and then cancels the context. The canceller
        # may be between the two, so both are looked at.
        context = self._context
        entries = (*self._log,) if log is None else log
        return any(type(entry) is Ending for entry in entries) or (context is not None and context.cancelled)

    def _goes_back(self) -> bool:
        """Appends ``BACK``. Returns whether the task must not run again."""
        log = self._entered(BACK)
        # Only what stands before BACK: a ``cancel`` behind it counts by itself, and ends the task.
        return self._was_cancelled(log[: len(log) - 1 - log[::-1].index(BACK)])

    def _entered(self, entry: object) -> tuple[Any, ...]:
        """Appends to the log, and returns all that stands in it then."""
        log = opened(self)
        log.append(entry)
        return (*log,) if log is not SETTLED else (*log, entry)

    def _end(self, ending: Ending | Mark) -> bool:
        """Appends an ending. True if it is the outcome: then everybody who waits has been told."""
        return self._decide(ending, self._entered(ending))

    def _after(self, ending: Ending | Mark) -> bool:
        """``_end``, where ``ending`` stands in the log already."""
        return self._decide(ending, (*self._log,))

    def _decide(self, ending: Ending | Mark, log: tuple[Any, ...]) -> bool:
        """False if another ending, or a running attempt, goes before this one."""
        if outcome_in(log) is not ending:
            return False
        self._take_over(ending)
        if type(ending) is Ending and not ending.forced:
            self._owner.ended_in_queue(self, ending)
        callbacks = []
        for entry in log:
            if entry is ending:
                break
            if type(entry) is Mark or type(entry) is Ending:
                continue
            if entry.first:
                entry.tell(self)
            else:
                callbacks.append(entry)
        if callbacks:
            nest.call(self, callbacks)
        if type(ending) is Mark:
            self._log = SETTLED
        return True

    def _take_over(self, ending: Ending | Mark) -> None:
        """Makes the outcome in the log visible to ``done`` and ``result``; may be done twice, by two threads."""
        if isinstance(ending, Ending):
            self._error = ending.error
            self._value = None  # type: ignore[assignment]
            self._kind = CANCELLED if ending.cancelled else FAILED
        else:
            self._kind = FINISHED
        self._task = self._args = self._variables = self._context = None

    # -- waiting --------------------------------------------------------------------------------------------------

    def _watch(self, watcher: Watcher) -> None:
        self._catch_up(watcher, self._entered(watcher))

    def _catch_up(self, watcher: Watcher, log: tuple[Any, ...]) -> None:
        """Tells a watcher that stands behind the outcome."""
        outcome = outcome_in(log[: log.index(watcher)])
        if outcome is not None:
            self._take_over(outcome)
            watcher.tell(self)

    def _wait(self, timeout: float | None) -> None:
        ticket = self._owner.enter_wait(self) if timeout is None else None
        waiter = Waiter()
        try:
            self._watch(waiter)
            limit = -1.0 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
            if not waiter.acquire(True, limit) and not self._kind:
                raise concurrent.futures.TimeoutError(f"{self.label} has no outcome after {timeout} seconds")
        finally:
            log = self._log
            if not self._kind and waiter in log:
                log.remove(waiter)
            if ticket is not None:
                self._owner.leave_wait(ticket)

    # -- what concurrent.futures and its modules reach for --------------------------------------------------------

    def _bridge(self) -> Bridge:
        """The one bridge of this future. It stands in the log, and is settled if it stands behind the outcome."""
        bridge = self._made_bridge
        if bridge is None:
            bridge = self.__dict__.setdefault("_made_bridge", Bridge())  # atomic: of two threads, one makes it
        if not bridge.settled:
            log = (*self._log,)
            self._catch_up(bridge, log if bridge in log else self._entered(bridge))
        return bridge

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        return self._bridge().condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        return self._bridge().waiters

    @property
    def _state(self) -> str:  # type: ignore[override]
        # ``wait`` reads it twice while it holds the condition, and must read the same: see ``Bridge``.
        bridge = self._made_bridge
        outcome = None if bridge is not None and not bridge.settled else outcome_in((*self._log,))
        if outcome is None:
            return "RUNNING" if self.running() else "PENDING"
        self._take_over(outcome)
        return "CANCELLED_AND_NOTIFIED" if self._kind == CANCELLED else "FINISHED"

    @property
    def _result(self) -> Any:  # type: ignore[override]
        return getattr(self, "_value", None)

    @property
    def _exception(self) -> BaseException | None:  # type: ignore[override]
        return self._error

    def _get_snapshot(self) -> tuple[bool, bool, Any, BaseException | None]:  # CPython 3.14's asyncio
        done = self._kind != PENDING
        return done, self.cancelled(), self._result if done else None, self._error

    def set_running_or_notify_cancel(self) -> bool:
        """Not for callers: the manager alone decides the outcome."""
        raise concurrent.futures.InvalidStateError("the outcome of a task is set by its manager alone")

    def set_result(self, result: T) -> None:
        """Not for callers: the manager alone decides the outcome."""
        self.set_running_or_notify_cancel()

    def set_exception(self, exception: BaseException | None) -> None:
        """Not for callers: the manager alone decides the outcome."""
        self.set_running_or_notify_cancel()
