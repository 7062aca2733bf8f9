"""The log of a future: one list whose order decides every race about a task, and the watchers of its outcome.

Which thread may start a task, which one may end it and which one notifies a watcher is decided by appending to one
list, ``_log``; **the order of the entries is the truth**. ``list.append`` is one atomic operation on one object, with
the GIL and without it (there under the list's own lock), so any two threads agree on the order. No lock is taken; so
cancelling from a signal handler, a finalizer or a callback cannot deadlock. The entries:

``RUN``      A worker starts an attempt. Counts unless an ending precedes it.
``BACK``     The attempt ended without an outcome; the task waits for its next attempt. Then its ``RUN`` and
             this ``BACK`` are taken out, unless the task was cancelled.
``DONE``     The worker that ran the task has stored the result in ``_value``.
``Ending``   An error or a cancellation. A *forced* one counts wherever it comes first; any other (``cancel``) counts
             only while no attempt runs.
a watcher    Something to be notified of the outcome: the lock of a waiting thread, a callback, the Condition of
             ``concurrent.futures``.

The first ending that counts is the outcome; a thread that appends a later one finds the first by reading the log, and
drops its own. A watcher that precedes the outcome is notified by the thread that appended the outcome; a thread that
appends a watcher behind the outcome finds it, and notifies the watcher itself. So each watcher is notified exactly
once, and there is no window between looking and registering.

Rejected: a lock in each future, because making and taking one costs 2.5 times as much, and a finalizer that cancels
while its own thread holds the lock would hang. Flags that are written and then checked on both sides, because that
needs sequentially consistent stores, which Python does not promise without the GIL; besides, both sides can see each
other, and then a waiter of ``concurrent.futures.wait`` is counted twice.
"""

from __future__ import annotations

import _thread
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from tasker.core.outcomes import carried

PENDING, FINISHED, CANCELLED, FAILED = 0, 1, 2, 3
"""The kinds of outcome: ``PENDING`` is none yet, ``FINISHED`` a result, ``FAILED`` an error."""


Mark = str
"""An entry that carries nothing but its position."""

# Strings: every worker refers to these constants all the time, and CPython does not count references to strings that
# are constants. Without the GIL, workers would contend for the reference counts.
RUN, BACK, DONE = "RUN", "BACK", "DONE"


class Logged(Protocol):
    """The part of its future that a log uses."""

    _log: list[Any]
    _kind: int
    _value: Any
    _error: BaseException | None

    @property
    def _owner(self) -> Owner: ...


class Ending:
    """An outcome other than a result."""

    __slots__ = ("cancelled", "error", "forced", "refused", "uncounted", "unfinished")

    def __init__(
        self, error: BaseException, *, cancelled: bool = False, forced: bool = False, refused: bool = False
    ) -> None:
        self.error: BaseException = carried(error)
        self.cancelled: bool = cancelled
        self.forced: bool = forced
        self.refused: bool = refused
        """Whether its submitter took it back, as the door was closed meanwhile: it was never accepted."""
        self.uncounted: bool = True
        """Deleted by the thread that counts it: of several threads, one can."""
        self.unfinished: bool = False
        """Whether the thread that appended it was interrupted before it had done all that follows (``completion``)."""


class Owner(Protocol):
    """The part of its manager that a future uses. Thread-safe."""

    def ended_in_queue(self, future: Any, ending: Ending) -> None:
        """Counts a task that ended while no attempt ran, unless it was counted. Called before the watchers are
        notified."""

    def left_queue(self, future: Any) -> None:
        """Takes a task that ended while no attempt ran out of the queue. Called after the watchers were notified."""

    def soon(self, call: Callable[[], None]) -> None:
        """Has the manager's own thread make a call. May be called from finalizers and signal handlers."""

    def recall(self, future: Any) -> None:
        """Puts the task back into the queue if it was sent ahead to another process and has not begun there."""

    def callback_fault(self, future: Any, error: BaseException) -> None:
        """Logs and counts an error that a callback raised."""

    def callback(self, future: Any, fn: Callable[[Any], object]) -> Callback:
        """Makes the watcher that calls ``fn``."""
        ...

    def enter_wait(self, future: Any, waiter: Waiter) -> object:
        """Announces a wait of this thread without a limit, and returns a ticket for ``leave_wait``. If the wait would
        never end, ``waiter`` is woken with the error, or it is raised at once."""

    def leave_wait(self, ticket: object) -> None:
        """Withdraws the announcement."""


class Waiter:
    """Wakes a thread that sleeps until the outcome is known."""

    __slots__ = ("acquire", "error", "lock")
    first: bool = True
    """Whether it is notified before the callbacks, which may take long."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        """What the thread has to raise, unless there is an outcome."""
        # A bare lock, not an Event: an Event takes a lock to be set, and the outcome may come from a signal handler
        # that interrupts the thread which holds that lock.
        self.lock: _thread.LockType = _thread.allocate_lock()
        self.acquire: Callable[..., bool] = self.lock.acquire
        self.acquire()

    def wake(self) -> None:
        """Wakes the thread. Harmless if repeated."""
        try:
            self.lock.release()
        except RuntimeError:  # the outcome and the search for deadlocks may both wake it
            pass

    def notify(self, future: Logged) -> None:
        self.wake()


class OnSuccess:
    """Makes a call of the library's own if the outcome is a result. It may be made twice."""

    __slots__ = ("call",)
    first: bool = True

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] = call

    def notify(self, future: Logged) -> None:
        if future._kind == FINISHED:
            self.call()


class Callback:
    """Calls a function of the user's with the future."""

    __slots__ = ("due", "fn")
    first: bool = False
    takes_outcome: bool = False
    """Whether the function takes the result and the error in place of the future."""

    def __init__(self, fn: Callable[..., object]) -> None:
        self.fn: Callable[..., object] = fn
        self.due: bool = True

    def notify(self, future: Logged) -> None:
        try:
            del self.due  # of several threads, one can
        except AttributeError:
            return
        try:
            # In this frame, for the question below.
            if not self.takes_outcome:
                self.fn(future)
            elif future._error is None:
                self.fn(future._value, None)
            else:
                self.fn(None, future._error)
        except BaseException as error:  # even a SystemExit: it must not end the worker that brings the outcome
            if type(error) is RecursionError and error.__traceback__.tb_next is None:  # type: ignore[union-attr]
                self.due = True  # the stack of this thread is used up: the call has not begun
                raise
            future._owner.callback_fault(future, error)


class OutcomeCallback(Callback):
    """Calls a ``callback`` of ``submit``, with the result and the error."""

    __slots__ = ()
    takes_outcome: bool = True


class Bridge:
    """What ``concurrent.futures.wait`` and ``as_completed`` take for the condition and for the waiters of a future.

    They acquire the condition, read ``_state``, append a waiter to ``_waiters``, release the condition, and rely on nothing
    changing meanwhile. But an outcome gets into the log without the condition, and Ctrl-C may strike before they release
    it. So there is no lock. A thread that has acquired goes on to see the state that it has seen then, until it releases;
    and a waiter that was appended too late for the thread that brings the outcome is notified by the thread that appends it.
    """

    __slots__ = ("__weakref__", "_due", "_future", "_holds")
    first: bool = True

    def __init__(self, future: Logged) -> None:
        self._future = weakref.ref(
            future
        )  # weak: a future with a bridge must not have to wait for the garbage collector
        self._due: dict[Any, None] = {}
        """The waiters to notify. Who takes one out, which is one step, notifies it."""
        self._holds: dict[int, list[bool]] = {}
        """For each thread that has acquired the condition, and as often, whether it has found an outcome then."""

    # -- the condition --------------------------------------------------------------------------------------------

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Fixes what this thread sees of the future. Never blocks."""
        holds = self._holds.setdefault(threading.get_ident(), [])
        holds.append(holds[0] if holds else self._has_outcome())
        return True

    def release(self) -> None:
        """Withdraws one ``acquire``."""
        # Ctrl-C may have kept a thread from this, which then finds every outcome pending; as its waiters are notified all
        # the same, that does no harm.
        holds = self._holds.get(threading.get_ident())
        if not holds:
            raise RuntimeError("cannot release what this thread has not acquired")
        holds.pop()
        if not holds:
            self._holds.pop(threading.get_ident(), None)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()

    def seen(self) -> bool | None:
        """Returns whether there was an outcome when this thread acquired the condition; None if it has not."""
        holds = self._holds.get(threading.get_ident())
        return holds[0] if holds else None

    def _has_outcome(self) -> bool:
        future: Any = self._future()
        return future is not None and future._has_outcome()

    # -- the waiters ----------------------------------------------------------------------------------------------

    def append(self, waiter: Any) -> None:
        """Adds a waiter of ``concurrent.futures``; notifies it at once if there is an outcome that its thread has not
        seen."""
        # It imports what `import tasker` has no need of yet; with an engine there, it is imported.
        from .standard_waits import prepare  # noqa: PLC0415

        prepare(waiter)
        if not self.seen():
            # First this, then the look: if the outcome is not there yet, the thread that brings it will see the waiter.
            self._due[waiter] = None
            if self._has_outcome():
                self._notify(self._future(), waiter)

    def remove(self, waiter: Any) -> None:
        """Removes a waiter."""
        self._due.pop(waiter, None)

    def notify(self, future: Logged) -> None:
        for waiter in self._due.copy():
            self._notify(future, waiter)

    def _notify(self, future: Any, waiter: Any) -> None:
        if self._due.pop(waiter, self) is self:  # another thread has taken it
            return
        if future._kind == CANCELLED:
            waiter.add_cancelled(future)
        elif future._error is not None:
            waiter.add_exception(future)
        else:
            waiter.add_result(future)


Watcher = Waiter | OnSuccess | Callback | Bridge
_Entry = Mark | Ending | Watcher


class _Settled(list[Any]):
    """A closed log: an entry comes too late to count, and is never looked for."""

    def append(self, entry: object) -> None:
        pass


# Replaces the log of every future whose result all watchers were notified of: a constant that says the same saves
# memory and work of the garbage collector for each future that is kept. The order of entries does not suffer, because
# each step reads ``_log`` once: a thread that still has the list finds DONE in it, before the entry that it appends; a
# thread that comes later finds DONE in the constant.
SETTLED: list[Any] = _Settled((RUN, DONE))
"""The log of every future whose result was delivered."""


class _Unopened(list[Any]):
    """The log of a future to which nothing has happened. ``opened`` replaces it before the first entry."""

    def append(self, entry: object) -> None:
        raise AssertionError("open the log before writing to it")


# On CPython 3.11, a list for each queued task would be half of what the garbage collector looks at in a deep queue, and
# the collector is half of the cost of ``submit``. So the list is made at the first entry. Where the collector is no
# such burden, it is made at once. Only the speed depends on it (docs/decisions/0014).
UNOPENED: list[Any] = _Unopened()
LATE: bool = sys.version_info < (3, 12)
"""Whether futures start with ``UNOPENED``."""
opening: dict[Logged, list[Any]] = {}
"""The logs that are being opened now. Its keys are compared by identity, so ``setdefault`` and ``pop`` are atomic."""


def opened(future: Logged) -> list[Any]:
    """Returns the log of a future for writing; makes the list if there is none. All threads get the same list."""
    log = future._log
    if log is UNOPENED:
        # Of all threads that open the log at the same time, one thread's list wins.
        log = opening.setdefault(future, [])
        # A list leaves ``opening`` only after it was stored in the future. So a thread whose ``setdefault`` follows
        # that ``pop``, and adds a second list, finds the first one here and drops its own.
        if future._log is UNOPENED:
            # If the future was settled since the last line, it gets its list back, which says the same.
            future._log = log
        else:
            log = future._log
        opening.pop(future, None)
    return log


def outcome_in(log: tuple[Any, ...]) -> Mark | Ending | None:
    """Returns the ending that counts in a log, or None."""
    running = False
    for entry in log:
        if entry is RUN:
            running = True
        elif entry is BACK:
            running = False
        elif entry is DONE or (type(entry) is Ending and (entry.forced or not running)):
            return entry
    return None
