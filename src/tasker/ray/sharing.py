"""Shared values in the object store of Ray.

A reference of Ray's that travelled inside of a pickle of ours would keep its object for ever, since Ray could not count it. So
what is pickled is the key of the value, and the references go beside it, in the call; the actor has the values ready
before it reads the task.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from tasker.process.protocol.pickling import pack_named
from tasker.remote.sharing import CLOSED, Key, Shared, described

from .messages import message, opened

T = TypeVar("T")
_MOST_GONE = 1000
References = Sequence[tuple[Key, Any]]
"""Keys, and the references of Ray's that belong to them."""


class _Pickling(threading.local):
    references: list[tuple[Key, Any]] | None = None
    told: set[Key]


_pickling = _Pickling()


@contextmanager
def referring(told: set[Key]) -> Iterator[list[tuple[Key, Any]]]:
    """Collects the references of the handles that are pickled in the block, in this thread. ``told`` gets their keys, each before
    its reference is read: a handle drops that first when it is closed, and then whoever was told is told of the end."""
    references: list[tuple[Key, Any]] = []
    before = _pickling.references
    _pickling.references, _pickling.told = references, told
    try:
        yield references
    finally:
        _pickling.references = before


# -- in this process ------------------------------------------------------------------------------------------------------


class _Object:
    """Implements ``Place``."""

    def __init__(self, reference: Any, disconnect: Callable[[], object]) -> None:
        self._reference = reference
        self._disconnect = disconnect

    def recipe(self, key: Key) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """See ``Place``."""
        references = _pickling.references
        if references is None:
            raise TypeError("a handle of RayBackend.share can be passed to tasks of managers with that backend alone")
        _pickling.told.add(key)
        reference = self._reference
        if reference is None:
            raise ValueError(CLOSED)
        references.append((key, reference))
        return value_of, (key,)

    def release(self) -> None:
        """See ``Place``. Once."""
        self._reference = None
        self._disconnect()


def share(value: T, connect: Callable[[], object], disconnect: Callable[[], object]) -> Shared[T]:
    """See ``RayBackend.share``."""
    import ray  # noqa: PLC0415  takes a third of a second

    what = described(value)
    packed = message(pack_named(value, what))
    connect()
    try:
        return Shared(what, _Object(ray.put(packed), disconnect))
    except BaseException:
        disconnect()
        raise


# -- in an actor ----------------------------------------------------------------------------------------------------------


class Values:
    """The shared values that an actor keeps."""

    def __init__(self) -> None:
        self._values: dict[Key, Any] = {}
        self._gone: dict[Key, None] = {}
        """The last ones that were closed: a call that refers to one may be on its way."""
        self._lock = threading.Lock()

    def take(self, references: References) -> None:
        """Makes the values ready. ``LookupError`` for one that was closed. Waits until they are on this node."""
        import ray  # noqa: PLC0415  where it is loaded anyway

        for key, reference in references:
            if key in self._values:
                continue
            value = opened(ray.get(reference))
            with self._lock:
                if key in self._gone:
                    raise LookupError(CLOSED)
                self._values[key] = value

    def of(self, key: Key) -> Any:
        """Returns a value that is ready."""
        return self._values[key]

    def forget(self, key: Key) -> None:
        """Keeps a value no longer. From any thread."""
        with self._lock:
            self._gone[key] = None
            if len(self._gone) > _MOST_GONE:
                del self._gone[next(iter(self._gone))]
            self._values.pop(key, None)


values: Values = Values()


def value_of(key: Key) -> Any:
    """Returns a value that is ready; in place of a handle."""
    return values.of(key)
