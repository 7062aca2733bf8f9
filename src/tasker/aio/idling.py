"""What a worker in an event loop waits for while it has no task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from .counters import AsyncShard
from .lending import Handed, postpone
from .ports import EngineForWorkers


class IdleWorker(Protocol):
    """The part of a worker that is used here."""

    idle: asyncio.Future[None] | None

    @property
    def engine(self) -> EngineForWorkers: ...
    @property
    def shard(self) -> AsyncShard: ...
    @property
    def task(self) -> asyncio.Task[None]: ...
    @property
    def upkeep(self) -> object | None: ...
    @property
    def handed(self) -> Handed | None: ...


async def wait_idle(worker: IdleWorker) -> None:
    """Waits until there may be something to do, or a caller has handed a task over."""
    engine = worker.engine
    queue, offers = engine.queue, engine.lending.offers
    worker.shard.flush()
    worker.idle = waiter = engine.loop.create_future()
    queue.idle.append(waiter)
    forget_timer: Callable[[], object] | None = None
    if worker.upkeep is None:
        offers[waiter] = worker
    elif engine.config.check_interval is not None:
        forget_timer = queue.wake_after(waiter, engine.config.check_interval)
    try:
        await waiter
    except asyncio.CancelledError as error:  # what is left of it, the caller clears
        if worker.handed is not None:  # but this one is for the task
            postpone(worker.task, error)
    finally:
        worker.idle = None
        offers.pop(waiter, None)
        if forget_timer is not None:
            forget_timer()
        if not waiter.done() or waiter.cancelled():
            queue.forget(waiter)
