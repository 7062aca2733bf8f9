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

from .items import Item
from .task_wrapper import Gate, ItemResult


class Completion(NamedTuple):
    """An item that came to something. No future: it was malformed, and nothing was run."""

    item: Item
    future: TaskFuture[ItemResult] | None


class InFlightItems:
    def __init__(self, slots: int) -> None:
        self.gate: Gate = Gate()
        self._completions: queue.SimpleQueue[Completion | None] = queue.SimpleQueue()
        self._free_slots: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._open: dict[int, TaskFuture[ItemResult] | None] = {}
        for _ in range(slots):
            self._free_slots.put(None)

    # The feeder's side.

    def acquire_slot(self) -> bool:
        """Wait for a place; False when the run is being stopped."""
        self._free_slots.get()
        return not self.gate.closed

    def add(self, item: Item, future: TaskFuture[ItemResult] | None) -> None:
        """Note an item that was submitted, or that is malformed and so has arrived already."""
        self._open[item.index] = future
        if future is None:
            self._completions.put(Completion(item, None))
        else:
            future.add_done_callback(lambda done: self._completions.put(Completion(item, done)))

    def wake(self) -> None:
        """Let the main thread look up. Safe in a signal handler."""
        self._completions.put(None)

    # The main thread's side.

    def next_completion(self, timeout: float) -> Completion | None:
        """The next arrival; None after the timeout, or when woken."""
        try:
            if timeout <= 0:
                return self._completions.get_nowait()
            return self._completions.get(timeout=timeout)
        except queue.Empty:
            return None

    def release(self, item: Item) -> None:
        """The item is dealt with: its place is free."""
        self._open.pop(item.index, None)
        self._free_slots.put(None)

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
        self._free_slots.put(None)  # the feeder may be waiting for one
        for future in list(self._open.values()):
            if future is not None and not future.running():
                future.cancel()
