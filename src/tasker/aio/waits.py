"""AsyncWaitRegistry: announces the waits of this manager's workers to the search for deadlocks (``control.deadlock``).

The runner of a task announces it at once if the task directly awaits a future of its own manager. If it waits for
several of them, by ``gather`` or a ``TaskGroup``, that is found at the next tick (``wait_detection``).
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Protocol

from tasker.control.deadlock import Outlook, WaitGraph
from tasker.control.events import AllBlocked
from tasker.core.ports import WaitsPort
from tasker.errors import DeadlockError

from .future import AsyncTaskFuture
from .queue_slots import AnnouncedWait
from .wait_detection import reached


class WaitingWorker(Protocol):
    """The part of a worker that the search for deadlocks uses."""

    waits: bool

    @property
    def waited(self) -> Any: ...
    @property
    def shard(self) -> Any: ...
    @property
    def runner(self) -> Any: ...
    def waits_for(self, *, timed: bool = True) -> list[Any]:
        """Returns the futures that its task waits for, as far as they can be found."""
        ...

    def interrupt(self) -> None:
        """Throws ``CancelledError`` into its task."""


class EngineOfWaits(WaitsPort, Protocol):
    """The part of an engine that the search for deadlocks uses."""

    @property
    def queue(self) -> Sized: ...
    @property
    def workers(self) -> dict[Any, Any]: ...


class AsyncWaitRegistry:
    """Records which worker of a manager waits, without a limit, for what."""

    def __init__(self, engine: EngineOfWaits) -> None:
        self._engine = engine
        self._graph: WaitGraph[WaitingWorker] = WaitGraph()

    def enter(self, worker: WaitingWorker, awaited: Any) -> None:
        """Announces a wait of a worker's task. Raises ``DeadlockError`` if it would never end."""
        if awaited is worker.shard.future:
            raise DeadlockError(f"{awaited} waits for itself")
        if error := self._judge(worker, awaited):
            # The loop's task would reset it, but does not get the future now.
            awaited._asyncio_future_blocking = False
            raise error

    def leave(self, worker: WaitingWorker) -> None:
        """Withdraws the announcement of a wait."""
        worker.waits = False
        self._graph.leave(worker)

    def waiting(self) -> int:
        """Returns how many workers wait for something that has not happened."""
        return self._graph.waiting()

    def survey(self) -> None:
        """Finds waits that were not announced. If one of them would never end, raises ``DeadlockError`` in its task."""
        engine = self._engine
        # Without a queued task, no task waits for one that cannot start.
        if not len(engine.queue):
            return
        for worker in list(engine.workers.values()):
            if worker.waited is None or worker in self._graph:
                continue
            awaited = next(
                (one for one in reached(worker.waits_for(timed=False), timed=False) if _is_own(one, engine)), None
            )
            if awaited is None:
                continue
            error = self._judge(worker, awaited)
            if error is not None and worker.runner is not None:
                # The loop can only throw ``CancelledError``; the runner throws this error in its place. One is enough:
                # the task that fails lets others go on.
                worker.runner.interruption = error
                worker.interrupt()
                return

    def _judge(self, worker: WaitingWorker, awaited: Any) -> DeadlockError | None:
        engine, view = self._engine, self._engine.view
        living, workers = view.ready + view.starting, len(engine.workers)
        outlook = self._graph.enter(worker, awaited, limit=view.limit, workers=workers, living=living)
        worker.waits = outlook is not Outlook.DEADLOCK
        if outlook is Outlook.DEADLOCK:
            return DeadlockError(
                f"{worker.shard.future} waits for {awaited}, but all {max(view.limit, workers)} workers of "
                f"{engine.config.name!r} run tasks that wait for tasks of the same manager, so it would never start"
            )
        if outlook is Outlook.NEEDS_WORKER:
            engine.report(AllBlocked(self._graph.waiting()))
        return None


def _is_own(future: Any, engine: object) -> bool:
    return isinstance(future, AsyncTaskFuture | AnnouncedWait) and future._engine is engine
