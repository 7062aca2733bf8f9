"""AsyncRefresh: what ``AsyncTaskManager.refresh`` returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

from .ports import OffersOfWorkers
from .reentrancy import HasWorkers, forbid_reentry


class LoopEngineForRefresh(HasWorkers, Protocol):
    """The part of the engine that is used here."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def lending(self) -> OffersOfWorkers: ...
    def refresh(self, notify: Callable[[bool], object]) -> int:
        """Notes a refresh. Returns its number."""
        ...

    def begin_refresh(self, number: int) -> None:
        """Begins it."""


class AsyncRefresh(Awaitable[bool]):
    """A refresh, which may be awaited, several times and not at all."""

    def __init__(self, engine: LoopEngineForRefresh) -> None:
        self._engine = engine
        self._over: asyncio.Future[bool] = engine.loop.create_future()
        # By the loop: this may be a signal handler, in the midst of a step of the engine.
        engine.loop.call_soon_threadsafe(engine.begin_refresh, engine.refresh(self._over.set_result))
        engine.lending.offers.clear()  # a task that is submitted from here on is not begun with a resource of before

    def __await__(self) -> Generator[Any, None, bool]:
        if not self._over.done():
            forbid_reentry(self._engine, "the wait for a refresh")
        return asyncio.shield(self._over).__await__()
