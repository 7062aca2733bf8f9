"""SessionLock: the lock of a session, whose holder may be interrupted by what needs it as well.

A finalizer or a signal handler may cancel a task anywhere, also in the middle of a section under this lock in its own thread. It
must not wait there, for the lock would never be released. Nor may it go on, as a reentrant lock would let it: a task whose start
is half noted would go back to the queue. So it puts off what it wants until the section has ended.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class SessionLock:
    """Used as any lock. ``put_off`` is for what may be called from finalizers and signal handlers."""

    __slots__ = ("_is_owned", "_lock", "_put_off", "acquire")

    def __init__(self) -> None:
        # Reentrant only because such a lock knows its holder, from the very moment at which it is taken.
        self._lock = lock = threading.RLock()
        self.acquire: Callable[..., bool] = lock.acquire
        self._is_owned: Callable[[], bool] = lock._is_owned  # type: ignore[attr-defined]
        """Under this name a ``threading.Condition`` asks for it."""
        self._put_off: deque[Callable[[], object]] = deque()

    def held(self) -> bool:
        """Returns whether this thread holds it."""
        return self._is_owned()

    def put_off(self, call: Callable[[], object]) -> bool:
        """If this thread holds it, has ``call`` made as soon as it is released, and returns True."""
        if not self._is_owned():
            return False
        self._put_off.append(call)
        return True

    def release(self) -> None:
        """Releases it, and makes the calls that were put off."""
        self._lock.release()
        while self._put_off and not self._is_owned():
            try:
                call = self._put_off.popleft()
            except IndexError:  # another thread has made it
                return
            call()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()
