"""``as_executor``: a manager as a ``concurrent.futures.Executor``, for ``run_in_executor`` and libraries that want
one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from tasker.context import Context
from tasker.options import TaskOptions

from .future import TaskFuture
from .waits import WaitRegistry

T = TypeVar("T")


class ManagerExecutor(Executor):
    """A view of a manager. Its callables are plain ones, called with their own arguments alone."""

    def __init__(self, submit: Callable[..., TaskFuture[Any]], waits: WaitRegistry, options: TaskOptions) -> None:
        self._submit = submit
        self._waits = waits
        self._options = options
        self._closed = False
        self._pending: set[Future[Any]] = set()
        self._submitting = 0
        self._changed = threading.Condition()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queues ``fn(*args, **kwargs)``. ``RuntimeError`` after ``shutdown``, ``ShutdownError`` after the manager's
        end."""
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._submitting += 1
        future: TaskFuture[T] | None = None
        try:
            future = self._submit(_plain, fn, args, kwargs, **self._options)
        finally:
            with self._changed:
                self._submitting -= 1
                if future is not None:
                    self._pending.add(future)
                self._changed.notify_all()
        future.add_done_callback(self._forget)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Closes this view, waits for what came through it, and leaves the manager alone."""
        with self._changed:
            self._closed = True
            pending = list(self._pending)
        if cancel_futures:
            for future in pending:
                future.cancel()
        if wait:
            ticket = self._waits.enter(self)
            try:
                with self._changed:
                    self._changed.wait_for(self.done)
            finally:
                self._waits.leave(ticket)

    def done(self) -> bool:
        """Whether everything that came through this view has its outcome."""
        return not self._submitting and all(future.done() for future in tuple(self._pending))

    def _forget(self, future: Future[Any]) -> None:
        with self._changed:
            self._pending.discard(future)
            self._changed.notify_all()


def _plain(ctx: Context, resource: Any, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    return fn(*args, **kwargs)
