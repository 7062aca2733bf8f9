"""What ``concurrent.futures`` and ``asyncio`` look at in a future, made from the log of a ``TaskFuture``."""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures import Future
from typing import Any, TypeVar

from .future_log import CANCELLED, PENDING, Bridge, Ending, Mark, Owner, Watcher, outcome_in

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

    def _catch_up(self, watcher: Watcher, log: tuple[Any, ...]) -> None:
        raise NotImplementedError

    def _publish(self, ending: Ending | Mark) -> None:
        raise NotImplementedError

    def _bridge(self) -> Bridge:
        """Returns the one bridge of this future. It is in the log, and is settled if it is behind the outcome."""
        bridge = self._made_bridge
        if bridge is None:
            bridge = self.__dict__.setdefault("_made_bridge", Bridge())  # atomic: two threads get the same one
        if not bridge.settled and not bridge.is_owned():  # else it is in the middle of a check, and was here before
            # Another thread may have made the bridge and not appended it yet. Twice in the log does no harm.
            log = (*self._log,)
            self._catch_up(bridge, log if bridge in log else self._append(bridge))
        return bridge

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        bridge = self._bridge()
        # A wait begins. Unless it is the one that a cancelling signal handler has interrupted, an outcome that the
        # manager's thread has yet to show (see ``complete``) is shown now.
        if not bridge.settled and self._kind and not bridge.is_owned():
            bridge.notify(self)
        return bridge.condition

    @property
    def _waiters(self) -> list[Any]:  # type: ignore[override]
        return self._bridge().waiters

    @property
    def _state(self) -> str:  # type: ignore[override]
        # ``wait`` reads it twice while it holds the condition, and has to read the same both times. So with a bridge,
        # an outcome in the log is shown only once the bridge is settled.
        bridge = self._made_bridge
        outcome = None if bridge is not None and not bridge.settled else outcome_in((*self._log,))
        if outcome is None:
            return "RUNNING" if self.running() else "PENDING"
        self._publish(outcome)
        return "CANCELLED_AND_NOTIFIED" if self._kind == CANCELLED else "FINISHED"

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
