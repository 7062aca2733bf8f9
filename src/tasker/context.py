"""Cancellation, deadline and values of a task: what Go calls ``context.Context``.

How it works
------------
Contexts form a tree by their parents. Nothing is pushed down it: a child asks its ancestors, so a context without a
waiter costs one small object and is registered nowhere. Only ``wait`` and ``on_cancel`` leave a watcher with each
ancestor, and remove it again.

``_watchers`` is a log. Appending to it is one atomic operation on one list, with and without the GIL, so the order in
the log decides the race between a cancellation and a watcher, and each watcher is called by exactly one side. This
takes no lock, so ``cancel`` may be called from a signal handler or a finalizer, whatever the thread that it interrupts
is doing.
"""

from __future__ import annotations

import _thread
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import TaskCancelled, TaskKilled, TaskTimeout
from .watchers import Fired, Watcher, fire_all, first_fired, raise_first, take_out
from .worker_info import WorkerInfo

if TYPE_CHECKING:
    from asyncio import Future

Cause = BaseException | str | None
_MISSING = object()


def nothing_due() -> None:
    """What ``Context._strike`` returns where there is no callback to call. Compared by identity."""


class Context:
    """Cancellation, deadline and values of a task, and of everything that the task starts.

    ``Context()`` is a root; ``Context(parent)`` and ``parent.child()`` make a child, which is cancelled with its parent
    but can be cancelled alone. All methods can be called from any thread. Cancellation is cooperative: a task ends when
    it looks at its context (``cancelled``, ``raise_if_cancelled``, ``wait``) and returns or raises.
    """

    __slots__ = ("__weakref__", "_cause", "_parent", "_watchers")
    _forgets_callbacks: ClassVar[bool] = False
    """Whether callbacks of its descendants are not registered here."""

    def __init__(self, parent: Context | None = None) -> None:
        self._parent = parent
        self._cause: BaseException | None = None
        self._watchers: list[Fired | Watcher] = []

    # -- deriving -------------------------------------------------------------------------------------------------

    def child(self) -> Context:
        """Returns a context that is cancelled with this one, and can be cancelled alone."""
        return Context(self)

    def with_timeout(self, seconds: float) -> Context:
        """Returns a child whose deadline is ``seconds`` from now, or the parent's, if that is earlier. Raises
        ``ValueError`` if it is not a number."""
        return self.with_deadline(time.monotonic() + _seconds("timeout", seconds))

    def with_deadline(self, deadline: float) -> Context:
        """Returns a child that is cancelled from ``deadline`` (``time.monotonic`` seconds) on, or from the parent's
        deadline, if that is earlier. Raises ``ValueError`` if it is not a number."""
        return _DeadlineContext(self, _seconds("deadline", deadline))

    def with_value(self, key: object, value: Any) -> Context:
        """Returns a child in which ``value(key)`` is ``value``. Raises ``TypeError`` if ``key`` is not hashable."""
        hash(key)  # only for the TypeError: the lookup itself compares
        return _ValueContext(self, key, value)

    # -- asking ---------------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether this context or an ancestor was cancelled, or the deadline of one has passed. Never becomes False
        again."""
        node: Context | None = self
        while node is not None:
            if node._cause is not None or node._expired():
                return True
            node = node._parent
        return False

    @property
    def cause(self) -> BaseException | None:
        """Why it is cancelled: the error passed to ``cancel`` (a ``TaskCancelled`` made of a text), or a
        ``TaskTimeout``; None while it is not cancelled."""
        for node in self._line():
            if node._cause is not None:
                return node._cause
            if node._expired():
                return node._cause or TaskTimeout("the deadline has passed")
        return None

    @property
    def deadline(self) -> float | None:
        """The earliest deadline of this context and its ancestors, in ``time.monotonic`` seconds; None if there is
        none."""
        deadlines = [d for node in self._line() if (d := node._own_deadline()) is not None]
        return min(deadlines, default=None)

    def remaining(self) -> float | None:
        """Returns the seconds until the deadline, never negative; None if there is no deadline."""
        deadline = self.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def value(self, key: object, default: Any = None) -> Any:
        """Returns the value of ``key`` in this context or its nearest ancestor that has one, otherwise ``default``."""
        for node in self._line():
            found = node._lookup(key)
            if found is not _MISSING:
                return found
        return default

    @property
    def worker(self) -> WorkerInfo | None:
        """The worker that runs the task; None where no worker does, as in ``run_task``."""
        return self.value(WorkerInfo)  # type: ignore[no-any-return]

    def raise_if_cancelled(self) -> None:
        """Raises if the context is cancelled: ``TaskTimeout`` if the deadline has passed, ``TaskKilled`` if the manager
        was killed, otherwise ``TaskCancelled``. ``__cause__`` is the error passed to ``cancel``."""
        cause = self.cause
        if cause is None:
            return
        for kind in (TaskTimeout, TaskKilled):
            if isinstance(cause, kind):
                raise kind(str(cause)) from cause
        raise TaskCancelled(f"cancelled: {cause}") from cause

    # -- acting ---------------------------------------------------------------------------------------------------

    def cancel(self, cause: Cause = None) -> None:
        """Cancels this context and its descendants; ``cause`` is an error or a text. Only the first call has an effect.

        Calls the ``on_cancel`` callbacks in this thread, and raises the first error that one of them raises once all
        were called; apart from them it never blocks. May be called from a signal handler or a finalizer.
        """
        self._strike(cause)()

    def _strike(self, cause: Cause) -> Callable[[], None]:
        """Cancels, and wakes those that ``wait``; returns what calls the callbacks, or ``nothing_due``. One that is added from
        here on is called by the thread that adds it."""
        if self._cause is not None:
            return nothing_due
        error = cause if isinstance(cause, BaseException) else TaskCancelled(cause or "cancelled")
        mine = Fired(error)
        # First the insertion, then the copy: a watcher that the copy lacks was appended after the insertion, finds it at
        # the head, and fires by itself (`_watch`). One that does both fires once. At the head, so that a watcher finds
        # it without a search; of several cancellers at the same time, the innermost came first and wins: all of them
        # set its cause, and it alone fires the watchers.
        self._watchers.insert(0, mine)
        log = (*self._watchers,)
        first = first_fired(log)
        self._cause = first.cause
        if first is not mine:
            return nothing_due
        watchers = [entry for entry in log if isinstance(entry, Watcher)]
        errors = fire_all([watcher for watcher in watchers if watcher.ours])
        callbacks = [watcher for watcher in watchers if not watcher.ours]
        if not (errors or callbacks):
            return nothing_due
        return lambda: raise_first([*errors, *fire_all(callbacks)])

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps until the context is cancelled, its deadline passes or ``timeout`` seconds have passed (None: no
        limit); returns whether it is cancelled. It blocks the thread: in coroutines, use ``wait_async``."""
        longest = self._longest(timeout)
        if self.cancelled:
            return True
        # A bare lock, not an Event: an Event takes a lock to be set, and the canceller may be a signal handler that
        # interrupts the thread which holds it.
        lock = _thread.allocate_lock()
        lock.acquire()
        forget = self._watch(Watcher(lock.release, ours=True))
        try:
            lock.acquire(True, -1 if longest is None else min(longest, threading.TIMEOUT_MAX))
        finally:
            forget()
        return self.cancelled

    async def wait_async(self, timeout: float | None = None) -> bool:
        """As ``wait``, for coroutines: the event loop runs other tasks meanwhile."""
        import asyncio  # noqa: PLC0415  it takes longer to import than all of this library

        loop = asyncio.get_running_loop()
        if self.cancelled:
            return True
        woken: asyncio.Future[None] = loop.create_future()
        until = None if timeout is None else time.monotonic() + timeout
        # Through the loop, because the canceller may run in any thread.
        forget = self._watch(Watcher(lambda: loop.call_soon_threadsafe(_wake, woken), ours=True))
        left = timeout
        try:
            # Again if it was too early: the timers of some loops have whole milliseconds.
            while True:
                await asyncio.wait([woken], timeout=self._longest(left))
                left = None if until is None else until - time.monotonic()
                if self.cancelled or not (left is None or left > 0):
                    return self.cancelled
        finally:
            forget()
            woken.cancel()

    def _longest(self, timeout: float | None) -> float | None:
        """Returns how many seconds a wait may last; None for any time."""
        limits = [seconds for seconds in (timeout, self.remaining()) if seconds is not None]
        return max(0.0, min(limits)) if limits else None

    def on_cancel(self, fn: Callable[[], object]) -> Callable[[], None]:
        """Calls ``fn()`` once, when this context or an ancestor is cancelled, in the thread that cancels it; at once,
        in this thread, if it is cancelled already. A deadline that passes does not call it.

        Returns a function that removes ``fn`` again. An error that ``fn`` raises is raised by ``cancel``, or by this
        call; when a manager cancels, it is logged.
        """
        return self._watch(Watcher(fn, ours=False))

    def progress(self, done: float, total: float | None = None) -> None:
        """Reports how far the task is: ``done`` of ``total``, in any unit. ``total``: None where it is not known.
        ``manager.workers()``, the live view and the dashboard show the last report, until the attempt ends.

        It costs about a microsecond, and nothing where it is not called. A child process and an actor of Ray pass on at most
        four reports a second. It does nothing where no worker runs the task, as in ``run_task``. Raises ``ValueError`` if
        one of the numbers is not finite. May be called from any thread.
        """
        _finite("done", done)
        if total is not None:
            _finite("total", total)
        for node in self._line():
            if node._take_progress(done, total):
                break

    # -- inside ---------------------------------------------------------------------------------------------------

    def _take_progress(self, done: float, total: float | None) -> bool:
        """Returns whether this is what progress is told to."""
        return False

    def _watch(self, watcher: Watcher) -> Callable[[], None]:
        nodes: list[Context] = []
        for node in self._line():
            if node._forgets_callbacks and not watcher.ours:
                # Whatever cancels it then cancels those of its descendants that still run, see `RootContext`: one that is
                # cancelled from here on finds the watcher, and one that was passed over finds the cause set.
                if node._cause is not None:
                    watcher.fire()
                    break
                continue
            # First the append, then the look, as in `cancel`: if the cancellation is not there yet, its canceller will
            # see the watcher.
            node._watchers.append(watcher)
            nodes.append(node)
            if type(node._watchers[0]) is Fired:
                # The canceller may not have set it yet, and `fn` must find the context cancelled.
                node._cause = first_fired((*node._watchers,)).cause
                watcher.fire()
                break

        def forget() -> None:
            for node in nodes:
                take_out(node._watchers, watcher)

        return forget

    def _line(self) -> Iterator[Context]:
        node: Context | None = self
        while node is not None:
            yield node
            node = node._parent

    def _own_deadline(self) -> float | None:
        return None

    def _expired(self) -> bool:
        return False

    def _lookup(self, key: object) -> Any:
        return _MISSING

    def _items(self) -> list[tuple[Any, Any]]:
        """Returns the (key, value) pairs, outermost first."""
        return [(node._key, node._value) for node in self._line() if isinstance(node, _ValueContext)][::-1]

    def __repr__(self) -> str:
        state = f"cancelled: {self.cause}" if self.cancelled else "live"
        return f"<{type(self).__name__.lstrip('_').removeprefix('Bare')} {state}>"


class _DeadlineContext(Context):
    __slots__ = ("_deadline",)

    def __init__(self, parent: Context, deadline: float) -> None:
        super().__init__(parent)
        self._deadline = deadline

    def _own_deadline(self) -> float:
        return self._deadline

    def _expired(self) -> bool:
        return time.monotonic() >= self._deadline


class _ValueContext(Context):
    __slots__ = ("_key", "_value")

    def __init__(self, parent: Context, key: object, value: Any) -> None:
        super().__init__(parent)
        self._key = key
        self._value = value

    def _lookup(self, key: object) -> Any:
        return self._value if self._key == key else _MISSING


class RootContext(Context):
    """The ancestor of all task contexts of a manager: it has the values of ``Config.ctx``, but not its cancellation or
    deadline, because the end of that context stops a manager gracefully (Go's ``context.WithoutCancel``).

    A manager's root lives as long as the manager, so ``on_cancel`` callbacks of tasks are not registered here: they would
    stay after their task, and be called by a kill long after it. A manager that cancels its root cancels the contexts
    of the tasks that run afterwards. Sleepers of ``wait`` are registered: they leave when they wake up.
    """

    __slots__ = ("_values_of",)
    _forgets_callbacks = True

    def __init__(self, values_of: Context | None) -> None:
        super().__init__()
        self._values_of = values_of

    def _lookup(self, key: object) -> Any:
        if self._values_of is None or key is WorkerInfo:  # the worker of a task's context is another manager's
            return _MISSING
        return self._values_of.value(key, _MISSING)


class RunTaskRoot(RootContext):
    """The same for the contexts of ``run_task``, which nothing keeps a list of: here callbacks are registered, and
    ``release`` takes them out when the task has ended."""

    __slots__ = ()
    _forgets_callbacks = False

    def release(self, context: Context) -> None:
        """Takes out what was registered through a context whose task has ended."""
        for watcher in (*context._watchers,):
            take_out(self._watchers, watcher)


class BareContext(Context):
    """A ``Context`` made without a call of ``__init__``; its maker sets the fields. For the contexts of tasks, of which
    there is one for each attempt."""

    __slots__ = ()
    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__


def _wake(woken: Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _seconds(what: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{what} must be a number of seconds, got {value!r}")
    return float(value)


def _finite(what: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, got {value!r}")
