"""Flag: a ``threading.Event`` that Ctrl-C cannot break.

An Event takes the lock of its Condition, whose methods are Python. Ctrl-C that strikes one of them in a thread that
waits leaves that lock locked for ever, and then whatever sets the event never returns. A Flag has no lock. It decides
by the order in one list, whose ``append`` is one step of C: of a thread that begins to wait and one that sets the flag,
the later one finds the other.
"""

from __future__ import annotations

import _thread
import threading


class Flag:
    """See the module's docstring. Thread-safe; all methods may be called from signal handlers and finalizers."""

    def __init__(self) -> None:
        self._set = False
        self._log: list[_thread.LockType | None] = []
        """The locks of the threads that wait. None: it was set."""

    def is_set(self) -> bool:
        """Returns whether it is set."""
        return self._set

    def set(self) -> None:
        """Sets it and wakes all threads that wait. Never blocks; harmless if repeated, or if it is interrupted and
        repeated."""
        self._set = True
        if None not in (*self._log,):
            self._log.append(None)
        for lock in (*self._log,):
            try:
                if lock is not None:
                    lock.release()
            except RuntimeError:  # woken before
                pass

    def clear(self) -> None:
        """Takes it back."""
        self._set = False
        while None in (*self._log,):
            try:
                self._log.remove(None)
            except ValueError:  # another thread has
                pass

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps until it is set, ``timeout`` seconds at most (None: no limit). Returns whether it is set."""
        if self._set:
            return True
        lock = _thread.allocate_lock()
        lock.acquire()
        try:
            self._log.append(lock)  # one that Ctrl-C leaves there is released in vain
            if None not in (*self._log,):
                lock.acquire(True, -1 if timeout is None else min(max(0.0, timeout), threading.TIMEOUT_MAX))
        finally:
            try:
                self._log.remove(lock)
            except ValueError:  # interrupted before it was there
                pass
        return self._set
