"""The queue of one event loop: strict priority, first in first out inside a level, and where idle workers wait.

A level is a deque. A worker that finds all levels empty parks on a future of the loop; whoever queues a task wakes one
of those, if there are any. Only the loop's thread touches any of this, so there is neither a lock nor a token.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from tasker.options import Priority

from .future import QUEUED, AsyncTaskFuture

_LONG = 10_000


class AsyncTaskQueue:
    """The tasks that wait to be started."""

    def __init__(self) -> None:
        self.levels: tuple[deque[AsyncTaskFuture[Any]], ...] = tuple(deque() for _ in Priority)
        self.parked: deque[asyncio.Future[None]] = deque()
        self.retiring: int = 0
        """How many workers are to end, each as soon as it has no task."""

    def put(self, future: AsyncTaskFuture[Any], level: int) -> None:
        """Adds a task at the end of a level."""
        self.levels[level].append(future)
        self.wake()

    def take_some(self, most: int) -> list[tuple[AsyncTaskFuture[Any], int]]:
        """Removes and returns what is first, as much as that at most, with the levels that it came from; of low priority,
        which everything may overtake, one at most."""
        taken: list[tuple[AsyncTaskFuture[Any], int]] = []
        for number, level in enumerate(self.levels):
            if number == Priority.LOW and taken:
                break
            while level and len(taken) < most:
                future = level.popleft()
                if future._stage == QUEUED:
                    taken.append((future, number))
                    if number == Priority.LOW:
                        return taken
        return taken

    def put_back(self, future: AsyncTaskFuture[Any], level: int) -> None:
        """Adds a task that was taken and not begun where it was: before those that were accepted after it."""
        tasks, place = self.levels[level], 0
        while place < len(tasks) and tasks[place].id < future.id:
            place += 1
        tasks.insert(place, future)
        self.wake()

    def wake(self) -> None:
        """Wakes one parked worker, the one that has waited longest, if there is one."""
        while self.parked:
            waiter = self.parked.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def forget(self, waiter: asyncio.Future[None]) -> None:
        """A parked worker does not wait any more."""
        if waiter in self.parked:
            self.parked.remove(waiter)

    def __len__(self) -> int:
        return sum(map(len, self.levels))

    def retire(self, count: int) -> None:
        """Lets as many workers end: idle ones now, else those that first have no task."""
        self.retiring += count
        for _ in range(count):
            self.wake()

    def take_retirement(self) -> None:
        """A worker without a task ends, because some are to."""
        self.retiring -= 1
        if len(self):
            self.wake()  # it may have been woken for a task that another one has to take now

    def discard(self, future: AsyncTaskFuture[Any]) -> None:
        """Takes out a task that has ended, unless the queue is so long that looking for it would cost more than
        letting it lie until its turn comes (it holds neither its function nor its arguments any more)."""
        if len(self) > _LONG:
            return
        for level in self.levels:
            try:
                level.remove(future)
                return
            except ValueError:
                continue

    def take_all(self) -> list[AsyncTaskFuture[Any]]:
        """Removes and returns what waits, most urgent first."""
        taken = self.waiting()
        for level in self.levels:
            level.clear()
        return taken

    def waiting(self) -> list[AsyncTaskFuture[Any]]:
        """What waits, most urgent first."""
        return [future for level in self.levels for future in level if not future.done()]
