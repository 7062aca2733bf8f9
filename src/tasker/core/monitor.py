"""A lock of C, and a condition over it.

The lock is taken and released in one step. The methods of a ``threading.Condition`` are Python: an asynchronous exception or
Ctrl-C that strikes one of them in ``with condition:`` leaves its lock locked for ever.
"""

from __future__ import annotations

import threading


def monitor() -> tuple[threading.RLock, threading.Condition]:
    """Returns a lock to be taken by ``with``, and its condition, to wait and notify with the lock held."""
    lock = threading.RLock()
    return lock, threading.Condition(lock)
