"""Cancellation, deadline and values of a task: what Go calls ``context.Context``.

How it works
------------
Contexts form a tree by their parents. Nothing is pushed down it: a child asks its ancestors, so a context that nobody
waits on costs one small object and is registered nowhere. Only ``wait`` and ``on_cancel`` leave a watcher with each
ancestor, and take it away again.

``_watchers`` is a log that decides every race by order of ``append`` (one atomic operation on one list, with and
without the GIL): a watcher that finds ``_Fired`` before itself acts at once, one that stands before ``_Fired`` is
called by the canceller. So there is no lock, and ``cancel`` may be called from a signal handler or a finalizer.
"""

from __future__ import annotations

import _thread
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .errors import TaskCancelled, TaskKilled, TaskTimeout

if TYPE_CHECKING:
    from asyncio import Future

Cause = BaseException | str | None
_MISSING = object()


class _Fired:
    """The moment of cancellation in a context's log of watchers."""

    __slots__ = ("cause",)

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


class _Watcher:
    """Calls ``fn`` once, whichever of its contexts is cancelled first."""

    __slots__ = ("_once", "fn", "ours")

    def __init__(self, fn: Callable[[], object], ours: bool) -> None:
        self.fn: Callable[[], object] = fn
        self.ours: bool = ours
        """A sleeper of ``wait``, which is woken before callbacks of the user's, who may take their time."""
        self._once = [None]

    def fire(self) -> None:
        try:
            self._once.pop()
        except IndexError:
            return
        self.fn()


class Context:
    """Tells a task whether it should still go on, until when, and with which values.

    ``Context()`` is a root; ``Context(parent)`` and ``parent.child()`` make a child, which is cancelled with its
    parent but can be cancelled alone. All methods are safe from any thread.
    """

    __slots__ = ("__weakref__", "_cause", "_parent", "_watchers")

    def __init__(self, parent: Context | None = None) -> None:
        self._parent = parent
        self._cause: BaseException | None = None
        self._watchers: list[_Fired | _Watcher] = []

    # -- deriving -------------------------------------------------------------------------------------------------

    def child(self) -> Context:
        """A context that is cancelled with this one, and can be cancelled alone."""
        return Context(self)

    def with_timeout(self, seconds: float) -> Context:
        """A child whose deadline is ``seconds`` from now (or the parent's, if that is earlier)."""
        return self.with_deadline(time.monotonic() + _seconds("timeout", seconds))

    def with_deadline(self, deadline: float) -> Context:
        """A child that counts as cancelled from ``deadline`` (``time.monotonic`` seconds) on."""
        return _DeadlineContext(self, _seconds("deadline", deadline))

    def with_value(self, key: object, value: Any) -> Context:
        """A child in which ``value(key)`` is ``value``; ``key`` must be hashable."""
        hash(key)
        return _ValueContext(self, key, value)

    # -- asking ---------------------------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """True once this context or an ancestor was cancelled or its deadline has passed."""
        node: Context | None = self
        while node is not None:
            if node._cause is not None or node._expired():
                return True
            node = node._parent
        return False

    @property
    def cause(self) -> BaseException | None:
        """Why it is cancelled: what was given to ``cancel``, or a ``TaskTimeout``; None while it is not."""
        for node in self._line():
            if node._cause is not None:
                return node._cause
            if node._expired():
                return TaskTimeout("the deadline has passed")
        return None

    @property
    def deadline(self) -> float | None:
        """The earliest deadline of this context and its ancestors (``time.monotonic`` seconds), or None."""
        deadlines = [d for node in self._line() if (d := node._own_deadline()) is not None]
        return min(deadlines, default=None)

    def remaining(self) -> float | None:
        """Seconds until the deadline, never negative; None if there is none."""
        deadline = self.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def value(self, key: object, default: Any = None) -> Any:
        """The value of ``key`` here or in the nearest ancestor that has it, else ``default``."""
        for node in self._line():
            found = node._lookup(key)
            if found is not _MISSING:
                return found
        return default

    def raise_if_cancelled(self) -> None:
        """Raises once cancelled: ``TaskTimeout`` past the deadline, ``TaskKilled`` when the manager was killed,
        else ``TaskCancelled``; ``__cause__`` is what was given to ``cancel``."""
        cause = self.cause
        if cause is None:
            return
        for kind in (TaskTimeout, TaskKilled):
            if isinstance(cause, kind):
                raise kind(str(cause)) from cause
        raise TaskCancelled(f"cancelled: {cause}") from cause

    # -- acting ---------------------------------------------------------------------------------------------------

    def cancel(self, cause: Cause = None) -> None:
        """Cancels this context and its descendants. The first call's ``cause`` stays. Never blocks, except for
        what ``on_cancel`` callbacks do."""
        if self._cause is not None:
            return
        error = cause if isinstance(cause, BaseException) else TaskCancelled(cause or "cancelled")
        mine = _Fired(error)
        self._watchers.append(mine)
        log = (*self._watchers,)
        first = next(entry for entry in log if isinstance(entry, _Fired))
        self._cause = first.cause
        if first is mine:
            watchers = [entry for entry in log[: log.index(mine)] if isinstance(entry, _Watcher)]
            _fire_all(sorted(watchers, key=lambda watcher: not watcher.ours))

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps until cancelled (True) or until ``timeout`` seconds passed (False): a sleep that can be cut
        short."""
        limits = [s for s in (timeout, self.remaining()) if s is not None]
        if self.cancelled:
            return True
        lock = _thread.allocate_lock()
        lock.acquire()
        forget = self._watch(_Watcher(lock.release, ours=True))
        try:
            lock.acquire(True, min(max(0.0, min(limits)), threading.TIMEOUT_MAX) if limits else -1)
        finally:
            forget()
        return self.cancelled

    async def wait_async(self, timeout: float | None = None) -> bool:
        """``wait`` for coroutines: sleeps in the running event loop, and leaves it free meanwhile."""
        import asyncio  # noqa: PLC0415  it takes longer to import than all of this library

        loop = asyncio.get_running_loop()
        if self.cancelled:
            return True
        woken: asyncio.Future[None] = loop.create_future()
        limits = [s for s in (timeout, self.remaining()) if s is not None]
        # Whoever cancels may be in any thread.
        forget = self._watch(_Watcher(lambda: loop.call_soon_threadsafe(_wake, woken), ours=True))
        try:
            await asyncio.wait([woken], timeout=max(0.0, min(limits)) if limits else None)
        finally:
            forget()
            woken.cancel()
        return self.cancelled

    def on_cancel(self, fn: Callable[[], object]) -> Callable[[], None]:
        """Calls ``fn()`` once when this context or an ancestor is cancelled, in the cancelling thread (at once, if
        it already is); the passing of a deadline does not call it. Returns a function that takes ``fn`` back."""
        return self._watch(_Watcher(fn, ours=False))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _watch(self, watcher: _Watcher) -> Callable[[], None]:
        nodes = list(self._line())
        for node in nodes:
            node._watchers.append(watcher)
            log = (*node._watchers,)
            fired = [entry for entry in log[: log.index(watcher)] if isinstance(entry, _Fired)]
            if fired:
                node._cause = fired[0].cause  # the canceller may not have come to this line yet
                watcher.fire()
                break

        def forget() -> None:
            for node in nodes:
                if watcher in node._watchers:
                    node._watchers.remove(watcher)

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
        """The values, outermost first."""
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
    """The ancestor of all tasks of a manager: the values of ``Config.ctx``, but not its cancellation or deadline,
    because the end of the parent context stops a manager gracefully (Go's ``context.WithoutCancel``)."""

    __slots__ = ("_values_of",)

    def __init__(self, values_of: Context | None) -> None:
        super().__init__()
        self._values_of = values_of

    def _lookup(self, key: object) -> Any:
        return _MISSING if self._values_of is None else self._values_of.value(key, _MISSING)


class BareContext(Context):
    """A ``Context`` that is made without a call of ``__init__``: who makes it sets the fields. For what runs once a task."""

    __slots__ = ()
    if TYPE_CHECKING:

        def __init__(self) -> None: ...
    else:
        __init__ = object.__init__


def _wake(woken: Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _fire_all(watchers: list[_Watcher]) -> None:
    """Calls every watcher even where one raises; the first error is raised at the end."""
    errors: list[BaseException] = []
    for watcher in watchers:
        try:
            watcher.fire()
        except BaseException as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _seconds(what: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{what} must be a number of seconds, got {value!r}")
    return float(value)
