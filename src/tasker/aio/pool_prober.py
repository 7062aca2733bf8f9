"""AsyncPoolProber: checks idle resources of ``run_task``'s pool, each in a task of the loop of its own."""

from __future__ import annotations

import asyncio

from tasker.core.pool_probing import PoolProbe, PoolProber
from tasker.core.probing import fault_of

from .hooks import why_unfit
from .ports import EngineForResources
from .reentrancy import hook_scope
from .resource_handle import AsyncResourceHandle
from .resource_pool import AsyncResourcePool
from .tasks import start_duty


class AsyncPoolProber(PoolProber[AsyncResourceHandle]):
    """See ``PoolProber``."""

    _engine: EngineForResources
    _pool: AsyncResourcePool

    def __init__(self, engine: EngineForResources, pool: AsyncResourcePool) -> None:
        super().__init__(engine, pool)
        self._task: asyncio.Task[None] | None = None

    def abandon(self) -> None:
        """See ``PoolProber``. Nothing waits for the task itself."""
        if self._task is not None:
            self._task.cancel()

    def interrupt(self) -> None:
        """Cancels a check, whose resource is then destroyed, and counts as one that nobody judged. For a kill, after which nothing
        lacks it."""
        if self._probe is not None and self._probe.decide():
            self.abandon()

    def _begin(self, probe: PoolProbe[AsyncResourceHandle]) -> None:
        engine = self._engine
        self._task = start_duty(engine.loop, self._run(probe), f"{engine.config.name}-probe")

    async def _run(self, probe: PoolProbe[AsyncResourceHandle]) -> None:
        handle = probe.handle
        try:
            serves_on = self._serves_on(probe, await self._why_unfit(handle))
            if serves_on is None:
                await self._pool.discard(handle)
            elif not (serves_on and self._pool.take_back(handle, temporary=False, rested=True)):
                await self._pool.destroy(handle, temporary=False)
        except BaseException as error:  # a task of the loop that raises ``KeyboardInterrupt`` ends the loop
            if self._engine.torn_down:
                raise
            if not issubclass(type(error), asyncio.CancelledError):
                self._engine.log.fault("check_resource for the pool of run_task", error)
        finally:
            if not self._engine.torn_down:
                self._over()

    async def _why_unfit(self, handle: AsyncResourceHandle) -> str | None:
        with hook_scope(self._engine, "check_resource for the pool of run_task"):
            if handle.remote is None:
                return await why_unfit(self._engine, handle)
            try:
                return await handle.remote.check()
            except BaseException as error:
                if self._engine.torn_down:
                    raise
                return fault_of(error)

    def _interrupt(self, handle: AsyncResourceHandle) -> None:
        self.abandon()
