"""AsyncTaskFuture: a task and its outcome in one object, as a future of the event loop.

It *is* an ``asyncio.Future`` (the one written in C), so ``await``, ``gather``, ``wait``, ``wait_for`` and ``shield``
take it. Everything happens in the loop's thread, so one field, ``_stage``, says who may end it; there is no race to
decide.

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
from collections.abc import Callable
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any, TypeVar

from tasker.errors import TaskCancelled
from tasker.logs import task_name
from tasker.metrics.protocol import TaskLifecycleTimestamps

if TYPE_CHECKING:
    from .engine import AsyncEngine

T = TypeVar("T")

QUEUED, RUNNING, ENDED = 0, 1, 2
_set_result, _set_exception, _cancel = asyncio.Future.set_result, asyncio.Future.set_exception, asyncio.Future.cancel


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


class AsyncTaskFuture(asyncio.Future[T]):
    """A task that was accepted, and its outcome. Made by ``submit``; to be used in the manager's event loop alone.

    Awaiting it gives the result or raises what the task raised. A killed task raises ``TaskKilled``; one that was
    cancelled raises ``asyncio.CancelledError``, as every future does.
    """

    __slots__ = (
        "_args",
        "_engine",
        "_finished_at",
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
    _args: tuple[Any, ...]
    _engine: AsyncEngine
    _finished_at: float
    _queued_at: float
    _stage: int
    _started_at: float
    _task: Callable[..., Any] | None
    _variables: contextvars.Context | None
    _worker: str
    # Rarely other than this, so a slot would be memory for nothing; ``asyncio.Future`` gives its instances a __dict__.
    _asked: bool = False
    """Whether ``cancel`` was called while it ran."""
    _callback: Callable[[Any, BaseException | None], object] | None = None
    _cancelled: bool = False
    """Whether the outcome is a cancellation."""
    _ended_waiting: bool = False
    """Whether it ended while no attempt ran."""
    _failure: BaseException | None = None
    """What the last attempt raised, while the task waits for the next one."""
    _holds_place: bool = False
    _once: bool = False
    _sent_back: int = 0
    """How many attempts ended without an outcome."""

    # -- for callers ----------------------------------------------------------------------------------------------

    def cancel(self, msg: object = None) -> bool:
        """True: the task will not be started (again) and ends cancelled. False: it is done, or it is running; then
        its ``Context`` is cancelled and ``CancelledError`` is thrown into it, and the task decides how it ends."""
        if self._stage == QUEUED:
            self._ended_waiting = True
            self._end_cancelled(TaskCancelled(f"{self.label} was cancelled before it started"))
            self._engine.ended_in_queue(self)
            return True
        if self._stage == RUNNING:
            self._engine.interrupt(self, TaskCancelled(f"{self.label} was cancelled"))
            return False
        return self.cancelled()

    def cancelled(self) -> bool:
        """Whether the outcome is a cancellation."""
        return self._cancelled

    def running(self) -> bool:
        """Whether an attempt runs now."""
        return self._stage == RUNNING

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: contextvars.Context | None = None) -> None:
        """Has the loop call ``fn(future)`` once the outcome is there, in the order of the calls. What ``fn`` raises is
        logged and counted, and nothing else."""
        # A task that awaits adds itself, as a method of C: nothing to guard there.
        guarded = fn if type(fn) is BuiltinMethodType else _Guarded(fn)
        super().add_done_callback(guarded, context=context)

    @property
    def attempts(self) -> int:
        """How often it was started."""
        waits = self._stage == QUEUED or self._ended_waiting or not hasattr(self, "_worker")
        return self._sent_back + (0 if waits else 1)

    @property
    def worker(self) -> str | None:
        """The name of the worker that ran the last attempt; None before the first."""
        return getattr(self, "_worker", None)

    @property
    def timestamps(self) -> TaskLifecycleTimestamps | None:
        """When it was accepted, last started and ended; None until it has ended, or where it never started."""
        started_at, finished_at = getattr(self, "_started_at", None), getattr(self, "_finished_at", None)
        if self._stage != ENDED or started_at is None or finished_at is None:
            return None
        return TaskLifecycleTimestamps(self._queued_at, started_at, finished_at)

    @property
    def label(self) -> str:
        """``task #<id> <function>``, as in messages; without the function once it has ended."""
        return f"task #{self.id}" if self._task is None else f"task #{self.id} {task_name(self._task)}"

    def __repr__(self) -> str:
        return f"<{self.label}>"

    # -- for workers and the manager ------------------------------------------------------------------------------

    def _end_result(self, value: T) -> None:
        """Gives it its result."""
        self._stage = ENDED
        _set_result(self, value)
        self._task = self._variables = None
        self._args = ()
        if self._callback is not None:
            self._call_back(value, None)

    def _end_error(self, error: BaseException, *, cancelled: bool = False) -> None:
        """Gives it an error; ``cancelled``: which is a cancellation."""
        if isinstance(error, StopIteration):  # no future may raise it: it would end whatever generator awaits it
            wrong, error = error, RuntimeError("the task raised StopIteration")
            error.__cause__ = wrong
        self._stage = ENDED
        self._cancelled = cancelled
        _set_exception(self, error)
        if cancelled or self._callback is not None:
            self._log_traceback = False  # an error that somebody is told of is not "never retrieved"
        self._forget()
        if self._callback is not None:
            self._call_back(None, error)

    def _end_cancelled(self, error: TaskCancelled) -> None:
        """Ends it natively; ``error`` is what a callback gets."""
        self._stage = ENDED
        self._cancelled = True
        _cancel(self, str(error))
        self._forget()
        if self._callback is not None:
            self._call_back(None, error)

    def _forget(self) -> None:
        self._task = self._variables = None
        self._args = ()

    def _call_back(self, value: T | None, error: BaseException | None) -> None:
        callback, self._callback = self._callback, None
        assert callback is not None
        self._engine.callbacks.call(self, callback, value, error)

    def _make_cancelled_error(self) -> BaseException:  # gather asks a cancelled future for it
        if self._cancelled and not super().cancelled():
            error = self.exception()
            assert error is not None
            return error
        plain: BaseException = super()._make_cancelled_error()  # type: ignore[misc]
        return plain

    def set_result(self, result: T, /) -> None:
        """Not for callers: the manager alone decides the outcome."""
        raise asyncio.InvalidStateError("the outcome of a task is set by its manager alone")

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Not for callers: the manager alone decides the outcome."""
        raise asyncio.InvalidStateError("the outcome of a task is set by its manager alone")
