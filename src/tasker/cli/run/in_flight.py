"""Where the three kinds of threads meet.

The submitter adds items, the workers complete them, the main thread takes the completed ones.

1. At most `slots` items are in flight, from being read to being written: the submitter acquires a
   slot for each, and the main thread releases it once the line is written. So memory is bounded,
   however long the input and however slow the output.
2. After `close()` no task is started. Items that had not been started get no result line.
3. Threads hand over through SimpleQueue alone, whose `put` never blocks.
"""

from __future__ import annotations

import queue
from typing import NamedTuple

from tasker import TaskFuture

from .items import Item
from .task_wrapper import Gate, ItemResult


class Completion(NamedTuple):
    """An item that has come to its end. Without a future it was malformed, and no task was run for it."""

    item: Item
    future: TaskFuture[ItemResult] | None


class InFlightItems:
    """The items between being read and being written. Thread-safe in the roles that the methods name."""

    def __init__(self, slots: int) -> None:
        self.gate: Gate = Gate()
        self._completions: queue.SimpleQueue[Completion | None] = queue.SimpleQueue()
        self._free_slots: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._futures: dict[int, TaskFuture[ItemResult] | None] = {}
        for _ in range(slots):
            self._free_slots.put(None)

    # The submitter's side.

    def acquire_slot(self) -> bool:
        """Waits for a free slot. Returns False if the run is being stopped."""
        self._free_slots.get()
        return not self.gate.closed

    def add(self, item: Item, future: TaskFuture[ItemResult] | None) -> None:
        """Adds an item that was submitted, or one that is malformed and so is complete already."""
        # Registered first: a completion that was released before this would stay in flight for ever.
        self._futures[item.index] = future
        if future is None:
            self._completions.put(Completion(item, None))
        else:
            future.add_done_callback(lambda done: self._completions.put(Completion(item, done)))

    def wake(self) -> None:
        """Ends the wait of `next_completion`. Any thread may call it."""
        self._completions.put(None)

    # The main thread's side.

    def next_completion(self, timeout: float) -> Completion | None:
        """Returns the next completed item; None after `timeout` seconds or after a `wake`."""
        try:
            if timeout <= 0:
                return self._completions.get_nowait()
            return self._completions.get(timeout=timeout)
        except queue.Empty:
            return None

    def release(self, item: Item) -> None:
        """Frees the slot of an item that has been written."""
        self._futures.pop(item.index, None)
        self._free_slots.put(None)

    @property
    def is_empty(self) -> bool:
        """Whether no item is in flight."""
        return not self._futures

    def close(self) -> None:
        """Starts no further task, and cancels those that wait in the queue."""
        # The gate first. A task that passed it before is running by the time its future is looked at below, and is
        # left alone; a task that is cancelled below would have found the gate closed. So no running task has its
        # context cancelled.
        self.gate.closed = True
        self._free_slots.put(None)  # the submitter may be waiting for one
        for future in list(self._futures.values()):
            if future is not None and not future.running():
                future.cancel()
