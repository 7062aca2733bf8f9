"""Upkeep: what a worker in an event loop does with its resource between two tasks."""

from __future__ import annotations

from time import monotonic

from tasker.control import events as ev

from .hooks import reset
from .ports import EngineForWorkers
from .resource_handle import AsyncResourceHandle


class AsyncUpkeep:
    """See the module's docstring."""

    def __init__(self, engine: EngineForWorkers, seat: ev.Seat, name: str, handle: AsyncResourceHandle) -> None:
        self._engine = engine
        self._seat = seat
        self._name = name
        self._handle = handle

    @property
    def needed(self) -> bool:
        """Whether there is anything to do after a task."""
        return self._handle.wear is not None or self._engine.config.on_return is not None

    async def after_task(self) -> bool:
        """Returns whether the worker may go on serving; otherwise it was reported why not."""
        engine, wear = self._engine, self._handle.wear
        if not await reset(engine, self._handle):
            engine.log.log("warning", "worker %s replaces its resource: on_return failed", self._name)
            engine.report(ev.WorkerUnhealthy(self._seat))
            return False
        if wear is not None:
            wear.served += 1
        return engine.is_forked or self._serves_on()

    def before_task(self) -> bool:
        """The same, where the worker has waited and was woken, perhaps for a task."""
        if self._serves_on():
            return True
        queue = self._engine.queue
        if len(queue):
            queue.wake()  # another worker has to take that task
        return False

    def _serves_on(self) -> bool:
        wear = self._handle.wear
        if wear is None or not wear.worn(monotonic()):
            return True
        self._engine.report(ev.WorkerWorn(self._seat))
        return False
