"""Where the three kinds of threads meet.

The submitter adds items, the workers complete them, the main thread takes the completed ones.

1. At most `slots` items are in flight, from being read to being written: the submitter acquires a
   slot for each, and the main thread releases it once the line is written. So memory is bounded,
   however long the input and however slow the output.
2. After `close()` no task is started. Items that had not been started get no result line.
3. Nothing here costs a system call for each item. Threads hand over through deques, and one that waits is
   woken when there is something to do for it: see `Doorbell`.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from time import monotonic
from typing import Any

from .doorbell import Doorbell
from .task_wrapper import Gate

MOST = 4096
"""Completed items that are taken at once."""
DELAY_S = 0.01
"""Seconds after which what was completed is written, while items are completed in a steady stream."""


class InFlightItems:
    """The items between being read and being written. Thread-safe in the roles that the methods name."""

    def __init__(self, slots: int, ahead: int) -> None:
        """`slots`: see the module's docstring. `ahead`: those of them for items that wait."""
        self.gate: Gate = Gate()
        self.bell: Doorbell = Doorbell()
        """What the main thread waits for."""
        self.finished: deque[Any] = deque()
        """What the workers have completed. Appending to it is atomic."""
        self.due: float = 0.0
        """From this moment on (`time.monotonic`), a worker that completes an item rings the bell."""
        self._slots = slots
        # The submitter is woken once so many slots are free: not for each, and while the workers still have something to do.
        self._worthwhile = max(1, ahead // 2)
        self._added = 0  # written by the submitter alone
        self._released = 0  # written by the main thread alone
        self._waits = False
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._closing = threading.Event()

    # The submitter's side.

    def acquire_slot(self) -> bool:
        """Waits for a free slot. Returns False if the run is being stopped."""
        while self._added - self._released >= self._slots and not self.gate.closed:
            self._waits = True
            # Looked at again after `_waits` was set: what the main thread has released before, it has not announced.
            if self._added - self._released >= self._slots and not self.gate.closed:
                self.bell.ring()
                self._room.get()
            self._waits = False
        if self.gate.closed:
            return False
        self._added += 1
        return True

    def pause(self, seconds: float) -> bool:
        """Waits. Returns, at once, True if the run is being stopped."""
        return self._closing.wait(min(seconds, threading.TIMEOUT_MAX))

    # The workers' side.

    def add(self, entry: object) -> None:
        """Adds something that the main thread has to look at soon. Any thread may call it."""
        self.finished.append(entry)
        self.bell.ring()

    # The main thread's side.

    def take(self, timeout: float) -> list[Any]:
        """Returns what was completed; waits for it at most ``timeout`` seconds, or until the bell is rung."""
        finished = self.finished
        if not finished and timeout > 0:
            self.bell.wait(timeout, finished)
        self.due = monotonic() + DELAY_S
        return [finished.popleft() for _ in range(min(len(finished), MOST))]

    def release(self, count: int) -> None:
        """Frees the slots of items that have been written."""
        self._released += count
        if self._waits and self._slots - (self._added - self._released) >= self._worthwhile:
            self._wake_submitter()

    def top_up(self) -> None:
        """Lets the submitter fill the slots that are free, however few. To be called now and then."""
        if self._waits and self._added - self._released < self._slots:
            self._wake_submitter()

    def _wake_submitter(self) -> None:
        self._waits = False
        self._room.put(None)

    def holds(self, count: int) -> bool:
        """Returns whether so many items are in flight."""
        return self._added - self._released == count

    def close(self) -> None:
        """Lets no further task start."""
        self.gate.closed = self.gate.shut = True
        self._room.put(None)  # the submitter may be waiting for a slot
        self._closing.set()
