"""Finds the deadlock that every pool knows: tasks that wait for tasks of their own pool, until nobody is left to run
them.

A task that awaits a future of its own manager directly is seen at once, by its lane; the last one that does so, when
every worker that there can ever be is waiting like that, gets the error instead. If the pool may still grow, it is told
that all its workers are blocked.

A task may also wait for several at once, by ``gather`` or a ``TaskGroup``. What these wait for is looked up (``graph``)
at each tick of the housekeeping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasker.control.events import AllBlocked
from tasker.errors import DeadlockError

from .future import AsyncTaskFuture
from .queue_slots import AsyncSlotWait
from .wait_detection import reached

if TYPE_CHECKING:
    from .engine import AsyncEngine
    from .worker import AsyncWorker


class AsyncWaitRegistry:
    """Who of a manager's workers waits for what."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waits: dict[AsyncWorker, Any] = {}

    def enter(self, worker: AsyncWorker, awaited: Any) -> None:
        """A worker's task is going to wait. ``DeadlockError`` if that would be for ever."""
        if awaited is worker.shard.future:
            raise DeadlockError(f"{awaited} waits for itself")
        self._waits[worker] = awaited
        worker.waits = True
        if error := self._judge(worker, awaited):
            self.leave(worker)
            awaited._asyncio_future_blocking = False  # the loop will not see it
            raise error

    def leave(self, worker: AsyncWorker) -> None:
        """The wait is over."""
        worker.waits = False
        self._waits.pop(worker, None)

    def survey(self) -> None:
        """Looks what those wait for that have not announced it, and raises ``DeadlockError`` in one of them if need
        be."""
        engine = self._engine
        if not len(engine.queue):
            return
        for worker in list(engine.workers.values()):
            if worker.waited is None or worker in self._waits:
                continue
            awaited = next((one for one in reached(worker.waits_for(), timed=False) if _is_own(one, engine)), None)
            if awaited is None:
                continue
            self._waits[worker] = awaited
            worker.waits = True
            error = self._judge(worker, awaited)
            if error is not None and worker.runner is not None:
                self.leave(worker)
                worker.runner.interruption = error
                worker.interrupt()
                return

    def _judge(self, worker: AsyncWorker, awaited: Any) -> DeadlockError | None:
        engine, view = self._engine, self._engine.view
        waiting = [other for other in self._waits.values() if not other.done()]
        if len(waiting) >= view.limit:
            return DeadlockError(
                f"{worker.shard.future} waits for {awaited}, but all {view.limit} workers of {engine.config.name!r} run "
                f"tasks that wait for tasks of the same manager, so it would never start"
            )
        if len(waiting) >= view.ready + view.starting:
            engine.report(AllBlocked(len(waiting)))
        return None


def _is_own(future: Any, engine: AsyncEngine) -> bool:
    return isinstance(future, AsyncTaskFuture | AsyncSlotWait) and future._engine is engine
