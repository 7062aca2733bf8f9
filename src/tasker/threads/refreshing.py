"""RefreshFuture: what ``TaskManager.refresh`` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from tasker.core.counters import Counters

from .completion import complete
from .future_log import DONE, FINISHED, PENDING, Callback, Ending, Mark, Owner
from .future_protocol import StandardFuture
from .loop_waits import CallbackOfLoop, destination_of
from .reentrancy import forbid_reentry


class RefreshableEngine(Owner, Protocol):
    """The part of the engine that is used here."""

    @property
    def thread(self) -> threading.Thread:
        """The supervisor's thread."""
        ...

    @property
    def counters(self) -> Counters: ...
    def refresh(self, notify: Callable[[bool], object]) -> int:
        """Notes a refresh. Returns its number."""
        ...

    def begin_refresh(self, number: int) -> None:
        """Begins it."""


class RefreshFuture(StandardFuture[bool]):
    """A refresh. Its result is True once no resource of before it is left, and False if the manager ended first. It cannot be
    cancelled.

    The supervisor's thread sets the result. So there is no lock that a waiting thread takes: one that Ctrl-C leaves locked
    would stop that thread for ever.
    """

    label = "a refresh"
    _error = None
    _value: bool
    _owner: RefreshableEngine

    def __init__(self, engine: RefreshableEngine) -> None:
        # Not ``Future.__init__``, which makes such a lock.
        self._owner = engine
        self._log = []
        self._kind = PENDING
        engine.begin_refresh(engine.refresh(self._over))

    def _over(self, refreshed: bool) -> None:
        self._value = refreshed
        complete(self, DONE, self._append(DONE))

    def _publish(self, ending: Ending | Mark) -> None:
        self._kind = FINISHED

    def result(self, timeout: float | None = None) -> bool:
        """See ``Future``. Raises ``DeadlockError`` in a task of the manager, whose worker cannot renew its resource meanwhile."""
        self.exception(timeout)
        return self._value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See ``result``."""
        if not self._kind:
            self._wait(timeout)
        return None

    def _wait(self, timeout: float | None) -> None:
        forbid_reentry(self._owner, "the wait for a refresh")
        super()._wait(timeout)

    def cancel(self) -> bool:
        """Returns False."""
        return False

    def cancelled(self) -> bool:
        """Returns False."""
        return False

    def running(self) -> bool:
        """Returns whether it is not over."""
        return not self._kind

    def done(self) -> bool:
        """Returns whether it is over."""
        return self._kind != PENDING

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """Has ``fn(future)`` called once, as soon as it is over: in a thread of the manager's own, or at once in this one if it
        is over already. An error that ``fn`` raises is logged and counted in ``stats().user_errors``."""
        # Of a loop in a worker, too: unlike the wait for a task, it does not count as one that takes a worker.
        self._watch(Callback(fn) if destination_of(fn) is None else CallbackOfLoop(fn))
