"""QueueSlots: bounds a queue; a counting semaphore that serves its waiters in order.

Whether a waiter has a slot is recorded in its ``SlotWait``, by the thread that gives the slot, before the waiter wakes
up. So a slot that is given just as the wait times out is not lost, and the search for deadlocks never takes a waiter
that was served for one that is blocked.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from tasker.control.deadlock import Need
from tasker.errors import DeadlockError, QueueFull


class SlotWait:
    """Records whether one ``submit`` has a slot. It is up to date even if the call that acquires the slot is
    interrupted and never returns."""

    __slots__ = ("error", "lock", "refused", "served")

    def __init__(self) -> None:
        self.error: DeadlockError | None = None
        self.lock: _thread.LockType | None = None
        self.served: bool = False
        self.refused: bool = False

    def done(self) -> bool:
        """Returns whether the wait is over."""
        return self.served or self.refused

    def need(self) -> Need[SlotWait] | None:
        """See ``BlockingWait``."""
        return None if self.done() else Need((self,))

    def refuse(self, error: DeadlockError) -> None:
        """See ``BlockingWait``."""
        self.error = error
        _wake(self)

    def __repr__(self) -> str:
        return "a slot in the full queue"


class SlotHolder(Protocol):
    """What holds a slot."""

    _holds_slot: bool


class _Unsubmitted:
    """Holds the slot of a ``submit`` that has queued no task."""

    _holds_slot = True


class QueueSlots:
    """A semaphore of ``bound`` slots. Thread-safe; ``release`` may be called from signal handlers and finalizers."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._free = bound
        self._waiting: deque[SlotWait] = deque()
        self._closed = False
        # Reentrant, because a signal handler or a finalizer that interrupts this code may cancel a task and so release
        # its slot. CPython checks for signals only when a call returns and when a loop turns. So wherever a slot
        # changes hands, two steps without a call in between take it from one side and give it to the other.
        self._lock = threading.RLock()

    def acquire(
        self,
        block: bool,
        timeout: float | None,
        enter_wait: Callable[[SlotWait], object],
        leave_wait: Callable[[object], None],
        wait: SlotWait | None = None,
    ) -> None:
        """Acquires a slot and records it in ``wait.served``. Raises ``QueueFull`` if there is none at once (``block``
        is False) or within ``timeout`` seconds. After ``close`` it returns without a slot.

        Announces a wait without a limit with ``enter_wait``, and its end with ``leave_wait``.
        """
        wait = wait or SlotWait()
        ticket = None
        try:
            sleep = self._take_or_line_up(wait, block)
            if sleep is None:
                return
            if timeout is None:
                ticket = enter_wait(wait)
            sleep.acquire(True, -1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        finally:
            # Leaves the line before anything else, so that no slot is given to a wait that is over.
            try:
                self._leave_line(wait)
            except BaseException:  # Ctrl-C, perhaps before it was out
                self._leave_line(wait)
                raise
            if ticket is not None:
                leave_wait(ticket)
        # Not whether the wait timed out, but what was recorded: the slot may have come in the last moment.
        if not wait.done():
            if wait.error is not None:
                raise wait.error
            raise QueueFull(f"the queue is full after {timeout} seconds: max_queue_size={self._bound} tasks wait")

    def release(self) -> None:
        """Releases a slot: gives it to the longest waiter, if there is one."""
        self.release_of(_Unsubmitted())

    def release_of(self, holder: SlotHolder) -> None:
        """Releases the slot that a task holds, if it still does. Harmless if repeated after an interrupt."""
        with self._lock:
            if not holder._holds_slot:
                return
            if self._waiting:
                # ``del`` and assignments, not ``popleft``: no call up to that of C which wakes the waiter, and so no
                # signal.
                wait = self._waiting[0]
                sleep = wait.lock
                del self._waiting[0]
                wait.served = True
                holder._holds_slot = False
                if sleep is not None:
                    sleep.release()
            else:
                self._free += 1
                holder._holds_slot = False

    def renew_lock(self) -> None:
        """Replaces the lock in a forked child, in which it may be held by a thread that does not exist."""
        self._lock = threading.RLock()

    def close(self) -> None:
        """Ends all waits, and those that begin later, without a slot: the manager is closed and will refuse the
        tasks."""
        with self._lock:
            self._closed = True
            while True:  # docs/decisions/0043
                if not self._waiting:
                    break
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
                # No call in between, as above.
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
        if wait.lock is None:  # it was never there
            return
        with self._lock:
            if wait in self._waiting:
                self._waiting.remove(wait)


def _wake(wait: SlotWait) -> None:
    assert wait.lock is not None
    try:
        wait.lock.release()
    except RuntimeError:  # the slot and the search for deadlocks may both wake it
        pass
