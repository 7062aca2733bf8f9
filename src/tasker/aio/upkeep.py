"""Upkeep: what a worker in an event loop does with its resource between two tasks."""

from __future__ import annotations

from collections.abc import Coroutine
from time import monotonic
from typing import Any, Protocol

from tasker.control import events as ev
from tasker.core.probing import disuse_of

from .hooks import fits, reset
from .ports import EngineForWorkers
from .resource_handle import AsyncResourceHandle


class ProbedWorker(Protocol):
    """The part of a worker that is used here."""

    @property
    def seat(self) -> ev.Seat: ...
    @property
    def name(self) -> str: ...

    async def probe(self, check: Coroutine[Any, Any, bool], callback: str = "check_resource") -> bool:
        """Has the resource checked, or reset, by the ``callback`` while no task runs. Returns whether the worker may go on; if
        not, the supervisor knows."""
        ...


class AsyncUpkeep:
    """See the module's docstring."""

    def __init__(self, engine: EngineForWorkers, worker: ProbedWorker, handle: AsyncResourceHandle) -> None:
        self._engine = engine
        self._worker = worker
        self._seat = worker.seat
        self._name = worker.name
        self._handle = handle
        self._disuse = disuse_of(engine.config, monotonic())

    @property
    def needed(self) -> bool:
        """Whether there is anything to do after a task."""
        config = self._engine.config
        return self._handle.wear is not None or config.on_return is not None or config.check_resource is not None

    async def after_task(self) -> bool:
        """Returns whether the worker may go on serving; otherwise it was reported why not."""
        engine, wear = self._engine, self._handle.wear
        if engine.config.return_timeout is not None:
            if not await self._worker.probe(self._reset(), "on_return"):
                return False
        elif not await self._reset():
            engine.report(ev.WorkerUnhealthy(self._seat))
            return False
        if wear is not None:
            wear.served += 1
        if self._disuse is not None:
            self._disuse.used = monotonic()
        return engine.is_forked or self._serves_on()

    async def _reset(self) -> bool:
        if await reset(self._engine, self._handle):
            return True
        self._engine.log.log("warning", "worker %s replaces its resource: on_return failed", self._name)
        return False

    async def before_task(self) -> bool:
        """The same, where the worker has waited and was woken, perhaps for a task."""
        return self._serves_on() and await self._is_fit()

    async def _is_fit(self) -> bool:
        """Has the resource checked, if it has been idle for too long."""
        disuse = self._disuse
        if disuse is None or not disuse.due(monotonic(), wanted=len(self._engine.queue) > 0):
            return True
        fit = await self._worker.probe(fits(self._engine, self._handle, f"worker {self._name}"))
        disuse.used = monotonic()
        return fit

    def _serves_on(self) -> bool:
        wear = self._handle.wear
        if wear is None or not wear.worn(monotonic()):
            return True
        self._engine.report(ev.WorkerWorn(self._seat))
        return False
