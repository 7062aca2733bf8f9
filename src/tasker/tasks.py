"""Priority, and TaskFuture: a task and its outcome in one object.

The log
-------
Everything that decides who may start a task, who may end it and who is told of it happens by appending to one list,
``_log``; **the order of the entries is the truth**. ``list.append`` is one atomic operation on one object, with the
GIL and without it (there under the list's own lock), so any two threads agree on the order. Nobody takes a lock; so
cancelling from a signal handler, a finalizer or a callback cannot deadlock. The entries:

``RUN``      a worker starts an attempt. Counts if no ending stands before it.
``BACK``     the attempt ended without an outcome; the task waits for its next attempt.
``DONE``     the worker that ran it has put the result into ``_value``.
``Ending``   an error or a cancellation. A *forced* one counts wherever it stands first; one that is not (``cancel``)
             counts only while no attempt runs.
a watcher    somebody who wants to be told: a waiting thread's lock, a callback, the Condition of
             ``concurrent.futures``.

The first ending that counts is the outcome: a later one finds it by reading the log and drops its own. A watcher that
stands before the outcome is told by whoever appended the outcome; one that stands behind it finds it there and sees
to itself. So each is told exactly once, and there is no window between looking and registering.

The usual log is ``[RUN, DONE]``, and a worker knows it by its length; only what is longer is read.

``_kind`` and ``_error`` are written by the winner after the log decided. They are what ``done()`` and ``result()``
read first; who finds nothing there looks into the log.

Why not a lock in each future: making and taking one costs 2.5 times as much, and a finalizer that cancels while its
own thread holds it would hang. Why not flags that are written and then checked on both sides: that needs sequentially
consistent stores, which Python does not promise without the GIL; and both sides can see each other, which is how a
waiter of ``concurrent.futures.wait`` got counted twice in a sketch of this.
"""

from __future__ import annotations

import _thread
import concurrent.futures
import enum
import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextvars import Context as ContextVariables
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

from .context import Context
from .errors import TaskCancelled
from .logs import task_name
from .metrics.protocol import TaskLifecycleTimestamps

T = TypeVar("T")

PENDING, FINISHED, CANCELLED, FAILED = 0, 1, 2, 3
"""How a future stands: ``FINISHED`` with a result, ``FAILED`` with an error."""


class Priority(enum.IntEnum):
    """A task of a smaller value is started first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class _Mark:
    """An entry of the log that carries nothing but its place."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


RUN, BACK, DONE = _Mark("RUN"), _Mark("BACK"), _Mark("DONE")


class Ending:
    """An outcome other than a result."""

    __slots__ = ("cancelled", "error", "forced")

    def __init__(self, error: BaseException, *, cancelled: bool = False, forced: bool = False) -> None:
        self.error: BaseException = error
        self.cancelled: bool = cancelled
        self.forced: bool = forced


class Owner(Protocol):
    """What a future asks of the manager it belongs to."""

    def ended_in_queue(self, future: TaskFuture[Any], ending: Ending) -> None:
        """The task ended while no attempt ran. Called before anybody is told."""

    def callback_fault(self, future: TaskFuture[Any], error: BaseException) -> None:
        """A callback raised."""

    def enter_wait(self, future: TaskFuture[Any]) -> object:
        """This thread is going to wait without a limit; raises ``DeadlockError`` where that would be for ever."""

    def leave_wait(self, ticket: object) -> None:
        """The wait that ``enter_wait`` gave the ticket for is over."""


class _Waiter:
    """A thread that sleeps until the outcome is there."""

    __slots__ = ("acquire", "lock")
    first = True

    def __init__(self) -> None:
        self.lock = _thread.allocate_lock()
        self.acquire = self.lock.acquire
        self.acquire()

    def tell(self, future: TaskFuture[Any]) -> None:
        self.lock.release()


class _Callback:
    __slots__ = ("fn",)
    first = False

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self.fn = fn

    def tell(self, future: TaskFuture[Any]) -> None:
        try:
            self.fn(future)
        except BaseException as error:
            future._owner.callback_fault(future, error)


class _Bridge:
    """The Condition and the waiters that ``concurrent.futures.wait`` and ``as_completed`` expect of a future.

    They read ``_state`` and add to ``_waiters`` while they hold the condition, and rely on it that nothing changes
    meanwhile. But an outcome gets into the log without asking for the condition. So an outcome that stands behind the
    bridge is shown in ``_state`` only from ``settled`` on, which its bearer sets here, under the condition, as he
    tells the waiters; one that stood before the bridge was always there. Either way a waiter is told of each future
    exactly once.
    """

    __slots__ = ("condition", "settled", "waiters")
    first = True

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.waiters: list[Any] = []
        self.settled = False

    def tell(self, future: TaskFuture[Any]) -> None:
        with self.condition:
            self.settled = True
            for waiter in self.waiters:
                if future._kind == CANCELLED:
                    waiter.add_cancelled(future)
                elif future._error is not None:
                    waiter.add_exception(future)
                else:
                    waiter.add_result(future)
            self.condition.notify_all()


class _Nest(threading.local):
    """How deep this thread is in callbacks of callbacks. A chain of them (each ends the next task) as long as the
    recursion limit would break off in the middle of an outcome; so from a depth on they are called one after the other."""

    depth = 0
    later: deque[tuple[TaskFuture[Any], list[_Callback]]] | None = None

    def call(self, future: TaskFuture[Any], callbacks: list[_Callback]) -> None:
        if self.later is not None:
            self.later.append((future, callbacks))
            return
        self.depth += 1
        try:
            if self.depth < _DEEPEST:
                for callback in callbacks:
                    callback.tell(future)
            else:
                self._one_after_the_other(future, callbacks)
        finally:
            self.depth -= 1

    def _one_after_the_other(self, future: TaskFuture[Any], callbacks: list[_Callback]) -> None:
        later = self.later = deque([(future, callbacks)])
        try:
            while later:
                future, callbacks = later.popleft()
                for callback in callbacks:
                    callback.tell(future)
        finally:
            self.later = None


_DEEPEST = 20
_nest = _Nest()
_Watcher = _Waiter | _Callback | _Bridge
_Entry = _Mark | Ending | _Watcher


def outcome_in(log: tuple[Any, ...]) -> _Mark | Ending | None:
    """The ending that counts in a log, or None."""
    running = False
    for entry in log:
        if entry is RUN:
            running = True
        elif entry is BACK:
            running = False
        elif entry is DONE or (type(entry) is Ending and (entry.forced or not running)):
            return entry
    return None


def _place(log: list[Any], entry: object) -> float:
    return log.index(entry) if entry is not None else math.inf


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

    _context: Context | None
    _finished_at: float
    _started_at: float
    _value: T
    _worker: str
    # Rarely other than this, so a slot would be memory for nothing; ``Future`` gives its instances a __dict__.
    _holds_place = False
    _error: BaseException | None = None
    _failure: BaseException | None = None
    _once: bool = False

    def __init__(
        self,
        owner: Owner,
        number: int,
        task: Callable[..., Any],
        args: tuple[Any, ...],
        once: bool,
        queued_at: float,
    ) -> None:
        # Not Future.__init__: it would make a Condition, which costs more than all the rest of a task.
        self._owner = owner
        self.id: int = number
        # Three slots, and no tuple or bound method of them: what the garbage collector has to look at is what a deep
        # queue costs.
        self._task: Callable[..., Any] | None = task
        self._args: tuple[Any, ...] | None = args
        variables = copy_context()
        self._variables: ContextVariables | None = variables or None
        """The submitter's; None where nothing was set there."""
        if once:
            self._once = once
        self._queued_at = queued_at
        self._log: list[Any] = []
        self._kind = PENDING
        self._attempts = 0

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
        """The task's error, or None where it has a result. Waits and raises as ``result`` does; a cancelled task
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
        mine = Ending(TaskCancelled(f"{self.label} was cancelled before it started"), cancelled=True)
        if self._end(mine):
            return True
        outcome = outcome_in(tuple(self._log))
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
        marks = [entry for entry in tuple(self._log) if isinstance(entry, _Mark)]
        # What was sent ahead to another process has no context there yet.
        return bool(marks) and marks[-1] is RUN and getattr(self, "_context", None) is not None

    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._kind != PENDING

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Calls ``fn(future)`` once the outcome is there: in the thread that brings it, in the order of the calls, or
        at once and here if it is there already. What ``fn`` raises is logged and counted, and nothing else."""
        self._watch(_Callback(fn))

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

    def _may_run(self) -> bool:
        """Asked after ``RUN`` was appended to a log that was not empty: whether no ending stands before it."""
        return outcome_in(tuple(self._log)) is None

    def _take_failure(self) -> BaseException | None:
        """The error of an attempt that failed, for the one who decides what becomes of the task; None for a second one."""
        failure: BaseException | None = self.__dict__.pop("_failure", None)
        return failure

    def _goes_back(self) -> bool:
        """Appends ``BACK``. True where the task must not run again: it was cancelled while it ran (that left an ending that
        did not count, and then cancelled the context; the canceller may be between the two), or has an outcome."""
        log = self._log
        log.append(BACK)
        before = log[: len(log) - 1 - log[::-1].index(BACK)]
        context = self._context
        return any(type(entry) is Ending for entry in before) or (context is not None and context.cancelled)

    def _end(self, ending: Ending | _Mark) -> bool:
        """Appends an ending. True if it is the outcome: then everybody who waits has been told."""
        self._log.append(ending)
        return self._after(ending)

    def _after(self, ending: Ending | _Mark) -> bool:
        """What follows once ``ending`` stands in the log: False if another ending, or a running attempt, goes
        before."""
        log = tuple(self._log)
        if outcome_in(log) is not ending:
            return False
        self._take_over(ending)
        if type(ending) is Ending and not ending.forced:
            self._owner.ended_in_queue(self, ending)
        watchers = [entry for entry in log[: log.index(ending)] if not isinstance(entry, _Mark | Ending)]
        for watcher in watchers:
            if watcher.first:
                watcher.tell(self)
        callbacks = [watcher for watcher in watchers if not watcher.first]
        if callbacks:
            _nest.call(self, callbacks)
        return True

    def _take_over(self, ending: Ending | _Mark) -> None:
        """Makes the outcome in the log visible to ``done`` and ``result``; may be done twice, by two threads."""
        if isinstance(ending, Ending):
            self._error = ending.error
            self._value = None  # type: ignore[assignment]
            self._kind = CANCELLED if ending.cancelled else FAILED
        else:
            self._kind = FINISHED
        self._task = self._args = self._variables = self._context = None

    # -- waiting --------------------------------------------------------------------------------------------------

    def _watch(self, watcher: _Watcher) -> None:
        self._log.append(watcher)
        log = tuple(self._log)
        outcome = outcome_in(log[: log.index(watcher)])
        if outcome is not None:
            self._take_over(outcome)
            watcher.tell(self)

    def _wait(self, timeout: float | None) -> None:
        ticket = self._owner.enter_wait(self) if timeout is None else None
        waiter = _Waiter()
        try:
            self._watch(waiter)
            limit = -1.0 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
            if not waiter.acquire(True, limit) and not self._kind:
                raise concurrent.futures.TimeoutError(f"{self.label} has no outcome after {timeout} seconds")
        finally:
            if not self._kind and waiter in self._log:
                self._log.remove(waiter)
            if ticket is not None:
                self._owner.leave_wait(ticket)

    # -- what concurrent.futures and its modules reach for --------------------------------------------------------

    def _bridge(self, make: bool) -> _Bridge | None:
        for entry in tuple(self._log):
            if type(entry) is _Bridge:
                return entry
        if not make:
            return None
        self._log.append(_Bridge())
        return self._bridge(make)  # the first in the log, if two threads did this

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        bridge = self._bridge(make=True)
        assert bridge is not None
        return bridge.condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        bridge = self._bridge(make=True)
        assert bridge is not None
        return bridge.waiters

    @property
    def _state(self) -> str:  # type: ignore[override]
        # ``wait`` reads it twice while it holds the condition, and must read the same: an outcome that got into the
        # log after the bridge counts once its bearer has been at the bridge.
        bridge = self._bridge(make=False)
        outcome = outcome_in(tuple(self._log))
        if bridge is not None and not bridge.settled and self._log.index(bridge) < _place(self._log, outcome):
            outcome = None
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
