"""InlineFuture: the future of an inline manager. A wait for it runs what is queued."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from tasker.core.flag import Flag
from tasker.errors import DeadlockError
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import Bridge
from tasker.threads.future_protocol import StandardFuture
from tasker.threads.refreshing import RefreshFuture

T = TypeVar("T")


class RunsTasks(Protocol):
    """The part of the engine that a wait uses."""

    def run_until(self, done: Callable[[], object], timeout: float | None, what: object) -> bool:
        """Runs queued tasks until ``done()``; returns whether it is. Raises ``DeadlockError`` if that would never
        be."""
        ...


class _RunsQueue(StandardFuture[T]):
    """A future of an inline manager: a wait for it runs what is queued."""

    __slots__ = ()

    def _wait(self, timeout: float | None) -> None:
        if not cast("RunsTasks", self._owner).run_until(self.done, timeout, self):
            raise concurrent.futures.TimeoutError(f"{self.label} has no outcome after {timeout} seconds")

    @property
    def _waiters(self) -> Any:  # type: ignore[override]
        return _RunningWaiters(self._bridge(), cast("RunsTasks", self._owner))


class InlineFuture(_RunsQueue[T], TaskFuture[T]):
    """A task of an ``InlineTaskManager``, and its outcome.

    It does what a ``TaskFuture`` does, except that waiting for it (``result``, ``exception``, ``await``,
    ``concurrent.futures.wait`` and ``as_completed``) runs the queued tasks in their order, in this thread, until it has
    its outcome. Timeouts are seconds of the manager's clock. ``result`` and ``exception`` raise ``DeadlockError`` if no
    task that is queued can bring the outcome.
    """

    __slots__ = ()


class InlineRefreshFuture(_RunsQueue[bool], RefreshFuture):
    """A refresh of an ``InlineTaskManager``. A wait for it runs what is queued."""


class _RunningWaiters(list[Any]):
    """The waiters of one future, as ``concurrent.futures`` uses them: it appends one, and then waits for its event."""

    def __init__(self, bridge: Bridge, engine: RunsTasks) -> None:
        self._bridge = bridge
        self._engine = engine

    def append(self, waiter: Any) -> None:
        before = waiter.event
        if type(before) in (threading.Event, Flag):  # a Flag, if it waits for a task of another manager as well
            waiter.event = _RunningEvent()
            if before.is_set():
                waiter.event.set()
        if type(waiter.event) is _RunningEvent:
            waiter.event.engines.append(self._engine)
        self._bridge.append(waiter)

    def remove(self, waiter: Any) -> None:
        self._bridge.remove(waiter)


class _RunningEvent(Flag):
    """Runs tasks in place of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.engines: list[RunsTasks] = []

    def wait(self, timeout: float | None = None) -> bool:
        # ``as_completed`` keeps those that it has not yielded in ``pending``, ``wait`` all of them in ``fs``.
        names = sys._getframe(1).f_locals
        futures = names.get("pending", names.get("fs")) or ()
        blocked: DeadlockError | None = None
        for engine in dict.fromkeys(self.engines):  # each once
            try:
                if engine.run_until(self.is_set, timeout, "one of several futures"):
                    return True
            except DeadlockError as error:
                blocked = error
        if timeout is not None and self.engines:
            return False
        if blocked is None or any(not isinstance(future, _RunsQueue) and not future.done() for future in futures):
            return super().wait(timeout)  # another executor brings that one
        raise blocked
