"""Places: the bound of a queue, a counting semaphore whose waiters are served in order.

A waiter *accepts* its place: one that timed out can't swallow a place that was just given to it, and one that was
served says so (``done``) before it wakes up, so that the search for deadlocks never takes it for blocked.

``release`` takes no lock that it would have to wait for, because a task may be cancelled from a signal handler or a
finalizer: it puts the place down, and whoever holds the lock picks it up before, or right after, he lets go.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable

from .errors import QueueFull


class PlaceWait:
    """One who waits for a place."""

    def __init__(self) -> None:
        self.lock: _thread.LockType = _thread.allocate_lock()
        self.lock.acquire()
        self.served = False

    def done(self) -> bool:
        """Whether it has its place."""
        return self.served

    def __repr__(self) -> str:
        return "a place in the full queue"


class Places:
    """``bound`` places. Thread-safe."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._free = bound
        self._returned: deque[None] = deque()
        self._waiting: deque[PlaceWait] = deque()
        self._closed = False
        self._lock = threading.Lock()

    def acquire(
        self,
        block: bool,
        timeout: float | None,
        enter_wait: Callable[[PlaceWait], object],
        leave_wait: Callable[[object], None],
    ) -> None:
        """Takes a place; ``QueueFull`` where there is none at once (``block`` false) or within ``timeout`` seconds. A
        wait without limit is announced with ``enter_wait`` and ``leave_wait``."""
        wait = self._take_or_line_up(block)
        if wait is None:
            return
        ticket = None
        try:
            if timeout is None:
                ticket = enter_wait(wait)
            wait.lock.acquire(True, -1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        except BaseException:  # a deadlock that was found, or a signal: a place that came all the same goes to the next
            if self._leave_line(wait):
                self.release()
            raise
        finally:
            if ticket is not None:
                leave_wait(ticket)
        if not self._leave_line(wait):
            raise QueueFull(f"the queue is full after {timeout} seconds: max_queue_size={self._bound} tasks wait")

    def release(self) -> None:
        """Gives a place back, to the one who has waited longest. Never blocks."""
        self._returned.append(None)
        self._combine()

    def close(self) -> None:
        """Lets everybody who waits, or comes, go on: the manager takes no tasks any more and will refuse theirs."""
        with self._lock:
            self._closed = True
            while self._waiting:
                self._serve(self._waiting.popleft())
        self._combine()

    def _take_or_line_up(self, block: bool) -> PlaceWait | None:
        wait = None
        with self._lock:
            self._pick_up()
            if self._closed:
                pass
            elif self._free > 0:
                self._free -= 1
            elif block:
                wait = PlaceWait()
                self._waiting.append(wait)
            else:
                raise QueueFull(f"the queue is full: max_queue_size={self._bound} tasks wait")
        self._combine()
        return wait

    def _leave_line(self, wait: PlaceWait) -> bool:
        with self._lock:
            if not wait.served:
                self._waiting.remove(wait)
        self._combine()
        return wait.served

    def _combine(self) -> None:
        while self._returned and self._lock.acquire(False):
            try:
                self._pick_up()
            finally:
                self._lock.release()

    def _pick_up(self) -> None:
        while self._returned:
            self._returned.popleft()
            if self._waiting:
                self._serve(self._waiting.popleft())
            else:
                self._free += 1

    @staticmethod
    def _serve(wait: PlaceWait) -> None:
        wait.served = True
        wait.lock.release()
