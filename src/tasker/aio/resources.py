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

from .interrupts import raise_in
from .own_thread import OwnThread
from .ports import EndingLoop
from .resource_handle import AsyncResourceHandle
from .user_functions import FunctionCaller

_UNMADE = object()


class AsyncMaker:
    """Calls ``on_create`` and ``on_destroy``, or ``resource``: in the loop if they are coroutine functions, otherwise
    in the resource's thread."""

    def __init__(self, engine: EndingLoop) -> None:
        self._engine = engine

    async def make(self, name: str, worker: WorkerInfo | None = None) -> AsyncResourceHandle:
        """See ``AsyncResourceMaker``."""
        engine = self._engine
        begun = monotonic()
        args = arguments_for(engine.config, worker)
        caller = FunctionCaller(OwnThread(engine, name, engine.thread_waits), engine.config.sync_in_thread)
        # Ctrl-C may strike wherever a call returns: a resource that is there by then is destroyed again.
        handle, counted = AsyncResourceHandle(_UNMADE, caller, None), False
        try:
            await self._make(handle, caller, *args)
            handle.wear = wear_of(engine.config)
            with engine.counters.lock:
                # No call in between, as in ``Counters.resource``.
                engine.counters.ledger.created += 1
                counted = True
            engine.counters.creation_times.add(monotonic() - begun)
            if engine.counters.origins is not None:
                engine.counters.origins.made(handle, name if worker is not None else "run_task", engine.config)
            return handle
        except BaseException as error:
            if handle.resource is _UNMADE:
                await caller.thread.close()  # ``on_create`` may have started it before it failed
            elif not engine.torn_down:
                if not counted:
                    engine.counters.resource(created=1)
                await self.end(handle)
                if not engine.loop_ends:  # not an error of ``on_create``, which has returned
                    raise_in(engine.loop, error)
            raise

    async def _make(self, handle: AsyncResourceHandle, caller: FunctionCaller, *args: WorkerInfo) -> None:
        config = self._engine.config
        if config.resource is not None:
            await self._enter(handle, caller, config.resource, *args)
            return
        assert config.on_create is not None
        destroy = config.on_destroy
        handle.resource = resource = await caller.call(config.on_create, *args)
        if destroy is not None:
            handle.end = lambda: caller.call(destroy, resource)

    @staticmethod
    async def _enter(
        handle: AsyncResourceHandle, caller: FunctionCaller, factory: Callable[..., Any], *args: WorkerInfo
    ) -> None:
        manager = await caller.call(factory, *args)
        # Looked up on the type, as ``async with`` does. Left without an error, whatever tasks have raised.
        if hasattr(type(manager), "__aenter__"):
            handle.resource = await manager.__aenter__()
            handle.end = lambda: manager.__aexit__(None, None, None)
        else:
            handle.resource = await caller.call(manager.__enter__)
            handle.end = lambda: caller.call(manager.__exit__, None, None, None)

    async def end(self, handle: AsyncResourceHandle) -> None:
        """See ``AsyncResourceMaker``."""
        if handle.caller is not None and not handle.caller.thread.begin_end():
            return
        if handle.ended:
            return
        handle.ended = True
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
