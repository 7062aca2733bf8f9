"""AsyncTaskFuture: a task and its outcome in one object, a future of the event loop.

It implements asyncio's protocol for futures, so ``await``, ``gather``, ``wait``, ``wait_for`` and ``shield`` take it.
It does not inherit from ``asyncio.Future``, whose construction and whose cost for the garbage collector would take a
fifth of the time of a task (see docs/decisions). Everything happens in the loop's thread, so the field ``_stage``
decides what may end a task; there are no races.

A task that succeeds before anything waits for its outcome needs only the slots. Everything else is in ``_extra``, which
most tasks never have.

What a caller that awaits the task gets:

- its result or its error, as from every future;
- after ``cancel()``: ``asyncio.CancelledError``;
- after ``kill()``, or if the task itself raised a ``CancelledError``: the error ``TaskKilled`` or ``TaskCancelled``.
  ``cancelled()`` is True for these, too.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tasker.attempt import Attempt
from tasker.control.attempts import Verdict
from tasker.control.retries import RetryPolicy
from tasker.core.history import tell, verdict_of, with_last
from tasker.core.outcomes import attribute, carried
from tasker.errors import TaskCancelled
from tasker.logs import task_name
from tasker.metrics.protocol import TaskLifecycleTimestamps

from .done_callbacks import guarded
from .future_extra import Extra, UnretrievedError
from .interrupts import HeldInterrupts
from .stack_room import check_room

if TYPE_CHECKING:  # it imports what `import tasker` has no need of yet
    from tasker.core.limited_task import LimitedTask

T = TypeVar("T")

QUEUED, RUNNING, ENDED, FAILED = 0, 1, 2, 3
"""The stages: ``ENDED`` is with a result, ``FAILED`` with an error or a cancellation."""


class Recalls(Protocol):
    """The part of a backend that a future uses."""

    def recall(self, future: Any) -> None:
        """Puts the task back into the queue if it was sent ahead and has not begun."""


class CallsBack(Protocol):
    """The part of ``Callbacks`` that a future uses."""

    def call(
        self,
        future: Any,
        callback: Callable[[Any, BaseException | None], object],
        value: Any,
        error: BaseException | None,
    ) -> None:
        """Calls the callback. An error that it raises is logged and counted."""


class LoopOwner(Protocol):
    """The part of its manager that a future uses."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def backend(self) -> Recalls | None: ...
    @property
    def callbacks(self) -> CallsBack: ...
    def ended_in_queue(self, future: Any) -> None:
        """Counts a task that ended while no attempt ran, and removes it from the queue."""

    def interrupt(self, future: Any, cause: BaseException) -> None:
        """Cancels a running task."""

    def callback_fault(self, future: Any, error: BaseException) -> None:
        """Logs and counts an error that a callback raised."""


if TYPE_CHECKING:  # so that type checkers accept it wherever a future is expected
    _Future = asyncio.Future
else:
    _Future = Generic


class AsyncTaskFuture(_Future[T]):
    """A task that was accepted, and its outcome. ``submit`` makes it. Not thread-safe: to be used in the event loop of
    the manager only.

    Awaiting it returns the result of the task or raises its error: ``asyncio.CancelledError`` if the task was
    cancelled, as every future does, and ``TaskKilled`` if it was killed.
    """

    __slots__ = (
        "__weakref__",
        "_asyncio_future_blocking",
        "_engine",
        "_extra",
        "_finished_at",
        "_held",
        "_queued_at",
        "_stage",
        "_started_at",
        "_task",
        "_variables",
        "_worker",
        "id",
    )
    # Set by ``submit``, one by one: an ``__init__`` in Python would cost a tenth of a task.
    id: int
    _asyncio_future_blocking: bool
    _engine: LoopOwner
    _finished_at: float
    _held: Any
    """The arguments until the task ends, then its result."""
    _queued_at: float
    _extra: Extra | None
    _stage: int
    _started_at: float
    _task: Callable[..., Any] | None
    _variables: contextvars.Context | None
    """The context variables of the submitter; None if none was set. Keeping an empty context for each task would cost a
    tenth of a task in the garbage collector."""
    _worker: str

    # -- for callers ----------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, T]:
        if self._stage < ENDED:
            self._asyncio_future_blocking = True  # by this the loop's task recognizes an ``await``
            yield self
            if self._stage < ENDED:
                raise RuntimeError("await wasn't used with future")
        if self._stage == ENDED:
            return self._held  # type: ignore[no-any-return]
        error = self._to_raise()
        try:
            raise error
        finally:
            # The traceback of the error holds this frame, which would hold the error: a cycle for the collector.
            del self, error

    __iter__ = __await__

    def result(self) -> T:
        """Returns the task's result. Raises the error of the task, ``asyncio.CancelledError`` if it was cancelled,
        ``TaskKilled`` if it was killed, and ``asyncio.InvalidStateError`` if it is not done."""
        if self._stage == ENDED:
            return self._held  # type: ignore[no-any-return]
        error = self._to_raise()
        try:
            raise error
        finally:
            del self, error  # as above

    def exception(self) -> BaseException | None:
        """Returns the error of the task (``TaskKilled`` if it was killed), or None if it has a result. Raises
        ``asyncio.CancelledError`` if it was cancelled, and ``asyncio.InvalidStateError`` if it is not done."""
        if self._stage == ENDED:
            return None
        error = self._to_raise()
        if self._stage != FAILED or self.extra().as_cancelled_error:
            raise error
        return error

    def done(self) -> bool:
        """Whether the task has its outcome: a result, an error or a cancellation."""
        return self._stage >= ENDED

    def cancel(self, msg: object = None) -> bool:
        """Cancels the task.

        Returns True if what awaits it gets ``CancelledError``: the task will not be started (again). Returns False if the
        task has another outcome (``TaskKilled`` is one), or is running; then its ``Context`` is cancelled and
        ``CancelledError`` is thrown into it, and the task decides how it ends. ``msg`` is the argument of the
        ``CancelledError`` that the task and its callers get, as in asyncio.
        """
        check_room()
        if msg is not None and self._stage < ENDED:
            self.extra().cancel_message = msg
        # Sent ahead to a process, but not begun there: back in the queue, it can be cancelled like any other task.
        if self._stage == RUNNING and self._engine.backend is not None:
            self._engine.backend.recall(self)
        if self._stage == QUEUED:
            with HeldInterrupts(self._engine.loop):  # half of it would leave the books wrong, or waiters asleep
                self.extra().ended_waiting = True
                self._end_cancelled(TaskCancelled(f"{self.label} was cancelled before it started"))
            return True
        if self._stage == RUNNING:
            self._engine.interrupt(self, TaskCancelled(f"{self.label} was cancelled"))
            return False
        # By True, ``asyncio.Task.cancel`` takes it that its task gets a ``CancelledError`` by awaiting this.
        return self._extra is not None and self._extra.as_cancelled_error

    def cancelled(self) -> bool:
        """Whether the outcome is a cancellation."""
        return self._extra is not None and self._extra.cancelled

    def running(self) -> bool:
        """Whether an attempt is running."""
        return self._stage == RUNNING

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Returns the event loop of the manager."""
        return self._engine.loop

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: contextvars.Context | None = None) -> None:
        """Has the loop call ``fn(future)`` once, soon after the task has its outcome.

        Callbacks are called in the order in which they were added, in ``context`` (default: a copy of the present one).
        An error that ``fn`` raises is logged and counted in ``stats().user_errors``, and goes no further.
        """
        call = guarded(fn)
        if context is None:
            context = contextvars.copy_context()
        if self._stage >= ENDED:
            self._engine.loop.call_soon(call, self, context=context)
            return
        extra = self.extra()
        if extra.listeners is None:
            extra.listeners = []
        extra.listeners.append((call, context))

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Removes all additions of ``fn`` whose call is not scheduled yet. Returns how many there were."""
        extra = self._extra
        if extra is None or not extra.listeners:
            return 0
        kept = [one for one in extra.listeners if one[0] != fn]
        removed = len(extra.listeners) - len(kept)
        extra.listeners[:] = kept
        return removed

    @property
    def attempts(self) -> int:
        """The number of times that the task was started; those that ended with ``Snooze`` do not count."""
        # Computed from what is recorded anyway, which saves a counter in each task.
        extra = self._extra
        waits = self._stage == QUEUED or (extra is not None and extra.ended_waiting) or not hasattr(self, "_worker")
        return (0 if extra is None else extra.sent_back - extra.snoozes) + (0 if waits else 1)

    @property
    def attempts_made(self) -> tuple[Attempt, ...]:
        """The attempts that have ended, the first one first: which worker ran them, for how long, and how each ended. Of more
        than 10, the first 5 and the last 5."""
        extra = self._extra
        history = () if extra is None else extra.history
        if extra is None or self._stage != FAILED:
            return history if self._stage < ENDED else with_last(history, self, None, Verdict.SUCCEEDED)
        return with_last(history, self, extra.error, verdict_of(extra.error, cancelled=extra.cancelled))

    @property
    def worker(self) -> str | None:
        """The name of the worker that ran the last attempt; None before the first."""
        name = getattr(self, "_worker", None)
        return None if name is None else str(name)

    @property
    def timestamps(self) -> TaskLifecycleTimestamps | None:
        """When the task was accepted, last started and ended (``time.monotonic`` seconds); None while it is not done,
        or if it was never started."""
        started_at, finished_at = getattr(self, "_started_at", None), getattr(self, "_finished_at", None)
        if self._stage < ENDED or started_at is None or finished_at is None:
            return None
        return TaskLifecycleTimestamps(self._queued_at, started_at, finished_at)

    @property
    def label(self) -> str:
        """``task #<id> <function>``, as in messages; without the function once the task is done."""
        return f"task #{self.id}" if self._task is None else f"task #{self.id} {task_name(self._task)}"

    def __repr__(self) -> str:
        return f"<{self.label}>"

    # -- for workers and the manager ------------------------------------------------------------------------------

    def extra(self) -> Extra:
        """Returns the rarely needed fields, and makes them if the task has none."""
        extra = self._extra
        if extra is None:
            extra = self._extra = Extra()
        return extra

    @property
    def _limited(self) -> LimitedTask | None:
        """The time limits of the task, if it has any."""
        return None if self._extra is None else self._extra.limited

    @property
    def sent_back(self) -> int:
        """The number of attempts that ended without an outcome."""
        return 0 if self._extra is None else self._extra.sent_back

    @property
    def _retry(self) -> RetryPolicy | None:
        return None if self._extra is None else self._extra.retry

    @property
    def _snoozes(self) -> int:
        return 0 if self._extra is None else self._extra.snoozes

    def _note_snooze(self) -> None:
        """Has the last attempt not count."""
        self.extra().snoozes += 1

    def _end_result(self, value: T) -> None:
        """Ends the task with its result."""
        self._stage = ENDED
        self._held = value
        self._task = self._variables = None
        if self._extra is not None:
            self._notify(value, None)

    def _end_error(self, error: BaseException, *, cancelled: bool = False) -> None:
        """Ends the task with an error. ``cancelled``: the error is a cancellation, by a kill or by the task itself."""
        error = carried(error)
        extra = self.extra()
        if not cancelled and extra.callback is None:  # a callback counts as a retrieval
            extra.unretrieved = UnretrievedError(self._engine.loop, self.label, error)
        # Even a cancellation is shown as this error, not as ``CancelledError``: the awaiting caller was not cancelled.
        self._fail(extra, error, cancelled)

    def _end_cancelled(self, error: TaskCancelled) -> None:
        """Ends the task after ``cancel``. A callback gets ``error``."""
        # A caller that awaits the task gets ``asyncio.CancelledError``. Anything else would break its own cancellation:
        # ``Task.cancel`` and ``wait_for`` cancel the awaited future, and rely on getting a ``CancelledError`` back.
        extra = self.extra()
        extra.as_cancelled_error = True
        self._fail(extra, error, cancelled=True)

    def _fail(self, extra: Extra, error: BaseException, cancelled: bool) -> None:
        if extra.history:
            tell(error, self.label, extra.history)
        extra.error, extra.traceback, extra.cancelled = error, attribute(error, "__traceback__"), cancelled
        # Everything is set before anything is notified, as callbacks run at once. The arguments are dropped, because a
        # future that is kept must not keep them.
        self._stage = FAILED
        self._held = self._task = self._variables = None
        if extra.ended_waiting:
            self._engine.ended_in_queue(self)
        self._notify(None, error)

    def _notify(self, value: T | None, error: BaseException | None) -> None:
        """Schedules the done callbacks, then calls the callback."""
        extra = self._extra
        assert extra is not None
        listeners, extra.listeners = extra.listeners, None
        if listeners:
            call_soon = self._engine.loop.call_soon
            for fn, context in listeners:
                call_soon(fn, self, context=context)
        callback, extra.callback = extra.callback, None
        if callback is not None:
            self._engine.callbacks.call(self, callback, value, error)

    def _to_raise(self) -> BaseException:
        """Returns the error that callers get: ``asyncio.InvalidStateError`` if the task is not done."""
        if self._stage != FAILED:
            return asyncio.InvalidStateError(f"{self.label} has not ended")
        extra = self.extra()
        # Retrieved now, so it is not reported as never retrieved.
        if extra.unretrieved is not None:
            extra.unretrieved.retrieved()
            extra.unretrieved = None
        if extra.as_cancelled_error:
            return self._make_cancelled_error()
        assert extra.error is not None
        # Not ``extra.error.with_traceback``, which the error's class may override.
        return BaseException.with_traceback(extra.error, extra.traceback)

    def _make_cancelled_error(self) -> BaseException:  # ``gather`` calls it on a cancelled future
        extra = self.extra()
        if not extra.cancelled or extra.error is None:
            # ``gather(return_exceptions=True)`` that was cancelled itself calls it on its last future, whatever its outcome.
            return asyncio.CancelledError()
        return asyncio.CancelledError(self._cancel_message) if extra.as_cancelled_error else extra.error

    @property
    def _cancel_message(self) -> object:  # ``gather(return_exceptions=True)`` reads it
        # The message first: a scope of anyio's that has cancelled its caller knows its own cancellation by it.
        extra = self.extra()
        return str(extra.error) if extra.cancel_message is None else extra.cancel_message

    def set_result(self, result: T, /) -> None:
        """Raises ``InvalidStateError``: only the manager sets the outcome of a task."""
        raise asyncio.InvalidStateError("the outcome of a task is set by its manager alone")

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Raises ``InvalidStateError``: only the manager sets the outcome of a task."""
        raise asyncio.InvalidStateError("the outcome of a task is set by its manager alone")
