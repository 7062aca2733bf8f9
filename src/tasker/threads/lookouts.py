"""Tokens for many workers without the GIL: a few idle workers wait for tokens, as *lookouts*, and the others are *in reserve*.

A worker that is woken in ``SimpleQueue.get`` needs the queue's lock again before it returns. With 1,000 workers asleep there,
each token that comes wakes another one, and hundreds that were woken contend for that lock: a task cost ten times as much as
with four workers. So a worker that finds no token waits in the queue only where there are fewer than ``MOST`` lookouts; else it
waits at a bell of its own, where nobody contends. The one that came last is called first: with its memory still warm, it takes
half of the time. But after an order, the one that has waited longest is called, as ``SimpleQueue`` wakes its sleepers: an order
that is for one worker, and that the others pass on (``renewals``), has to come to each of them.

What holds at any time: workers are in reserve only while there is a lookout, or while one is called, or about to be called by
whoever has made that untrue. So a token that is put wakes a lookout, or is taken by a worker that is awake; and a lookout that
leaves with a token calls the next one, if few are left, before it runs the task. Nothing else of the queue is changed: ``put`` and
``get_nowait`` are those of ``SimpleQueue``, steps of C that may be called from finalizers and signal handlers, and tokens are
taken in the order in which they were put.

``_lookouts`` and ``_reserve`` have no lock of Python: a finalizer may run within any method here. Their methods in C each
lock the object that they belong to, and the argument that no wake-up is lost relies on their order, see ``_call_if_few``.

Rejected: to call by a token that is handed over, one for each task, as ``SimpleQueue`` does with its own sleepers: a switch of
threads for each task. To have ``put`` call: a function in Python, in which an exception may strike, for each task of each pool.
A call whenever a lookout leaves: two wake-ups for each task of a pool that is idle else.
"""

from __future__ import annotations

import queue
import sys
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable
from itertools import repeat
from time import monotonic

MOST = 8
"""How many lookouts there are at most, about: of several that come at the same moment, all may become one, which does no harm."""
LEAST = 2
"""Where fewer are left, one that leaves calls another. Not one: a finalizer may run in the thread of the last lookout, after it has
left and before it calls the next one, and wait there for a task."""
MANY = 64
"""From so many workers on, a reserve pays. With fewer, the lock is no trouble, and each wait costs more."""

_gil = getattr(sys, "_is_gil_enabled", lambda: True)


def tokens_for(workers: int) -> queue.SimpleQueue[object]:
    """Returns the queue of tokens for a pool of so many workers at most."""
    # With the GIL, one thread at a time asks for the queue's lock, and a reserve would be only a detour.
    return queue.SimpleQueue() if _gil() or workers < MANY else TokensWithLookouts()


class TokensWithLookouts(queue.SimpleQueue[object]):
    """As ``queue.SimpleQueue``, whose methods are all thread-safe. ``get`` is for the workers' threads, and may be struck by an
    asynchronous exception once; after that, ``mend`` has to be called."""

    def __init__(self) -> None:
        super().__init__()
        self._lookouts: set[LockType] = set()
        """The bells of those that wait in the queue, or are about to, or have not left it."""
        self._reserve: deque[LockType] = deque()
        """The bells of those that wait at them, in the order in which they came."""

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        """See ``SimpleQueue``. Raises ``queue.Empty`` if no token came within ``timeout`` seconds, or ``block`` is false and there
        is none; ``ValueError`` for a negative timeout."""
        if timeout is not None and timeout < 0 and block:
            raise ValueError(f"'timeout' must be a non-negative number, got {timeout!r}")
        try:
            # Not as a lookout: the lookouts stay, so nobody has to be called.
            return self.get_nowait()
        except queue.Empty:
            if not block:
                raise
        until = None if timeout is None else monotonic() + timeout
        bell = allocate_lock()
        bell.acquire()
        token: object = None
        try:
            if len(self._lookouts) >= MOST:
                self._wait_in_reserve(bell, timeout)
            self._lookouts.add(bell)
            token = super().get(True, None if until is None else max(0.0, until - monotonic()))
            return token
        finally:
            # First, and a call of C: between the end of ``super().get``, or a raise, and its return, no exception can strike. A
            # lookout that is none would keep all others in reserve.
            self._lookouts.discard(bell)
            # Here, if this one has a token; if it was called and its time was up in that moment, the call is for another one.
            self._call_if_few(deque.pop if token is None else deque.popleft)

    def mend(self) -> None:
        """Has a worker called if one is missing, after an exception struck ``get``, maybe between two of its last steps."""
        self._call_if_few()

    def _wait_in_reserve(self, bell: LockType, timeout: float | None) -> None:
        """Returns when this worker is called. Raises ``queue.Empty`` if the time is up."""
        called = False
        try:
            self._reserve.append(bell)
            # After the append: lookouts may have left between the look at their number and now, and have found nobody to
            # call.
            self._call_if_few()
            called = bell.acquire(True, -1 if timeout is None else timeout)
        finally:
            if not called:
                # What still finds the bell rings for nobody. What has taken it off before has called this worker, which
                # passes the call on when it leaves ``get``.
                try:
                    self._reserve.remove(bell)
                except ValueError:
                    pass
        if not called:
            raise queue.Empty

    def _call_if_few(self, take: Callable[[deque[LockType]], LockType] = deque.pop) -> None:
        """Calls the worker that ``take`` takes from the reserve if there are few lookouts. A lookout that leaves calls this after
        ``discard``, and a worker that goes into reserve after ``append``."""
        # Each of them has changed one of the two containers, and looks at the other one next. ``take`` and ``append`` take
        # the same lock, one after the other. If ``take`` comes second, it finds the worker. If it comes first,
        # the ``discard`` before it is seen by the one that has appended, which then finds few lookouts. So it does not
        # matter that the look at the set takes no lock: of several that leave, the one whose ``discard`` is the last sees
        # those of the others. Who is called is counted as a lookout only when it is awake, so a few too many may be called.
        if len(self._lookouts) >= LEAST:
            return
        try:
            # By a step of an iterator, and released at once by a call of C: an exception that struck in between would leave
            # a worker asleep that nobody knows.
            for bell in map(take, repeat(self._reserve)):
                bell.release()
                break
        except IndexError:  # nobody is in reserve
            pass
