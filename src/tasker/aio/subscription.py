"""AsyncSubscription: what ``AsyncTaskManager.events`` returns."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from tasker.control.notices import ManagerEvent
from tasker.core.feed import Feed, FeedHolder, Kinds, check_subscription, forbid_iteration, require_callback
from tasker.core.listener import WaitedFeed, listen
from tasker.core.teller import WatchedEngine, subscribe
from tasker.core.user_functions import is_async

from .tasks import start_duty


class WatchedLoopEngine(WatchedEngine, Protocol):
    """The part of an engine that is used here."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def torn_down(self) -> bool:
        """Whether the loop is gone: nothing can be awaited any more."""
        ...


class AsyncSubscription(FeedHolder, AsyncIterator[ManagerEvent]):
    """The events of one manager, for one subscriber, from ``manager.events()`` on.

    Without a callback, iterate over it with ``async for``: each step waits for the next event, and the iteration ends after
    ``StopEnded``, or when the subscription is closed. One task of the loop at a time may iterate. As a context manager, plain or
    asynchronous, it is closed at the end of the block. One that is collected is closed, unless it has a callback.

    It belongs to the event loop of its manager, except for what says otherwise.
    """

    def __init__(
        self, engine: WatchedLoopEngine, callback: Callable[[Any], Any] | None, kinds: Kinds, most: int
    ) -> None:
        check_subscription(callback, kinds, most)
        self._callback = callback
        self._ended = asyncio.Event()
        self._look: asyncio.Event = asyncio.Event()
        if callback is not None and not is_async(callback):
            # It may block, and so has a thread of its own, whatever the loop does.
            feed = WaitedFeed(most, kinds)
            self._feed: Feed = feed
            listen(engine, feed, callback, _setter(engine.loop, self._ended))
            return
        self._feed = Feed(most, kinds, _setter(engine.loop, self._look))
        if callback is None:
            weakref.finalize(self, self._feed.close).atexit = False
        else:
            served = _serve(engine, self._feed, self._look, callback, self._ended)
            self._served: asyncio.Task[None] = start_duty(engine.loop, served, f"{engine.config.name}-events")
        subscribe(engine, self._feed)

    async def wait(self) -> None:
        """Waits until the callback has had its last event. Raises ``RuntimeError`` if there is no callback."""
        require_callback(self._callback)
        await self._ended.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ManagerEvent:
        forbid_iteration(self._callback)
        event = await _next(self._feed, self._look)
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _setter(loop: asyncio.AbstractEventLoop, flag: asyncio.Event) -> Callable[[], None]:
    """Returns what sets a flag of the loop from any thread."""

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(flag.set)

    return wake


async def _next(feed: Feed, look: asyncio.Event) -> ManagerEvent | None:
    """Waits for the next event; returns None at the end."""
    while (event := feed.take()) is None:
        if feed.drained:
            return None
        await look.wait()
        look.clear()
    return event


async def _serve(
    engine: WatchedLoopEngine,
    feed: Feed,
    look: asyncio.Event,
    callback: Callable[[Any], Any],
    ended: asyncio.Event,
) -> None:
    """The task of an asynchronous callback."""
    task = asyncio.current_task()
    try:
        if task is not None and task.cancelling():  # the loop ends, before this first step
            return
        while True:  # docs/decisions/0043
            if (event := await _next(feed, look)) is None:
                break
            try:
                await callback(event)
            except BaseException as error:  # also a SystemExit, which would stop the loop
                # The loop ends, and cancels its tasks; or it is gone.
                cancelled = isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling()
                if cancelled or engine.torn_down:
                    raise
                engine.log.fault("a callback of events()", error)
    finally:
        feed.close()  # where the loop ends before the manager
        ended.set()
