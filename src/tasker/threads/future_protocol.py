"""What ``concurrent.futures`` and ``asyncio`` look at in a future, made from the log of a ``TaskFuture``."""

from __future__ import annotations

import concurrent.futures
from concurrent.futures import Future
from typing import Any, TypeVar

from .completion import finish
from .future_log import CANCELLED, PENDING, Bridge, Ending, Mark, Owner, outcome_in

T = TypeVar("T")


class StandardFuture(Future[T]):
    """The attributes and methods by which the standard library uses a future. ``TaskFuture`` has the rest."""

    _kind: int
    _log: list[Any]
    _error: BaseException | None
    _value: Any
    _owner: Owner
    _made_bridge: Bridge | None = None

    def _append(self, entry: object) -> tuple[Any, ...]:
        raise NotImplementedError

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
