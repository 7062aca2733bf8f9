"""AsyncQueueSlots: bounds a queue; a counting semaphore that serves its waiters in order.

A waiter gets its slot before it wakes up, so no other caller can take the slot in between; a waiter that is cancelled
at that very moment passes the slot on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from tasker.errors import QueueFull


class HasLoop(Protocol):
    """The part of an engine that the slots use."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...


class AnnouncedWait(asyncio.Future[None]):
    """A wait for a slot, or for something else of the manager that ``what`` names: one that the search for deadlocks
    knows."""

    _engine: HasLoop
    what: str = "a slot in the full queue"

    def __repr__(self) -> str:
        return self.what


class AsyncQueueSlots:
    """A semaphore of ``bound`` slots. Used in the loop's thread."""

    def __init__(self, engine: HasLoop, bound: int) -> None:
        self._engine = engine
        self._bound = bound
        self._free = bound
        self._waiting: deque[AnnouncedWait] = deque()

    def check(self) -> None:
        """Raises ``QueueFull`` if there is no slot."""
        if self._free <= 0:
            raise QueueFull(
                f"the queue is full: max_queue_size={self._bound} tasks wait (submit never waits in an event loop; "
                f"submit_wait and queue_task do)"
            )

    def take(self) -> None:
        """Takes a slot. Raises ``QueueFull`` if there is none."""
        self.check()
        self._free -= 1

    async def acquire(self, timeout: float | None) -> None:
        """Waits for a slot. Raises ``QueueFull`` if there is none within ``timeout`` seconds (None: no limit)."""
        if self._free > 0:
            self._free -= 1
            return
        wait = AnnouncedWait(loop=self._engine.loop)
        wait._engine = self._engine
        self._waiting.append(wait)
        try:
            if timeout is None:
                # Awaited directly, so that the search for deadlocks sees what the task waits for.
                await wait
                return
            await asyncio.wait([wait], timeout=max(0.0, timeout))
        except BaseException:
            self._give_up(wait)
            raise
        if not wait.done():
            self._give_up(wait)
            raise QueueFull(f"the queue is full after {timeout} seconds: max_queue_size={self._bound} tasks wait")

    def _give_up(self, wait: AnnouncedWait) -> None:
        if wait in self._waiting:
            self._waiting.remove(wait)
        elif wait.done() and not wait.cancelled():  # it had its slot already: the next waiter gets it
            self.release()

    def put_back(self) -> None:
        """Returns a slot that the caller takes again before the loop runs anything else, or else passes on by
        ``pass_on``. No waiter gets it."""
        self._free += 1

    def pass_on(self) -> None:
        """Gives the slot of ``put_back``, which the caller has not taken, to the longest waiter, if there is one."""
        if self._free > 0:
            self._free -= 1
            self.release()

    def release(self) -> None:
        """Releases a slot: gives it to the longest waiter, if there is one."""
        while self._waiting:
            wait = self._waiting.popleft()
            if not wait.done():
                wait.set_result(None)
                return
        self._free += 1

    def wake_all(self) -> None:
        """Ends all waits without a slot: the manager is closed and will refuse the tasks."""
        while self._waiting:
            wait = self._waiting.popleft()
            if not wait.done():
                wait.set_result(None)
