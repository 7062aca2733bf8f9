"""Functions that go by value and are large, because of what their global variables hold: pickled once, and made again once, as
long as nothing has changed that they refer to.

To find that out, each side keeps shallow copies of the lists, sets and dicts, and compares them before each task. That takes a
tenth of the time of pickling. What cannot be compared in that way (an object, a list of lists) is pickled for each task.

The comparison is by ``==``: that an item was replaced by an equal one of another type is not found.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from itertools import count
from pickle import PickleBuffer
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from .pickling import PLAIN, unpack
from .wire import Parts

_MISSING: Any = object()
_COPIES: dict[type, Callable[[Any], Any]] = {list: list, set: set, dict: dict}
_plain_types = PLAIN.issuperset


class FunctionSnapshot:
    """What a function refers to, at one moment."""

    __slots__ = ("_held", "_sizes", "_whole")

    def __init__(self, *, whole: bool) -> None:
        self._held: list[tuple[dict[str, Any], str, Any, Any]] = []
        """Where it is found, under which name, what was there, and a copy of what can change in place."""
        self._sizes: list[tuple[dict[str, Any], int]] = []
        self._whole = whole

    def unchanged(self) -> bool:
        """Returns whether all is as it was."""
        try:
            for home, name, value, copy in self._held:
                if home.get(name, _MISSING) is not value or (copy is not None and value != copy):
                    return False
        except RuntimeError:  # another thread changes it now
            return False
        return all(len(home) == size for home, size in self._sizes)

    def add(self, function: FunctionType, seen: set[FunctionType]) -> bool:
        """Notes what the function refers to. False if that cannot be compared."""
        if function in seen or importable(function):
            return True
        seen.add(function)
        if not holds_nothing(function):
            return False
        known = function.__globals__
        if self._whole:
            self._sizes.append((known, len(known)))
        names = {name for code in codes(function.__code__) for name in code.co_names}
        return all(self._note(known, name, seen) for name in names)

    def _note(self, known: dict[str, Any], name: str, seen: set[FunctionType]) -> bool:
        value, copy = known.get(name, _MISSING), None
        kind = type(value)
        if kind is FunctionType:
            if not self.add(value, seen):
                return False
        elif kind in _COPIES:
            items = (*value, *value.values()) if kind is dict else value
            if not _plain_types(set(map(type, items))):
                return False
            copy = _COPIES[kind](value)
        elif kind is tuple or kind is frozenset:
            if not _plain_types(map(type, value)):
                return False
        elif not (value is _MISSING or kind in PLAIN or _is_shared(value)):
            return False
        self._held.append((known, name, value, copy))
        return True


def snapshot_of(function: FunctionType, *, whole: bool = False) -> FunctionSnapshot | None:
    """Returns what a function refers to now; None if that cannot be compared later. ``whole``: its global variables are its
    own, so that also a new one is a change."""
    snapshot = FunctionSnapshot(whole=whole)
    try:
        return snapshot if snapshot.add(function, set()) else None
    except RuntimeError:  # another thread changes it now
        return None


def holds_nothing(function: FunctionType) -> bool:
    """Returns whether it has nothing beside its code but defaults that neither change nor hold anything."""
    if function.__closure__ is not None or function.__kwdefaults__ or function.__dict__:
        return False
    return _plain_types(map(type, function.__defaults__ or ()))


def importable(function: FunctionType | type[Any]) -> bool:
    """Returns whether the function or class goes by its name."""
    if function.__module__ == "__main__":
        return False
    return getattr(sys.modules.get(function.__module__), function.__qualname__, None) is function


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yields the code of a function, and that of the functions that are defined in it."""
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from codes(constant)


def _is_shared(value: Any) -> bool:
    """Returns whether each process has one of it anyway, under the same name."""
    if isinstance(value, type):
        return importable(value)
    return isinstance(value, ModuleType | BuiltinFunctionType)


# -- on the parent's side -------------------------------------------------------------------------------------------------

_numbers = count(1)


class Packed:
    """A function that was pickled by itself. Goes in its place."""

    __slots__ = ("_function", "_number", "_parts", "_snapshot")

    def __init__(self, function: FunctionType, snapshot: FunctionSnapshot, parts: Parts) -> None:
        self._function = weakref.ref(function)
        self._snapshot = snapshot
        self._number = next(_numbers)
        self._parts = parts

    def is_of(self, function: Any) -> bool:
        """Returns whether it is what the function would be pickled to now."""
        return self._function() is function and self._snapshot.unchanged()

    def __reduce__(self) -> Any:
        return _unpacked, (self._number, [*map(PickleBuffer, self._parts)])


# -- on the child's side --------------------------------------------------------------------------------------------------

_last: tuple[int, Any, FunctionSnapshot | None] = (0, None, None)


def _unpacked(number: int, parts: Parts) -> Any:
    """Returns the function: the one that the last task had, if it left everything as it was."""
    global _last  # noqa: PLW0603
    last, function, snapshot = _last
    if number == last and snapshot is not None and snapshot.unchanged():
        return function
    function = unpack(parts)
    _last = number, function, snapshot_of(function, whole=True)
    return function
