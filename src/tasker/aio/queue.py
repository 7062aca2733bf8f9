"""AsyncTaskQueue: orders tasks strictly by priority, and first in, first out at the same priority; idle workers wait
here.

There is a deque for each priority, a *level*. A worker that finds all levels empty parks on a future of the loop, and
each task that is queued wakes one parked worker. Only the loop's thread uses it, so it needs no lock and no tokens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from tasker.options import Priority

from .future import QUEUED, AsyncTaskFuture

_LONG = 10_000
"""The number of queued tasks from which on ``discard`` does not search."""


class AsyncTaskQueue:
    """Holds the tasks that wait to be started, and the workers that wait for one."""

    def __init__(self) -> None:
        self.levels: tuple[deque[AsyncTaskFuture[Any]], ...] = tuple(deque() for _ in Priority)
        self.parked: deque[asyncio.Future[None]] = deque()
        self.retiring: int = 0
        """The number of workers that have to end, each as soon as it has no task."""

    def put(self, future: AsyncTaskFuture[Any], level: int) -> None:
        """Appends a task to a level."""
        self.levels[level].append(future)
        self.wake()

    def take_some(self, most: int) -> list[tuple[AsyncTaskFuture[Any], int]]:
        """Removes and returns up to ``most`` tasks with their levels, most urgent first."""
        # At most one of low priority, and that one alone: these are taken to be sent ahead, and any other task may
        # overtake tasks of low priority until they start.
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
        """Puts a task that was taken, and not begun, back where it was: before the tasks that were accepted after
        it."""
        tasks, index = self.levels[level], 0
        while index < len(tasks) and tasks[index].id < future.id:
            index += 1
        tasks.insert(index, future)
        self.wake()

    def wake(self) -> None:
        """Wakes the worker that has been parked longest, if there is one."""
        while self.parked:
            waiter = self.parked.popleft()
            if not waiter.done():  # a cancelled one must not swallow the wakeup
                waiter.set_result(None)
                return

    def forget(self, waiter: asyncio.Future[None]) -> None:
        """Removes a worker that does not wait any more."""
        if waiter in self.parked:
            self.parked.remove(waiter)

    def __len__(self) -> int:
        return sum(map(len, self.levels))

    def retire(self, count: int) -> None:
        """Has ``count`` workers end: idle ones at once, otherwise those that first finish a task."""
        self.retiring += count
        for _ in range(count):
            self.wake()

    def take_retirement(self) -> None:
        """Counts one of the workers that have to end. Called by the worker that ends."""
        self.retiring -= 1
        if len(self):
            self.wake()  # this worker may have been woken for a task, which another one has to take now

    def discard(self, future: AsyncTaskFuture[Any]) -> None:
        """Removes a task that has ended, unless the queue is so long that the search would cost more than leaving the
        task until its turn comes (it does not hold its function or its arguments any more)."""
        if len(self) > _LONG:
            return
        for level in self.levels:
            try:
                level.remove(future)
                return
            except ValueError:
                continue

    def take_many(self, most: int) -> list[AsyncTaskFuture[Any]]:
        """Removes and returns up to ``most`` queued tasks, most urgent first."""
        taken: list[AsyncTaskFuture[Any]] = []
        for level in self.levels:
            while level and len(taken) < most:
                future = level.popleft()
                if not future.done():
                    taken.append(future)
        return taken

    def waiting(self) -> list[AsyncTaskFuture[Any]]:
        """Returns the queued tasks, most urgent first."""
        return [future for level in self.levels for future in level if not future.done()]
