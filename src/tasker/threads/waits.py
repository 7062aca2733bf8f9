"""Announces the unlimited waits of this manager's workers to the search for deadlocks (``control.deadlock``)."""

from __future__ import annotations

import threading

from tasker.control.deadlock import Awaited, Outlook, WaitGraph
from tasker.control.events import AllBlocked, Seat
from tasker.control.workers import WorkerState
from tasker.core.ports import WaitsPort
from tasker.errors import DeadlockError

from .this_thread import this_thread


class WaitRegistry:
    """Which worker of a manager waits for what. Thread-safe."""

    def __init__(self, engine: WaitsPort) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._graph: WaitGraph[Seat] = WaitGraph()

    def enter(self, awaited: Awaited) -> Seat | None:
        """Announces an unlimited wait of this thread. Raises ``DeadlockError`` if it would last for ever. Returns the
        ticket for ``leave``, or None if this thread is none of this manager's workers."""
        worker, engine = this_thread.worker, self._engine
        if worker is None or worker.engine is not engine:
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
        view = engine.view
        limit, living = view.limit, view.ready + view.starting
        with self._lock:
            outlook = self._graph.enter(worker.seat, awaited, limit=limit, workers=len(engine.workers), living=living)
            waiting = self._graph.waiting()
        if outlook is Outlook.DEADLOCK:
            raise DeadlockError(
                f"{mine} waits for {awaited}, but all {max(limit, len(engine.workers))} workers of {engine.config.name!r} "
                f"run tasks that wait for tasks of the same manager, so it would never start"
            )
        if outlook is Outlook.NEEDS_WORKER:
            engine.report(AllBlocked(waiting))
        return worker.seat

    def waiting(self) -> int:
        """Returns how many workers wait for something that has not happened."""
        with self._lock:
            return self._graph.waiting()

    def leave(self, ticket: object) -> None:
        """The wait is over."""
        with self._lock:
            self._graph.leave(ticket)  # type: ignore[arg-type]
