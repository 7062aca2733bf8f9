"""QueueSlots: the bound of a queue, whose waiters are served in order.

A waiter is *given* its place before it wakes, so nobody who comes in between can take it, and one that gives up at that
very moment hands it on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from tasker.errors import QueueFull


class HasLoop(Protocol):
    """What the slots need of an engine."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...


class AsyncSlotWait(asyncio.Future[None]):
    """One who waits for a place."""

    _engine: HasLoop

    def __repr__(self) -> str:
        return "a place in the full queue"


class AsyncQueueSlots:
    """``bound`` places."""

    def __init__(self, engine: HasLoop, bound: int) -> None:
        self._engine = engine
        self._bound = bound
        self._free = bound
        self._waiting: deque[AsyncSlotWait] = deque()

    def take(self) -> None:
        """Takes a place; ``QueueFull`` where there is none."""
        if self._free <= 0:
            raise QueueFull(
                f"the queue is full: max_queue_size={self._bound} tasks wait (submit never waits in an event loop; "
                f"submit_wait and queue_task do)"
            )
        self._free -= 1

    async def acquire(self, timeout: float | None) -> None:
        """Waits for a place, ``timeout`` seconds at most; then ``QueueFull``."""
        if self._free > 0:
            self._free -= 1
            return
        wait = AsyncSlotWait(loop=self._engine.loop)
        wait._engine = self._engine
        self._waiting.append(wait)
        try:
            if timeout is None:
                await wait
                return
            await asyncio.wait([wait], timeout=max(0.0, timeout))
        except BaseException:
            self._give_up(wait)
            raise
        if not wait.done():
            self._give_up(wait)
            raise QueueFull(f"the queue is full after {timeout} seconds: max_queue_size={self._bound} tasks wait")

    def _give_up(self, wait: AsyncSlotWait) -> None:
        if wait in self._waiting:
            self._waiting.remove(wait)
        elif wait.done() and not wait.cancelled():
            self.release()

    def put_back(self) -> None:
        """Puts down a place that is taken again at once, past those who wait."""
        self._free += 1

    def release(self) -> None:
        """Gives a place back, to the one who has waited longest."""
        while self._waiting:
            wait = self._waiting.popleft()
            if not wait.done():
                wait.set_result(None)
                return
        self._free += 1

    def wake_all(self) -> None:
        """Lets everybody who waits go on, because the manager takes no tasks any more and will refuse theirs."""
        while self._waiting:
            wait = self._waiting.popleft()
            if not wait.done():
                wait.set_result(None)
