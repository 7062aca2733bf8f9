"""What ``concurrent.futures`` and ``asyncio`` look at in a future, made from its log, and how a thread waits for its outcome."""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import Future
from typing import Any, TypeVar

from .completion import finish
from .future_log import CANCELLED, PENDING, SETTLED, Bridge, Ending, Mark, Owner, Waiter, Watcher, opened, outcome_in

T = TypeVar("T")


class StandardFuture(Future[T]):
    """A future without a lock of Python's, which Ctrl-C could leave locked: ``TaskFuture`` and ``RefreshFuture`` have the rest."""

    _kind: int
    _log: list[Any]
    _error: BaseException | None
    _value: Any
    _owner: Owner
    _made_bridge: Bridge | None = None

    @property
    def label(self) -> str:
        """What it is, as in messages."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.label}>"

    def _publish(self, ending: Ending | Mark) -> None:
        raise NotImplementedError

    def _bridge(self) -> Bridge:
        """Returns the one bridge of this future. It is in the log."""
        bridge = self._made_bridge
        if bridge is None:
            bridge = self.__dict__.setdefault("_made_bridge", Bridge(self))  # atomic: two threads get the same one
        # Another thread may have made the bridge and not appended it yet. Twice in the log does no harm.
        if bridge not in (*self._log,):
            self._append(bridge)
        return bridge

    _condition = _waiters = property(_bridge)

    @property
    def _state(self) -> str:  # type: ignore[override]
        # ``wait`` reads it twice while it holds the condition, and has to read the same both times.
        bridge = self._made_bridge
        seen = None if bridge is None else bridge.seen()
        if not (self._has_outcome() if seen is None else seen):
            return "RUNNING" if self.running() else "PENDING"
        return "CANCELLED_AND_NOTIFIED" if self._kind == CANCELLED else "FINISHED"

    def _has_outcome(self) -> bool:
        """Returns whether there is an outcome. It is published then, even if the thread that has brought it is not so
        far."""
        outcome = outcome_in((*self._log,))
        if outcome is None:
            return False
        self._publish(outcome)
        if type(outcome) is Ending and outcome.unfinished:
            finish(self)
        return True

    @property
    def _result(self) -> Any:  # type: ignore[override]
        return getattr(self, "_value", None)

    @property
    def _exception(self) -> BaseException | None:  # type: ignore[override]
        return self._error

    def _get_snapshot(self) -> tuple[bool, bool, Any, BaseException | None]:  # asyncio calls it, from CPython 3.14 on
        done = self._kind != PENDING
        return done, self.cancelled(), self._result if done else None, self._error

    def set_running_or_notify_cancel(self) -> bool:
        """Raises ``InvalidStateError``: only the manager sets the outcome of a task."""
        raise concurrent.futures.InvalidStateError("the outcome of a task is set by its manager alone")

    def set_result(self, result: T) -> None:
        """Raises ``InvalidStateError``: only the manager sets the outcome of a task."""
        self.set_running_or_notify_cancel()

    def set_exception(self, exception: BaseException | None) -> None:
        """Raises ``InvalidStateError``: only the manager sets the outcome of a task."""
        self.set_running_or_notify_cancel()

    # -- the log ----------------------------------------------------------------------------------------------------

    def _append(self, entry: object) -> tuple[Any, ...]:
        """Appends to the log, and returns a copy of it."""
        log = opened(self)
        log.append(entry)
        # Not ``tuple(log)``: on CPython 3.11 that may run the garbage collector between reading where the entries are
        # and copying them, and a thread that appends meanwhile moves them. (SETTLED drops what is appended to it.)
        return (*log,) if log is not SETTLED else (*log, entry)

    def _watch(self, watcher: Watcher) -> None:
        self._catch_up(watcher, self._append(watcher))

    def _catch_up(self, watcher: Watcher, log: tuple[Any, ...]) -> None:
        """Notifies a watcher that is behind the outcome in the log."""
        outcome = outcome_in(log[: log.index(watcher)])
        if outcome is not None:
            # The thread that appended the outcome may not have published it yet, and the watcher must find it.
            self._publish(outcome)
            watcher.notify(self)
            if type(outcome) is Ending and outcome.unfinished:
                finish(self)

    def _wait(self, timeout: float | None) -> None:
        waiter = Waiter()
        # A wait with a limit ends by itself, so it is no deadlock.
        ticket = self._owner.enter_wait(self, waiter) if timeout is None else None
        try:
            self._watch(waiter)
            limit = -1.0 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX)
            # The outcome may come between the end of the wait and this line; then it is no timeout.
            if not waiter.acquire(True, limit) and not self._kind:
                raise concurrent.futures.TimeoutError(f"{self.label} has no outcome after {timeout} seconds")
            if ticket is not None and waiter.error is not None and not self._kind:
                raise waiter.error
        finally:
            # A thread that waits again and again, with a timeout, must not leave a waiter in the log each time. Taking
            # one out does not change the order of the others.
            log = self._log
            if not self._kind and waiter in log:
                log.remove(waiter)
            if ticket is not None:
                self._owner.leave_wait(ticket)
