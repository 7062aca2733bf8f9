"""Lanes: tasks of the manager that run one item after the other, so that a tiny item does not cost a task.

Items wait in deques, one for each priority, from which every lane takes the next ones, see `thread_lanes` and
`process_lanes`.

1. While items wait, at least one lane is queued, or runs and will look at the deques before it ends. The submitter appends an
   item, and then looks at `_queued`; a lane removes itself from `_queued`, and then looks at the deques. So at least one of the
   two sees what the other did.
2. While items take long, a lane is queued for each that waits, so that the manager sees how much there is to do, and makes
   burst workers. While they are tiny, there are as many as workers.
3. An item that raises becomes the item of its lane's ticket: from there on the manager judges the error and tries the item
   again, as if the task had been submitted for it. A further attempt runs that item alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any

from tasker import Context, Priority, ShutdownError, TaskManager

from .feeds import ItemFeed, Ticket
from .in_flight import InFlightItems
from .items import Item

SLICE_S = 0.005
"""Seconds after which a lane ends, behind the item that it runs, so that its worker hears of retries, and of orders to retire."""
SLOW_S = 0.001
"""Items that take so many seconds are not worth a lane for several."""

Waiting = tuple[Item, float]
"""An item, and since when it waits."""


class LaneFeed(ItemFeed):
    """See the module's docstring."""

    def __init__(
        self, manager: TaskManager[Any], in_flight: InFlightItems, *, version: str, lanes: int, once: bool
    ) -> None:
        """`version`: that of the job, for the result lines. `lanes`: how many are queued while items are tiny."""
        super().__init__(manager, in_flight, once=once)
        self._version = version
        self._most = lanes
        self._levels: tuple[deque[Waiting], ...] = tuple(deque() for _ in Priority)
        self._queued: deque[None] = deque()
        """An element for each lane that has not begun."""
        self._pace = SLOW_S
        """Seconds that an item of the last lane took: slow, as long as nothing is known."""
        self._slow = SLOW_S
        """From how many on there is a lane for each item."""

    def add(self, item: Item, priority: Priority) -> None:
        self._levels[priority].append((item, monotonic()))
        if len(self._queued) < self._most or self._pace >= self._slow:
            self._send()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._levels))

    def reopen(self) -> None:
        self._go_on()

    def close(self) -> int:
        super().close()
        dropped = 0
        for level in self._levels:
            while level:
                try:
                    level.popleft()
                except IndexError:  # a lane that had passed the gate before
                    break
                dropped += 1
        return dropped

    def _send(self) -> None:
        self._queued.append(None)
        self._submit_lane(Ticket())

    @abstractmethod
    def _submit_lane(self, ticket: Ticket) -> None:
        """Submits a lane. When it begins, it has to call `_begun`."""

    def _begun(self) -> None:
        with suppress(IndexError):  # it was given back to the queue, and begins once more
            self._queued.pop()

    def _wanted(self, waiting: int) -> int:
        """Returns how many lanes to queue for so many items that wait."""
        return min(waiting, self._most) if self._pace < self._slow else waiting

    def _go_on(self) -> None:
        """Queues lanes for what still waits."""
        wanted = self._wanted(self.waiting)
        while len(self._queued) < wanted and not self._in_flight.gate.shut:
            try:
                self._send()
            except ShutdownError:
                return  # the submitter gets it as well


def forget_callbacks(context: Context, lane: Context) -> None:
    """Removes the callbacks of an item that has ended from the context of its lane."""
    for watcher in tuple(context._watchers):
        with suppress(ValueError):  # removed by the item itself
            lane._watchers.remove(watcher)
