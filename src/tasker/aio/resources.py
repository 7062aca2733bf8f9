"""Makes and destroys resources, each exactly once, and keeps the ledger.

Each resource has a ``FunctionCaller``, and so a thread of its own if it needs one.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from tasker.core.identity import arguments_for
from tasker.core.planning import wear_of
from tasker.worker_info import WorkerInfo

from .own_thread import OwnThread
from .ports import EngineInLoop
from .resource_handle import AsyncResourceHandle
from .user_functions import FunctionCaller


class AsyncMaker:
    """Calls ``on_create`` and ``on_destroy``, or ``resource``: in the loop if they are coroutine functions, otherwise
    in the resource's thread."""

    def __init__(self, engine: EngineInLoop) -> None:
        self._engine = engine

    async def make(self, name: str, worker: WorkerInfo | None = None) -> AsyncResourceHandle:
        """See ``AsyncResourceMaker``."""
        engine = self._engine
        begun = monotonic()
        args = arguments_for(engine.config, worker)
        caller = FunctionCaller(OwnThread(engine, name, engine.thread_waits), engine.config.sync_in_thread)
        try:
            handle = await self._make(caller, *args)
        except BaseException:  # ``on_create`` may have started the thread before it failed
            await caller.thread.close()
            raise
        handle.wear = wear_of(engine.config)
        engine.counters.resource(created=1)
        engine.counters.creation_times.add(monotonic() - begun)
        if engine.counters.origins is not None:
            engine.counters.origins.made(handle, name if worker is not None else "run_task", engine.config)
        return handle

    async def _make(self, caller: FunctionCaller, *args: WorkerInfo) -> AsyncResourceHandle:
        config = self._engine.config
        if config.resource is not None:
            return await self._enter(caller, config.resource, *args)
        assert config.on_create is not None
        resource = await caller.call(config.on_create, *args)
        destroy = config.on_destroy
        return AsyncResourceHandle(
            resource, caller, None if destroy is None else lambda: caller.call(destroy, resource)
        )

    @staticmethod
    async def _enter(caller: FunctionCaller, factory: Callable[..., Any], *args: WorkerInfo) -> AsyncResourceHandle:
        manager = await caller.call(factory, *args)
        # Looked up on the type, as ``async with`` does. Left without an error, whatever tasks have raised.
        if hasattr(type(manager), "__aenter__"):
            resource = await manager.__aenter__()
            return AsyncResourceHandle(resource, caller, lambda: manager.__aexit__(None, None, None))
        resource = await caller.call(manager.__enter__)
        return AsyncResourceHandle(resource, caller, lambda: caller.call(manager.__exit__, None, None, None))

    async def end(self, handle: AsyncResourceHandle) -> None:
        """See ``AsyncResourceMaker``."""
        if handle.caller is not None and not handle.caller.thread.begin_end():
            return
        try:
            if handle.end is not None:
                await handle.end()
        except BaseException as error:
            if self._engine.torn_down:
                raise
            self._engine.log.fault("on_destroy", error)
        finally:
            # Also after an error: the function is not called again, so the resource counts as destroyed.
            self._engine.counters.resource(destroyed=1)
            if self._engine.counters.origins is not None:
                self._engine.counters.origins.ended(handle)
        # After ``on_destroy``, which may run in it.
        if handle.caller is not None:
            await handle.caller.thread.close()
