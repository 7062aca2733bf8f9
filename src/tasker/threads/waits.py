"""Finds the deadlock that every pool knows: tasks that wait for tasks of their own pool, until nobody is left to run
them.

A worker that is going to wait without a limit enters what it waits for. If then every worker that there can ever be
waits, and nothing that any of them waits for has happened, nothing will: the one that came last gets the error. If
the pool may still grow, it is told that all its workers are blocked.

"Nothing has happened" is asked of the awaited things themselves, so a worker that was served and has not woken up yet
does not count as blocked: there is no false alarm.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

from tasker.control.events import AllBlocked, Seat
from tasker.control.workers import WorkerState
from tasker.errors import DeadlockError

from .worker import this_thread

if TYPE_CHECKING:
    from .engine import Engine


class Awaited(Protocol):
    """What one can wait for."""

    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        ...


class WaitRegistry:
    """Who of a manager's workers waits for what. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._waits: dict[Seat, tuple[Any, Awaited]] = {}

    def enter(self, awaited: Awaited) -> Seat | None:
        """Announces an unlimited wait of this thread. ``DeadlockError`` if it would be for ever; None if this thread
        is none of this manager's workers; else the ticket for ``leave``."""
        worker = this_thread.worker
        if worker is None or worker.engine is not self._engine:
            return None
        mine = worker.shard.future
        if worker.state is not WorkerState.READY:
            raise DeadlockError(
                f"on_create or on_destroy of worker {worker.name} waits for {awaited} of its own manager"
            )
        if mine is None:  # in a callback, after the task's end
            mine = f"a callback in worker {worker.name}"
        elif awaited is mine:
            raise DeadlockError(f"{mine} waits for itself")
        # After a resize to fewer there can be more workers than the limit, until they retire.
        limit = max(self._engine.view.limit, len(self._engine.workers))
        with self._lock:
            self._waits[worker.seat] = (mine, awaited)
            blocked = len(self._waits)
            stuck = blocked >= limit and not any(other.done() for _, other in self._waits.values())
            if stuck:
                del self._waits[worker.seat]
        if stuck:
            raise DeadlockError(
                f"{mine} waits for {awaited}, but all {limit} workers of {self._engine.config.name!r} run tasks that wait "
                f"for tasks of the same manager, so it would never start"
            )
        view = self._engine.view
        if blocked >= view.ready + view.starting:
            self._engine.report(AllBlocked(blocked))
        return worker.seat

    def leave(self, ticket: object) -> None:
        """The wait is over."""
        with self._lock:
            self._waits.pop(ticket, None)  # type: ignore[call-overload]
