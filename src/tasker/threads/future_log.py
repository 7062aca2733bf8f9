"""The log in each future, which decides its races, and those who are told of its end.

Everything that decides who may start a task, who may end it and who is told of it happens by appending to one list,
``_log``; **the order of the entries is the truth**. ``list.append`` is one atomic operation on one object, with the
GIL and without it (there under the list's own lock), so any two threads agree on the order. Nobody takes a lock; so
cancelling from a signal handler, a finalizer or a callback cannot deadlock. The entries:

``RUN``      a worker starts an attempt. Counts if no ending stands before it.
``BACK``     the attempt ended without an outcome; the task waits for its next attempt.
``DONE``     the worker that ran it has put the result into ``_value``.
``Ending``   an error or a cancellation. A *forced* one counts wherever it stands first; one that is not (``cancel``)
             counts only while no attempt runs.
a watcher    somebody who wants to be told: a waiting thread's lock, a callback, the Condition of
             ``concurrent.futures``.

The first ending that counts is the outcome: a later one finds it by reading the log and drops its own. A watcher that
stands before the outcome is told by whoever appended the outcome; one that stands behind it finds it there and sees
to itself. So each is told exactly once, and there is no window between looking and registering.

The usual log is ``[RUN, DONE]``, and a worker knows it by its length; only what is longer is read. Once a result has
been told to all who wait, the future's log is replaced by ``SETTLED``, a constant that says the same, so that the memory
and the garbage collector's work for a future that is done are less. That takes nothing from the order: each step reads
``_log`` once. Who got hold of the list finds ``DONE`` in it, before whatever he appends; who comes later finds it in
the constant, whose ``append`` does nothing.

On CPython 3.11 the list would be half of what the garbage collector looks at in a deep queue, and the collector is half of
what ``submit`` costs there. So a future starts with the constant ``UNOPENED``, and whoever is the first to write makes the
list: see ``opened``. Where the collector is no such burden, the list is there from the start. Nothing but speed depends on
which of the two it is (docs/decisions/0014).

A log that others may write to is copied by ``(*log,)``, not by ``tuple(log)``: on CPython 3.11 the latter may run the
garbage collector between reading where the entries are and copying them, and whoever appends meanwhile moves them.

``_kind`` and ``_error`` are written by the winner after the log decided. They are what ``done()`` and ``result()``
read first; who finds nothing there looks into the log.

Why not a lock in each future: making and taking one costs 2.5 times as much, and a finalizer that cancels while its
own thread holds it would hang. Why not flags that are written and then checked on both sides: that needs sequentially
consistent stores, which Python does not promise without the GIL; and both sides can see each other, which is how a
waiter of ``concurrent.futures.wait`` got counted twice in a sketch of this.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

PENDING, FINISHED, CANCELLED, FAILED = 0, 1, 2, 3
"""How a future stands: ``FINISHED`` with a result, ``FAILED`` with an error."""


Mark = str
"""An entry of the log that carries nothing but its place. Strings, because every worker refers to them all the time, and
CPython does not count the references to these, which without the GIL is work that the workers would dispute."""

RUN, BACK, DONE = "RUN", "BACK", "DONE"


class Logged(Protocol):
    """What has a log: a future, as far as its log needs to know it."""

    _log: list[Any]
    _kind: int
    _error: BaseException | None

    @property
    def _owner(self) -> Any: ...


class Ending:
    """An outcome other than a result."""

    __slots__ = ("cancelled", "error", "forced")

    def __init__(self, error: BaseException, *, cancelled: bool = False, forced: bool = False) -> None:
        self.error: BaseException = error
        self.cancelled: bool = cancelled
        self.forced: bool = forced


class Waiter:
    """A thread that sleeps until the outcome is there."""

    __slots__ = ("acquire", "lock")
    first: bool = True

    def __init__(self) -> None:
        self.lock: _thread.LockType = _thread.allocate_lock()
        self.acquire: Callable[..., bool] = self.lock.acquire
        self.acquire()

    def tell(self, future: Logged) -> None:
        self.lock.release()


class Callback:
    __slots__ = ("fn",)
    first: bool = False

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self.fn: Callable[[Any], object] = fn

    def tell(self, future: Logged) -> None:
        try:
            self.fn(future)
        except BaseException as error:
            future._owner.callback_fault(future, error)


class Bridge:
    """The Condition and the waiters that ``concurrent.futures.wait`` and ``as_completed`` expect of a future.

    They read ``_state`` and add to ``_waiters`` while they hold the condition, and rely on it that nothing changes
    meanwhile. But an outcome gets into the log without asking for the condition. So once there is a bridge, an outcome
    is shown in ``_state`` only from ``settled`` on, which is set here, under the condition, as the waiters are told: by
    the bearer of the outcome, or by whoever put the bridge into the log behind it. Two threads, or a thread and its
    signal handler, may both put it there; it tells only once, so a waiter is told of each future exactly once.
    """

    __slots__ = ("condition", "settled", "waiters")
    first: bool = True

    def __init__(self) -> None:
        self.condition: threading.Condition = threading.Condition()
        self.waiters: list[Any] = []
        self.settled: bool = False

    def tell(self, future: Logged) -> None:
        with self.condition:
            if self.settled:
                return
            self.settled = True
            for waiter in self.waiters:
                if future._kind == CANCELLED:
                    waiter.add_cancelled(future)
                elif future._error is not None:
                    waiter.add_exception(future)
                else:
                    waiter.add_result(future)
            self.condition.notify_all()


class _Nest(threading.local):
    """How deep this thread is in callbacks of callbacks. A chain of them (each ends the next task) as long as the
    recursion limit would break off in the middle of an outcome; so from a depth on they are called one after the other."""

    depth: int = 0
    later: deque[tuple[Logged, list[Callback]]] | None = None

    def call(self, future: Logged, callbacks: list[Callback]) -> None:
        if self.later is not None:
            self.later.append((future, callbacks))
            return
        self.depth += 1
        try:
            if self.depth < _DEEPEST:
                for callback in callbacks:
                    callback.tell(future)
            else:
                self._one_after_the_other(future, callbacks)
        finally:
            self.depth -= 1

    def _one_after_the_other(self, future: Logged, callbacks: list[Callback]) -> None:
        later = self.later = deque([(future, callbacks)])
        try:
            while later:
                future, callbacks = later.popleft()
                for callback in callbacks:
                    callback.tell(future)
        finally:
            self.later = None


_DEEPEST = 20
nest: _Nest = _Nest()
Watcher = Waiter | Callback | Bridge
_Entry = Mark | Ending | Watcher


class _Settled(list[Any]):
    """A log that is closed: an entry comes too late to count, and nobody will look for it."""

    def append(self, entry: object) -> None:
        pass


SETTLED: list[Any] = _Settled((RUN, DONE))
"""The log of every future whose result has been told."""


class _Unopened(list[Any]):
    """The log of a future to which nothing has happened."""

    def append(self, entry: object) -> None:
        raise AssertionError("open the log before writing to it")


UNOPENED: list[Any] = _Unopened()
LATE: bool = sys.version_info < (3, 12)
"""Whether futures start with ``UNOPENED``."""
opening: dict[Logged, list[Any]] = {}
"""The logs that are being opened now. Atomic on it: ``setdefault`` and ``pop``, whose keys are compared by identity."""


def opened(future: Logged) -> list[Any]:
    """The log of a future, for writing.

    Of all who open it at once, ``setdefault`` (one atomic operation on one object) lets one win. A log leaves
    ``opening`` only after it was put into the future: so who comes after that finds it there, and leaves his own alone.
    Where the future was settled since he looked, it gets its list back, which says the same.
    """
    log = future._log
    if log is UNOPENED:
        log = opening.setdefault(future, [])
        if future._log is UNOPENED:
            future._log = log
        else:
            log = future._log
        opening.pop(future, None)
    return log


def outcome_in(log: tuple[Any, ...]) -> Mark | Ending | None:
    """The ending that counts in a log, or None."""
    running = False
    for entry in log:
        if entry is RUN:
            running = True
        elif entry is BACK:
            running = False
        elif entry is DONE or (type(entry) is Ending and (entry.forced or not running)):
            return entry
    return None
