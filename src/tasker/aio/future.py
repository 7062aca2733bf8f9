"""AsyncTaskFuture: a task and its outcome in one object, a future of the event loop.

It speaks asyncio's protocol for futures (``asyncio.isfuture`` says so), so ``await``, ``gather``, ``wait``, ``wait_for``
and ``shield`` take it. It is written here and not inherited from ``asyncio.Future``, whose construction, and whose weight
for the garbage collector, would take a fifth of the time of a task; see docs/decisions. Everything happens in the loop's
thread, so one field, ``_stage``, says who may end it; there is no race to decide.

A task that succeeds and whose outcome nobody waits for before it is there needs no more than the slots. Whatever else there is to
know of a task is in ``_rare``, which most never have.

How an ended task is shown:

- a result or an error: as in every future;
- ``cancel()``: natively, so whoever awaits it gets ``asyncio.CancelledError``. Anything else would break the caller's
  own cancellation: ``Task.cancel`` hands itself on to the awaited future and trusts that a ``CancelledError`` comes
  back, and so does ``wait_for``;
- ``kill()``, and a ``CancelledError`` of the task's own: as an error, ``TaskKilled`` or ``TaskCancelled``, because
  nobody cancelled the one who awaits it. ``cancelled()`` is true for these all the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tasker.errors import TaskCancelled
from tasker.logs import task_name
from tasker.metrics.protocol import TaskLifecycleTimestamps

T = TypeVar("T")

QUEUED, RUNNING, ENDED, FAILED = 0, 1, 2, 3
"""Stages. ``ENDED``: with a result; ``FAILED``: with an error or a cancellation."""


class Recalls(Protocol):
    """What a future needs of a backend."""

    def recall(self, future: Any) -> None:
        """If the task was sent ahead and has not begun, puts it back into the queue."""


class CallsBack(Protocol):
    """What calls the callbacks of tasks."""

    def call(
        self,
        future: Any,
        callback: Callable[[Any, BaseException | None], object],
        value: Any,
        error: BaseException | None,
    ) -> None:
        """Calls one."""


class LoopOwner(Protocol):
    """What a future asks of the manager it belongs to."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def backend(self) -> Recalls | None: ...
    @property
    def callbacks(self) -> CallsBack: ...
    def ended_in_queue(self, future: Any) -> None:
        """The task ended while no attempt ran."""

    def interrupt(self, future: Any, cause: BaseException) -> None:
        """Cancels a running task."""

    def callback_fault(self, future: Any, error: BaseException) -> None:
        """Logs and counts what a callback raised."""


class Extra:
    """What few tasks have."""

    once: bool = False
    callback: Callable[[Any, BaseException | None], object] | None = None
    listeners: list[tuple[Callable[[Any], object], contextvars.Context]] | None = None
    """Done callbacks, in the order of their adding."""
    cancel_requested: bool = False
    """Whether ``cancel`` was called while it ran."""
    ended_waiting: bool = False
    """Whether it ended while no attempt ran."""
    sent_back: int = 0
    """How many attempts ended without an outcome."""
    slot_released: bool = False
    """Whether it has left a bounded queue and come back."""
    failure: BaseException | None = None
    """What the last attempt raised, while the task waits for the next one."""
    error: BaseException | None = None
    """What it failed with; for a native cancellation, what its callback got."""
    cancelled: bool = False
    """Whether the outcome is a cancellation."""
    natively: bool = False
    """Whether that is shown as ``asyncio.CancelledError``."""
    traceback: types.TracebackType | None = None
    """Where ``error`` was raised; each raising to a caller starts from there."""
    unretrieved: UnretrievedError | None = None


class UnretrievedError:
    """Goes with an error, and reports it to the loop if it goes before anybody has asked for it."""

    __slots__ = ("_error", "_label", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, label: str, error: BaseException) -> None:
        self._loop = loop
        self._label = label
        self._error: BaseException | None = error

    def retrieved(self) -> None:
        """Somebody has."""
        self._error = None

    def __del__(self) -> None:
        if self._error is not None:
            report = {"message": f"the error of {self._label} was never retrieved", "exception": self._error}
            self._loop.call_exception_handler(report)


class _Guarded:
    """A done callback whose fault is logged and counted instead of reaching the loop, which a ``SystemExit`` would
    stop. Equal to what it guards, so ``remove_done_callback`` finds it."""

    __slots__ = ("_fn",)

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self._fn = fn

    def __call__(self, future: AsyncTaskFuture[Any]) -> None:
        try:
            self._fn(future)
        except BaseException as error:
            future._engine.callback_fault(future, error)

    def __eq__(self, other: object) -> bool:
        return self is other or self._fn == other

    def __hash__(self) -> int:
        return hash(self._fn)


if TYPE_CHECKING:  # what takes futures is declared to take this class
    _Future = asyncio.Future
else:
    _Future = Generic


class AsyncTaskFuture(_Future[T]):
    """A task that was accepted, and its outcome. Made by ``submit``; to be used in the manager's event loop alone.

    Awaiting it gives the result or raises what the task raised. A killed task raises ``TaskKilled``; one that was
    cancelled raises ``asyncio.CancelledError``, as every future does.
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
    """The arguments, until it ends; then the result."""
    _queued_at: float
    _extra: Extra | None
    _stage: int
    _started_at: float
    _task: Callable[..., Any] | None
    _variables: contextvars.Context | None
    """The submitter's; None where nothing was set there. An empty one to keep for each task would cost the garbage
    collector a tenth of a task."""
    _worker: str

    # -- for callers ----------------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, T]:
        if self._stage < ENDED:
            self._asyncio_future_blocking = True  # tells the loop's task that this comes from an ``await``
            yield self
            if self._stage < ENDED:
                raise RuntimeError("await wasn't used with future")
        if self._stage == ENDED:
            return self._held  # type: ignore[no-any-return]
        error = self._to_raise()
        try:
            raise error
        finally:
            del self, error  # or the traceback's frame would hold the error that holds the traceback

    __iter__ = __await__

    def result(self) -> T:
        """The result; raises what the task raised, or ``asyncio.InvalidStateError`` before it has ended."""
        if self._stage == ENDED:
            return self._held  # type: ignore[no-any-return]
        error = self._to_raise()
        try:
            raise error
        finally:
            del self, error  # as above

    def exception(self) -> BaseException | None:
        """What the task raised, or None; raises ``asyncio.CancelledError`` where it was cancelled, and
        ``asyncio.InvalidStateError`` before it has ended."""
        if self._stage == ENDED:
            return None
        error = self._to_raise()
        if self._stage != FAILED or self.extra().natively:
            raise error
        return error

    def done(self) -> bool:
        """Whether it has its outcome."""
        return self._stage >= ENDED

    def cancel(self, msg: object = None) -> bool:
        """True: the task will not be started (again) and ends cancelled. False: it is done, or it is running; then
        its ``Context`` is cancelled and ``CancelledError`` is thrown into it, and the task decides how it ends."""
        if self._stage == RUNNING and self._engine.backend is not None:
            self._engine.backend.recall(self)
        if self._stage == QUEUED:
            self.extra().ended_waiting = True
            self._end_cancelled(TaskCancelled(f"{self.label} was cancelled before it started"))
            self._engine.ended_in_queue(self)
            return True
        if self._stage == RUNNING:
            self._engine.interrupt(self, TaskCancelled(f"{self.label} was cancelled"))
            return False
        return self.cancelled()

    def cancelled(self) -> bool:
        """Whether the outcome is a cancellation."""
        return self._extra is not None and self._extra.cancelled

    def running(self) -> bool:
        """Whether an attempt runs now."""
        return self._stage == RUNNING

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The manager's event loop."""
        return self._engine.loop

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: contextvars.Context | None = None) -> None:
        """Has the loop call ``fn(future)`` once the outcome is there, in the order of the calls. What ``fn`` raises is
        logged and counted, and nothing else."""
        # A task that awaits adds itself, as a method of C: nothing to guard there.
        guarded = fn if type(fn) is types.BuiltinFunctionType else _Guarded(fn)
        if context is None:
            context = contextvars.copy_context()
        if self._stage >= ENDED:
            self._engine.loop.call_soon(guarded, self, context=context)
            return
        extra = self.extra()
        if extra.listeners is None:
            extra.listeners = []
        extra.listeners.append((guarded, context))

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Takes back all of ``fn`` that were added and not yet called for; returns how many."""
        extra = self._extra
        if extra is None or not extra.listeners:
            return 0
        kept = [one for one in extra.listeners if one[0] != fn]
        removed = len(extra.listeners) - len(kept)
        extra.listeners[:] = kept
        return removed

    @property
    def attempts(self) -> int:
        """How often it was started."""
        extra = self._extra
        waits = self._stage == QUEUED or (extra is not None and extra.ended_waiting) or not hasattr(self, "_worker")
        return (0 if extra is None else extra.sent_back) + (0 if waits else 1)

    @property
    def worker(self) -> str | None:
        """The name of the worker that ran the last attempt; None before the first."""
        return getattr(self, "_worker", None)

    @property
    def timestamps(self) -> TaskLifecycleTimestamps | None:
        """When it was accepted, last started and ended; None until it has ended, or where it never started."""
        started_at, finished_at = getattr(self, "_started_at", None), getattr(self, "_finished_at", None)
        if self._stage < ENDED or started_at is None or finished_at is None:
            return None
        return TaskLifecycleTimestamps(self._queued_at, started_at, finished_at)

    @property
    def label(self) -> str:
        """``task #<id> <function>``, as in messages; without the function once it has ended."""
        return f"task #{self.id}" if self._task is None else f"task #{self.id} {task_name(self._task)}"

    def __repr__(self) -> str:
        return f"<{self.label}>"

    # -- for workers and the manager ------------------------------------------------------------------------------

    def extra(self) -> Extra:
        """What few tasks have; from now on this one has it."""
        extra = self._extra
        if extra is None:
            extra = self._extra = Extra()
        return extra

    @property
    def sent_back(self) -> int:
        """How many attempts ended without an outcome."""
        return 0 if self._extra is None else self._extra.sent_back

    def _end_result(self, value: T) -> None:
        """Gives it its result."""
        self._stage = ENDED
        self._held = value
        self._task = self._variables = None
        if self._extra is not None:
            self._tell(value, None)

    def _end_error(self, error: BaseException, *, cancelled: bool = False) -> None:
        """Gives it an error; ``cancelled``: which is a cancellation."""
        if isinstance(error, StopIteration):  # no future may raise it: it would end whatever generator awaits it
            wrong, error = error, RuntimeError("the task raised StopIteration")
            error.__cause__ = wrong
        extra = self.extra()
        if not cancelled and extra.callback is None:  # an error that somebody is told of is not "never retrieved"
            extra.unretrieved = UnretrievedError(self._engine.loop, self.label, error)
        self._fail(extra, error, cancelled)

    def _end_cancelled(self, error: TaskCancelled) -> None:
        """Ends it natively; ``error`` is what a callback gets."""
        extra = self.extra()
        extra.natively = True
        self._fail(extra, error, cancelled=True)

    def _fail(self, extra: Extra, error: BaseException, cancelled: bool) -> None:
        extra.error, extra.traceback, extra.cancelled = error, error.__traceback__, cancelled
        self._stage = FAILED
        self._held = self._task = self._variables = None
        self._tell(None, error)

    def _tell(self, value: T | None, error: BaseException | None) -> None:
        """Tells those who wait, then the callback."""
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
        """The error that callers get; ``asyncio.InvalidStateError`` before there is one."""
        if self._stage != FAILED:
            return asyncio.InvalidStateError(f"{self.label} has not ended")
        extra = self.extra()
        if extra.unretrieved is not None:
            extra.unretrieved.retrieved()
            extra.unretrieved = None
        if extra.natively:
            return self._make_cancelled_error()
        assert extra.error is not None
        return BaseException.with_traceback(extra.error, extra.traceback)  # its class may have one of its own

    def _make_cancelled_error(self) -> BaseException:  # gather asks a cancelled future for it
        error = self.extra().error
        assert error is not None
        return asyncio.CancelledError(str(error)) if self.extra().natively else error

    @property
    def _cancel_message(self) -> str:  # gather asks for it where it returns exceptions
        return str(self.extra().error)

    def set_result(self, result: T, /) -> None:
        """Not for callers: the manager alone decides the outcome."""
        raise asyncio.InvalidStateError("the outcome of a task is set by its manager alone")

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Not for callers: the manager alone decides the outcome."""
        raise asyncio.InvalidStateError("the outcome of a task is set by its manager alone")
