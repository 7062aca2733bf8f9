"""RefreshFuture: what ``TaskManager.refresh`` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from .reentrancy import forbid_reentry


class RefreshableEngine(Protocol):
    """The part of the engine that is used here."""

    @property
    def thread(self) -> threading.Thread:
        """The supervisor's thread."""
        ...

    def aside(self, call: Callable[[], None]) -> None:
        """Makes a call, in which functions of the user's may run, without holding up the supervisor."""

    def refresh(self, notify: Callable[[bool], object]) -> None:
        """Begins a refresh."""


class RefreshFuture(Future[bool]):
    """A refresh. Its result is True once no resource of before it is left, and False if the manager ended first. It cannot be
    cancelled."""

    def __init__(self, engine: RefreshableEngine) -> None:
        super().__init__()
        self._engine = engine
        self.set_running_or_notify_cancel()
        engine.refresh(self._over)

    def _over(self, refreshed: bool) -> None:
        if self._done_callbacks:  # type: ignore[attr-defined]
            self._engine.aside(lambda: self.set_result(refreshed))
        else:
            self.set_result(refreshed)

    def result(self, timeout: float | None = None) -> bool:
        """See ``Future``. Raises ``DeadlockError`` in a task of the manager, whose worker cannot renew its resource meanwhile."""
        return super().result(self._await(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See ``result``."""
        return super().exception(self._await(timeout))

    def _await(self, timeout: float | None) -> float | None:
        """Called before it is waited for. Returns the timeout that is left."""
        if not self.done():
            forbid_reentry(self._engine, "the wait for a refresh")
        return timeout
