"""Where the three kinds of threads meet: the feeder hands in, workers hand over, main takes.

Its rules:

1. At most `places` items are between being read and being written. The feeder takes a place for
   each, the main thread gives it back once the line is written. So memory is bounded, however
   long the input and however slow the output.
2. After `close()` no task is started. What had not started ends without a result line.
3. Everything is handed over by SimpleQueue, whose `put` is safe in a signal handler.
"""

from __future__ import annotations

import queue
from typing import NamedTuple

from tasker import TaskFuture

from .attempts import Gate, Outcome
from .items import Item


class Arrival(NamedTuple):
    """An item that came to something. No future: it was malformed, and nothing was run."""

    item: Item
    future: TaskFuture[Outcome] | None


class Desk:
    def __init__(self, places: int) -> None:
        self.gate: Gate = Gate()
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._places: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._open: dict[int, TaskFuture[Outcome] | None] = {}
        for _ in range(places):
            self._places.put(None)

    # The feeder's side.

    def take_place(self) -> bool:
        """Wait for a place; False when the run is being stopped."""
        self._places.get()
        return not self.gate.closed

    def hand_in(self, item: Item, future: TaskFuture[Outcome] | None) -> None:
        """Note an item that was submitted, or that is malformed and so has arrived already."""
        self._open[item.index] = future
        if future is None:
            self._arrivals.put(Arrival(item, None))
        else:
            future.add_done_callback(lambda done: self._arrivals.put(Arrival(item, done)))

    def wake(self) -> None:
        """Let the main thread look up. Safe in a signal handler."""
        self._arrivals.put(None)

    # The main thread's side.

    def take(self, timeout: float) -> Arrival | None:
        """The next arrival; None after the timeout, or when woken."""
        try:
            if timeout <= 0:
                return self._arrivals.get_nowait()
            return self._arrivals.get(timeout=timeout)
        except queue.Empty:
            return None

    def settle(self, item: Item) -> None:
        """The item is dealt with: its place is free."""
        self._open.pop(item.index, None)
        self._places.put(None)

    @property
    def is_empty(self) -> bool:
        """Nothing is on its way any more."""
        return not self._open

    def close(self) -> None:
        """Start nothing more, and end what waits in the queue.

        Closing the gate comes first. A task that passed it before is running by the time it is
        looked at, and is left alone; one that is cancelled here would have found the gate closed.
        So no running task has its context cancelled.
        """
        self.gate.closed = True
        self._places.put(None)  # the feeder may be waiting for one
        for future in list(self._open.values()):
            if future is not None and not future.running():
                future.cancel()
