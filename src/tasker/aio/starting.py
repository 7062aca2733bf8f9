"""Starting: the start of an engine, for which several callers may wait, and which a stop or kill ends."""

from __future__ import annotations

import asyncio

from .engine import AsyncEngine
from .reentrancy import forbid_reentry


class Starting:
    """Starts an engine in the task of its first caller."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine: AsyncEngine = engine
        self._over: asyncio.Future[None] = engine.loop.create_future()
        self._ended = False

    async def run(self) -> None:
        """Starts the engine. Raises what its start raises; ``ShutdownError`` if it was ended meanwhile."""
        engine = self.engine
        try:
            await engine.start()
        except BaseException as error:
            if engine.closed and not engine.torn_down:
                self._ended = True
                raise engine.shutdown_error() from error
            raise

    def over(self) -> None:
        """Has the others go on that wait for the start."""
        self._over.set_result(None)

    async def until_over(self) -> None:
        """Waits until the caller that has begun the start is done with it. Raises ``ShutdownError`` if it was ended, and
        ``DeadlockError`` inside ``on_create`` of the pool, which the start waits for."""
        forbid_reentry(self.engine, "the start")
        await asyncio.wait([self._over])
        if self._ended:
            raise self.engine.shutdown_error()

    def end(self) -> None:
        """Ends the start, of an engine that is about to be closed; its end waits until nothing is left of the start."""
        self.engine.pool.cancel_filling()
