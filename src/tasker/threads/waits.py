"""WaitRegistry: announces the waits of this manager's workers to the search for deadlocks (``control.deadlock``)."""

from __future__ import annotations

import threading

from tasker.control.deadlock import Awaited, Outlook, WaitGraph
from tasker.control.events import AllBlocked, Seat
from tasker.control.workers import WorkerState
from tasker.core.ports import WaitsPort
from tasker.errors import DeadlockError

from .this_thread import this_thread


class WaitRegistry:
    """Records which worker of a manager waits, without a limit, for what. Thread-safe."""

    def __init__(self, engine: WaitsPort) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._graph: WaitGraph[Seat] = WaitGraph()

    def enter(self, awaited: Awaited) -> Seat | None:
        """Announces a wait of this thread without a limit. Returns a ticket for ``leave``, or None if the thread is not
        a worker of this manager. Raises ``DeadlockError`` if the wait would never end."""
        worker, engine = this_thread.worker, self._engine
        if worker is None or worker.engine is not engine:
            return None
        task = worker.shard.future
        # The worker's own state: the supervisor's is a little behind.
        if worker.state is not WorkerState.READY:
            raise DeadlockError(
                f"on_create or on_destroy of worker {worker.name} waits for {awaited} of its own manager"
            )
        if task is None:  # in a callback, after the end of the task
            task = f"a callback in worker {worker.name}"
        elif awaited is task:
            raise DeadlockError(f"{task} waits for itself")
        view = engine.view
        limit, living = view.limit, view.ready + view.starting
        # Entering and judging under one lock: if the last two workers begin to wait at once, one of them sees the
        # other.
        with self._lock:
            outlook = self._graph.enter(worker.seat, awaited, limit=limit, workers=len(engine.workers), living=living)
            waiting = self._graph.waiting()
        if outlook is Outlook.DEADLOCK:
            raise DeadlockError(
                f"{task} waits for {awaited}, but all {max(limit, len(engine.workers))} workers of "
                f"{engine.config.name!r} run tasks that wait for tasks of the same manager, so it would never start"
            )
        if outlook is Outlook.NEEDS_WORKER:
            engine.report(AllBlocked(waiting))
        return worker.seat

    def waiting(self) -> int:
        """Returns the number of workers whose wait is not over."""
        with self._lock:
            return self._graph.waiting()

    def leave(self, ticket: object) -> None:
        """Withdraws the announcement of a wait."""
        with self._lock:
            self._graph.leave(ticket)  # type: ignore[arg-type]
