"""AsyncTaskQueue: orders tasks strictly by priority, and first in, first out at the same priority; idle workers wait
here.

There is a deque for each priority, a *level*. A worker that finds all levels empty waits for a future of the loop, and
each task that is queued wakes one idle worker. Only the loop's thread uses it, so it needs no lock and no tokens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from tasker.core import tombstones
from tasker.core.parking import ParkingLot
from tasker.core.snapshots import snapshot
from tasker.options import Priority

from .cooling import CoolingTasks
from .future import QUEUED, AsyncTaskFuture


class AsyncTaskQueue:
    """Holds the tasks that wait to be started, and the workers that wait for one."""

    def __init__(self) -> None:
        self.levels: tuple[deque[AsyncTaskFuture[Any]], ...] = tuple(deque() for _ in Priority)
        self.idle: deque[asyncio.Future[None]] = deque()
        self.cooling: CoolingTasks = CoolingTasks()
        self.inherited: list[AsyncTaskFuture[Any]] = []
        """In a forked child, the tasks that are the parent's."""
        self.orders: int = 0
        """The number of workers that have to end or to ask the ``ParkingLot``, each as soon as it has no task, and of those that
        were called; one more during a pause, in which no worker takes a task or another order."""
        self._calls = 0
        self.held: bool = False
        """Whether there is a pause."""
        self.staying: dict[object, Callable[[], object]] = {}
        """The workers that wait for its end, and what ends the wait of each."""
        self._retiring = 0
        """Those that have to end."""
        self.lot: ParkingLot = ParkingLot()
        self._tombstones = tombstones.Tombstones()

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
        """Wakes the worker that has been idle longest, if there is one."""
        while self.idle:
            waiter = self.idle[0]
            if waiter.done():  # a cancelled one must not swallow the wakeup
                self.idle.popleft()
                continue
            waiter.set_result(None)
            # Last: a worker that Ctrl-C leaves in the line is awake, one that it takes out of the line would sleep for ever.
            try:
                self.idle.remove(waiter)  # the first, unless a signal handler or a finalizer has woken others meanwhile
            except ValueError:
                pass
            return

    def pass_on(self) -> None:
        """Wakes another worker for the task or the order that the caller may have been woken for, and leaves to it."""
        if len(self) or self.has_orders:
            self.wake()

    def wake_after(self, waiter: asyncio.Future[None], seconds: float | None) -> Callable[[], object]:
        """Wakes a worker after so many seconds, though nothing is there for it. Returns what takes that back."""
        if seconds is None:
            return _nothing

        def wake() -> None:
            if not waiter.done():
                self.forget(waiter)
                waiter.set_result(None)

        return waiter.get_loop().call_later(seconds, wake).cancel

    def forget(self, waiter: asyncio.Future[None]) -> None:
        """Removes a worker that does not wait any more."""
        if waiter in self.idle:
            self.idle.remove(waiter)

    def set_aside(self) -> None:
        """In a forked child: has no worker take what waits for those of the parent."""
        self.release()
        # Not dropped: what a task refers to may be collected in the parent only.
        for level in self.levels:
            self.inherited += level
            level.clear()

    def __len__(self) -> int:
        return sum(map(len, self.levels))

    def retire(self, count: int) -> None:
        """Has ``count`` workers end: idle ones at once, otherwise those that first finish a task."""
        self._retiring += count
        self._order(count)

    def park(self, count: int) -> None:
        """Has so many workers be parked, and the others serve. As ``retire``."""
        self._order(self.lot.want(count))

    def _order(self, count: int) -> None:
        self.orders += count
        for _ in range(count):
            self.wake()
        self.cooling.wake()

    def take_order(self) -> bool:
        """Removes one order. Returns True if the calling worker has to end, False if it has to ask the ``ParkingLot``."""
        self.orders -= 1
        if len(self):
            self.wake()  # this worker may have been woken for a task, which another one has to take now
        retires = self._retiring > 0
        self._retiring -= retires
        return retires

    def call(self, waiter: asyncio.Future[None] | None) -> None:
        """Has one worker end, because its resource is outdated; ``waiter``: what it waits for, if it is idle."""
        self._calls += 1
        self.orders += 1
        if waiter is not None and not waiter.done():
            self.forget(waiter)
            waiter.set_result(None)
        self.cooling.wake()

    def forget_call(self) -> None:
        """A worker that was called serves no more."""
        self._calls -= 1
        self.orders -= 1

    @property
    def has_orders(self) -> bool:
        """Whether there are orders for any worker."""
        return self.orders > self._calls

    def hold(self) -> None:
        """Lets no worker take a task."""
        self.orders += not self.held
        self.held = True
        self.cooling.wake()

    def leave_hold(self, worker: object) -> None:
        """Ends the wait of a worker for the end of the pause. Harmless if it does not wait."""
        if worker in self.staying:
            self.staying[worker]()

    def release(self) -> None:
        """Ends ``hold``."""
        self.orders -= self.held
        self.held = False
        for release in [*self.staying.values()]:
            release()
        # Each task that was queued meanwhile has woken an idle worker, which then stayed; orders came to those that were idle.
        # Where one of these was cancelled or is gone, another one that is still idle has to be woken.
        for _ in range(min(len(self.idle), len(self) + self.orders)):
            self.wake()

    def discard(self, future: AsyncTaskFuture[Any]) -> None:
        """Removes a task that has ended. In a long queue it stays for a while, without its function and arguments:
        until its turn comes, or half of the queue has ended."""
        if len(self) > tombstones.LONG:
            if self._tombstones.add(len(self)):
                self._sweep()
            return
        for level in self.levels:
            try:
                level.remove(future)
                return
            except ValueError:
                continue

    def _sweep(self) -> None:
        self._tombstones.swept()
        for level in self.levels:
            waiting = [future for future in level if future._stage == QUEUED]
            # In place, because the workers' loops hold the levels.
            level.clear()
            level.extend(waiting)

    def count(self, level: int) -> int:
        """Returns how many tasks wait in a level. Costs O(level) if ended tasks may be among them."""
        tasks = self.levels[level]
        return sum(future._stage == QUEUED for future in snapshot(tasks)) if self._tombstones else len(tasks)

    def take_many(self, most: int) -> list[AsyncTaskFuture[Any]]:
        """Removes and returns up to ``most`` queued tasks, most urgent first."""
        taken: list[AsyncTaskFuture[Any]] = []
        for level in self.levels:
            while level and len(taken) < most:
                future = level.popleft()
                if not future.done():
                    taken.append(future)
        return taken

    def take_unstarted(self, most: int) -> list[tuple[AsyncTaskFuture[Any], int]]:
        """Removes and returns up to ``most`` tasks with their levels, most urgent first."""
        taken: list[tuple[AsyncTaskFuture[Any], int]] = []
        for number, level in enumerate(self.levels):
            while level and len(taken) < most:
                taken.append((level.popleft(), number))
        return taken

    def waiting(self) -> list[AsyncTaskFuture[Any]]:
        """Returns the queued tasks, most urgent first."""
        return [future for level in self.levels for future in level if not future.done()]


def _nothing() -> None:
    pass
