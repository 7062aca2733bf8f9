"""``as_executor``: shows a manager as a ``concurrent.futures.Executor``, for ``run_in_executor`` and libraries that
take one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, TypeVar

from tasker.context import Context
from tasker.core.fork import disable_in_children
from tasker.errors import DeadlockError, TaskCancelled
from tasker.options import TaskOptions

from .future import TaskFuture
from .future_log import RUN, Ending, Mark

if TYPE_CHECKING:  # it imports what `import tasker` has no need of yet
    from .waits import WaitRegistry

T = TypeVar("T")


class ManagerExecutor(Executor):
    """A view of a manager. It calls plain callables with their own arguments alone. Thread-safe."""

    def __init__(self, submit: Callable[..., TaskFuture[Any]], waits: WaitRegistry, options: TaskOptions) -> None:
        self._submit = submit
        self._waits = waits
        self._options = options
        self._closed = False
        self._pending: set[Future[Any]] = set()
        self._submitting: set[object] = set()
        """A token for each call of ``submit`` whose future is not in ``_pending`` yet."""
        self._waiting: list[queue.SimpleQueue[DeadlockError | None]] = []
        """What the calls of ``shutdown`` wait for."""
        # Not a condition: its methods are Python, so Ctrl-C could leave it locked, and every worker would wait for it.
        self._lock = threading.RLock()
        disable_in_children(self)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queues ``fn(*args, **kwargs)`` and returns its future. Raises ``RuntimeError`` after ``shutdown``, and
        ``ShutdownError`` (also a ``RuntimeError``) if the manager accepts no more tasks."""
        token = object()
        future: TaskFuture[T] | None = None
        try:
            with self._lock:
                if self._closed:
                    raise RuntimeError("cannot schedule new futures after shutdown")
                # Until the future is in ``_pending``, so that a ``shutdown`` in between waits for it. The lock is not held
                # meanwhile: the submission may wait for a slot in a full queue.
                self._submitting.add(token)
            future = self._submit(_plain, fn, args, kwargs, **self._options)
        finally:
            try:
                self._submitted(token, future)
            except BaseException:  # Ctrl-C: without the rest, a ``shutdown`` would wait for ever
                self._submitted(token, future)
                raise
        return future

    def _submitted(self, token: object, future: TaskFuture[Any] | None) -> None:
        """Notes how a ``submit`` has ended. May be repeated."""
        with self._lock:
            if future is not None:
                self._pending.add(future)
            self._submitting.discard(token)
            self._wake_shutdown()
        # Outside of the lock: if the task is done already, the callback is called here, and takes it.
        if future is not None:
            future.add_done_callback(self._forget)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Closes this view and, if ``wait``, waits for the tasks that were submitted through it. The manager goes on.

        ``cancel_futures`` cancels those of them that wait for an attempt; one that runs goes on. Raises ``DeadlockError``
        if it is called in a task of the manager and the wait would never end.
        """
        with self._lock:
            self._closed = True
            pending = list(self._pending)
        if cancel_futures:
            # Outside of the lock: a cancellation calls ``_forget``, and callbacks of the user.
            for future in pending:
                _cancel_waiting(future)
        if wait and not self._done():
            self._wait()

    def _wait(self) -> None:
        ended: queue.SimpleQueue[DeadlockError | None] = queue.SimpleQueue()
        ticket = None
        try:
            self._waiting.append(ended)
            ticket = self._waits.enter_group(self._pending, ended.put)
            with self._lock:
                # Ctrl-C may have kept ``_forget`` from taking one out, where a cancellation called it.
                self._pending.difference_update(_ended(self._pending))
                if self._is_idle():  # before this call was in the list
                    return
            refusal = ended.get()
        finally:
            self._waits.leave(ticket)
            self._waiting.remove(ended)
        if refusal is not None and not self._done():
            raise refusal

    def _done(self) -> bool:
        return not self._submitting and all(future.done() for future in self._pending.copy())

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending.discard(future)
            self._wake_shutdown()

    def _is_idle(self) -> bool:
        return not self._submitting and not self._pending

    def _wake_shutdown(self) -> None:
        # Only once there is nothing left to wait for: each wakeup of a ``shutdown`` would cost as much as a task.
        if self._closed and self._is_idle():
            for ended in tuple(self._waiting):  # a call may end meanwhile
                ended.put(None)

    def forked(self) -> None:
        """See ``core.fork``: what is pending is the parent's, and nothing in a child ends it."""
        self._lock = threading.RLock()  # may be held by a thread that does not exist here
        self._inherited, self._pending, self._submitting = self._pending, set(), set()


def _ended(futures: set[Future[Any]]) -> list[Future[Any]]:
    return [future for future in futures if future.done()]


def _cancel_waiting(future: Any) -> None:
    """Cancels a task unless an attempt runs. ``cancel`` would cancel the context of that attempt, and the backend would
    end it by force after the grace."""
    if future._log and getattr(future, "_context", future) is None:
        future.cancel()  # it may have been sent ahead to another process
        return
    marks = [entry for entry in (*future._log,) if isinstance(entry, Mark)]
    if not marks or marks[-1] is not RUN:
        future._end(Ending(TaskCancelled(f"{future.label} was cancelled before it started"), cancelled=True))


def _plain(ctx: Context, resource: Any, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    return fn(*args, **kwargs)
