"""QueueSlots: the bound of a queue, a counting semaphore whose waiters are served in order.

A waiter *accepts* its place: one that timed out can't swallow a place that was just given to it, and one that was served
says so (``done``) before it wakes up, so that the search for deadlocks never takes it for blocked.

The lock is reentrant, and held for a few steps only, because a task may be cancelled, and so a place given back, by a
signal handler or a finalizer that interrupts this very code. Signals are looked for when a call returns and when a loop turns:
so wherever a place changes hands, taking and giving are two steps with no call between.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable

from tasker.errors import QueueFull


class SlotWait:
    """One who wants a place, and whether he has it: known here, and not only from the return of a call."""

    __slots__ = ("lock", "refused", "served")

    def __init__(self) -> None:
        self.lock: _thread.LockType | None = None
        self.served: bool = False
        self.refused: bool = False

    def done(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self.served or self.refused

    def __repr__(self) -> str:
        return "a place in the full queue"


class QueueSlots:
    """``bound`` places. Thread-safe."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._free = bound
        self._waiting: deque[SlotWait] = deque()
        self._closed = False
        self._lock = threading.RLock()

    def acquire(
        self,
        block: bool,
        timeout: float | None,
        enter_wait: Callable[[SlotWait], object],
        leave_wait: Callable[[object], None],
        wait: SlotWait | None = None,
    ) -> None:
        """Takes a place, which is then noted in ``wait.served``; ``QueueFull`` where there is none at once (``block`` false) or
        within ``timeout`` seconds. A wait without limit is announced with ``enter_wait`` and ``leave_wait``. After
        ``close`` it returns without a place."""
        wait = wait or SlotWait()
        sleep = self._take_or_line_up(wait, block)
        if sleep is None:
            return
        ticket = None
        try:
            if timeout is None:
                ticket = enter_wait(wait)
            sleep.acquire(True, -1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        finally:
            self._leave_line(wait)
            if ticket is not None:
                leave_wait(ticket)
        if not wait.done():
            raise QueueFull(f"the queue is full after {timeout} seconds: max_queue_size={self._bound} tasks wait")

    def release(self) -> None:
        """Gives a place back, to the one who has waited longest."""
        with self._lock:
            if self._waiting:
                wait = self._waiting[0]
                del self._waiting[0]
                wait.served = True
                _wake(wait)
            else:
                self._free += 1

    def close(self) -> None:
        """Lets everybody who waits, or comes, go on: the manager takes no tasks any more and will refuse theirs."""
        with self._lock:
            self._closed = True
            while self._waiting:
                wait = self._waiting[0]
                del self._waiting[0]
                wait.refused = True
                _wake(wait)

    def _take_or_line_up(self, wait: SlotWait, block: bool) -> _thread.LockType | None:
        with self._lock:
            if self._closed:
                wait.refused = True
                return None
            if self._free > 0:
                self._free -= 1
                wait.served = True
                return None
            if not block:
                raise QueueFull(f"the queue is full: max_queue_size={self._bound} tasks wait")
            sleep = wait.lock = _thread.allocate_lock()
            sleep.acquire()
            self._waiting.append(wait)
            return sleep

    def _leave_line(self, wait: SlotWait) -> None:
        with self._lock:
            if wait in self._waiting:
                self._waiting.remove(wait)


def _wake(wait: SlotWait) -> None:
    assert wait.lock is not None
    wait.lock.release()
