"""Shared: a value that was put once where all workers of a backend can reach it, for many tasks.

A handle pickles as the call that finds the value on the other side; so it arrives as the value wherever it stands in what
travels: as an argument, inside of one, or in a closure. The other side keeps the value under the key of the handle, until
it is told to forget it.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .graces import graces

if TYPE_CHECKING:
    from .session import Sessions

T = TypeVar("T")
Key = tuple[int, int]
"""Of a shared value: the process that has shared it, and a number."""

_numbers = count(1)
_sessions: weakref.WeakSet[Sessions[Any]] = weakref.WeakSet()
"""Those that may have told somebody of a value. In a fork of this process, those of its own: the others may be locked by threads
that do not exist there."""
os.register_at_fork(after_in_child=_sessions.clear)


class Place(Protocol):
    """Where a shared value is."""

    def recipe(self, key: Key) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Returns the call that finds the value on the other side."""
        ...

    def release(self) -> None:
        """Gives the memory back. May block for a moment."""
        ...


class Shared(Generic[T]):
    """A value that ``share`` of a backend has put where its workers can reach it. Passed to a task, it arrives as the value.

    Each worker finds the value with the first task that is passed the handle, and keeps it. It is given back, here and in
    the workers, when the handle is closed or not referenced any more; a task that waits or runs refers to its arguments. A
    handle can be used in a ``with`` statement, which closes it. Thread-safe.
    """

    __slots__ = ("__weakref__", "_finalizer", "_key", "_place", "_what")

    def __init__(self, what: str, place: Place) -> None:
        self._what = what
        self._place = place
        self._key: Key = (os.getpid(), next(_numbers))
        self._finalizer = weakref.finalize(self, _forget_soon, self._key, place)
        self._finalizer.atexit = False  # the memory ends with this process

    @property
    def argument(self) -> T:
        """This handle, which a type checker takes for the value: what a task is passed where its parameter has a type."""
        return self  # type: ignore[return-value]

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return not self._finalizer.alive

    def close(self) -> None:
        """Gives the value back. A task that is passed the handle and has not begun ends with ``TravelError``. Harmless if
        repeated; may block for a moment."""
        if self._finalizer.detach() is not None:
            _forget(self._key, self._place)

    def __enter__(self) -> Shared[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        if self.closed:
            raise ValueError(f"{self!r} was closed")
        return self._place.recipe(self._key)

    def __copy__(self) -> Shared[T]:
        return self

    def __deepcopy__(self, memo: object) -> Shared[T]:
        return self

    def __repr__(self) -> str:
        return f"<Shared: {self._what}{', closed' if self.closed else ''}>"


CLOSED = "the shared value was closed"
"""What a worker says that comes too late for a value."""


def described(value: object) -> str:
    """Returns what is shared, in words."""
    return f"a {type(value).__qualname__}"


def notify_of_ends(sessions: Sessions[Any]) -> None:
    """Has these sessions told when a value is given back, as long as they exist."""
    _sessions.add(sessions)


def _forget_soon(key: Key, place: Place) -> None:
    # A finalizer runs in the middle of whatever it is, which may hold any lock.
    graces.soon(partial(_forget, key, place))


def _forget(key: Key, place: Place) -> None:
    try:
        # First: a worker that looks for the value after it was told finds nothing.
        place.release()
    finally:
        # ``copy`` of what is inside, which is one step: another thread may start a manager meanwhile.
        for known in _sessions.data.copy():  # type: ignore[attr-defined]
            sessions = known()
            if sessions is not None:
                sessions.forget(key)
