"""Making and ending resources, each exactly once, and the pool of ``run_task``.

Each resource comes with a ``Caller``, and so with a thread of its own, should it need one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tasker.control.events import PoolResourceLost
from tasker.errors import ResourceError, ShutdownError
from tasker.logs import describe

from .calls import Caller
from .threads import OwnThread

if TYPE_CHECKING:
    from tasker.backends.process.looped import LoopAway

    from .engine import AsyncEngine


class AsyncHeld:
    """A resource, how to call what belongs to it, and how to end it."""

    __slots__ = ("away", "caller", "end", "resource")

    def __init__(self, resource: Any, caller: Caller | None, end: Callable[[], Awaitable[object]] | None) -> None:
        self.resource: Any = resource
        self.caller: Caller | None = caller
        self.end: Callable[[], Awaitable[object]] | None = end
        self.away: LoopAway | None = None
        """The child process that it lives in, where it does."""


class AsyncMaker:
    """Calls the user's ``on_create``/``on_destroy`` or ``resource``, and enters each call into the ledger."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def make(self, name: str) -> AsyncHeld:
        """Makes a resource; raises what the user's function raises. ``name``: of the thread, if it needs one."""
        engine = self._engine
        caller = Caller(OwnThread(engine.loop, name), engine.config.sync_in_thread)
        try:
            held = await self._make(caller)
        except BaseException:
            await caller.thread.close()
            raise
        engine.books.resource(created=1)
        return held

    async def _make(self, caller: Caller) -> AsyncHeld:
        config = self._engine.config
        if config.resource is not None:
            return await self._enter(caller, config.resource)
        assert config.on_create is not None
        resource = await caller.call(config.on_create)
        destroy = config.on_destroy
        return AsyncHeld(resource, caller, None if destroy is None else lambda: caller.call(destroy, resource))

    @staticmethod
    async def _enter(caller: Caller, factory: Callable[[], Any]) -> AsyncHeld:
        manager = await caller.call(factory)
        if hasattr(type(manager), "__aenter__"):
            resource = await manager.__aenter__()
            return AsyncHeld(resource, caller, lambda: manager.__aexit__(None, None, None))
        resource = await caller.call(manager.__enter__)
        return AsyncHeld(resource, caller, lambda: caller.call(manager.__exit__, None, None, None))

    async def end(self, held: AsyncHeld) -> None:
        """Ends a resource; what the user's function raises is logged and counted, and the resource is gone all the
        same."""
        try:
            if held.end is not None:
                await held.end()
        except BaseException as error:
            if self._engine.torn_down:
                raise
            self._engine.log.fault("on_destroy", error)
        finally:
            self._engine.books.resource(destroyed=1)
        if held.caller is not None:
            await held.caller.thread.close()


class AsyncPool:
    """The resources of ``run_task``: a pool that is kept full, and temporary ones beyond it."""

    def __init__(self, engine: AsyncEngine) -> None:
        config = engine.config
        self._engine = engine
        self._size = config.pool_size
        self._most_temporary = config.max_temporary_resources
        self._idle: deque[AsyncHeld] = deque()
        self._temporary = 0
        self._number = 0
        self._closed = False

    async def fill(self) -> None:
        """Makes the pool's resources; at a failure those that were made are ended first."""
        try:
            for _ in range(self._size):
                self._idle.append(await self._make())
        except BaseException as error:
            await self.close()
            text = f"failed to initialize resource pool, {self._size} wanted (resource_pool_size): {describe(error)}"
            if isinstance(error, KeyboardInterrupt | asyncio.CancelledError | GeneratorExit):
                raise
            raise ResourceError(text) from error

    @property
    def available(self) -> int:
        """How many pooled resources are idle."""
        return len(self._idle)

    async def acquire(self) -> tuple[AsyncHeld, bool]:
        """The resource that was used last, or a temporary one (then True)."""
        if self._closed:
            raise ShutdownError("task manager is shutting down")
        if self._idle:
            return self._idle.pop(), False
        if self._most_temporary is not None and self._temporary >= self._most_temporary:
            raise ResourceError(
                f"all {self._size} pooled and {self._temporary} temporary resources are in use "
                f"(max_temporary_resources={self._most_temporary})"
            )
        self._temporary += 1
        try:
            return await self._made("temporary resource"), True
        except BaseException:
            self._temporary -= 1
            raise

    async def renew(self, held: AsyncHeld, temporary: bool) -> AsyncHeld:
        """One in place of a resource that is lent and not to be used any more."""
        try:
            await self._engine.maker.end(held)
            return await self._made("resource in place of one that was worn out")
        except BaseException:
            if temporary:
                self._temporary -= 1
            elif not self._closed:
                self._engine.report(PoolResourceLost())
            raise

    async def _made(self, what: str) -> AsyncHeld:
        try:
            return await self._make()
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            raise ResourceError(f"failed to create {what}: {describe(error)}") from error

    async def release(self, held: AsyncHeld, temporary: bool, healthy: bool) -> bool:
        """Takes a resource back or ends it. True if the pool lacks one now."""
        if healthy and not temporary and not self._closed:
            self._idle.append(held)
            return False
        await self._engine.maker.end(held)
        if temporary:
            self._temporary -= 1
        return not temporary and not self._closed

    def lost(self, held: AsyncHeld) -> bool:
        """The process of a resource has died. True if it was idle: then the pool lacks one now."""
        if held not in self._idle:
            return False
        self._idle.remove(held)
        self._engine.spawn(self._engine.maker.end(held), "lost")
        return not self._closed

    async def refill(self) -> None:
        """Makes one resource; raises what the user's function raises."""
        held = await self._make()
        if self._closed:
            await self._engine.maker.end(held)
        else:
            self._idle.append(held)

    async def close(self) -> None:
        """Ends every idle resource; those in use are ended when they come back."""
        self._closed = True
        while self._idle:
            await self._engine.maker.end(self._idle.pop())

    async def _make(self) -> AsyncHeld:
        self._number += 1
        return await self._engine.maker.make(f"{self._engine.config.name}-pool-{self._number}")
