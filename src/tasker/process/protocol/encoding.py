"""From a task to what is sent of it.

Most tasks are plain functions with numbers and strings as arguments: all of a message is pickled in one go, each function
once. Whatever else travels is pickled for itself: two tasks of one message must not share a list that they were both given,
nor may one that cannot be unpickled spoil the others.
"""

from __future__ import annotations

import dis
import pickle
import weakref
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from .kept import Packed, codes, holds_nothing, importable, snapshot_of
from .messages import EncodedTask
from .pickling import PLAIN, pack_named, pack_variables
from .wire import Parts

_SMALL = 4096
_LARGE = 16384
"""Bytes from which on a function that goes by value is kept pickled."""
_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]
_SHARED_ANYWAY = (ModuleType, BuiltinFunctionType, type)
"""A child has one of each, whatever messages they come in: cloudpickle keeps track of classes that went by value."""
_plain_types = PLAIN.issuperset


class TaskEncoder:
    """Encodes the tasks of one session."""

    __slots__ = ("_args_of", "_kept", "_known", "_large", "size")

    def __init__(self, args_of: Callable[[Any], tuple[Any, ...]]) -> None:
        self._args_of = args_of
        self._known: Any = None
        """The last function of this message that was found to go together with others."""
        self._large: weakref.ref[Any] | None = None
        """The last function that was large by itself."""
        self._kept: Packed | None = None
        self.size: int = 0
        """Bytes, about, of the last task."""

    def new_message(self) -> None:
        """What follows goes into another message: global variables may have been set since the last one."""
        self._known = None

    def encode(self, number: int, future: Any, alone: bool = False) -> EncodedTask:
        """Encodes a task; ``TravelError`` if it cannot be pickled. ``alone``: pickled for itself in any case."""
        task, args, variables = future._task, self._args_of(future), future._variables
        packed = None if variables is None else pack_variables(variables)
        if not alone and (task is self._known or self._goes_together(task)) and _plain_types(map(type, args)):
            self.size = 64
            for arg in args:
                if type(arg) is str or type(arg) is bytes:
                    self.size += len(arg)
            if self.size <= _SMALL:
                return (number, task, args, packed, None)
        return self._by_itself(number, future, packed, alone)

    def _by_itself(self, number: int, future: Any, packed: Any, alone: bool) -> EncodedTask:
        task, args = future._task, self._args_of(future)
        what = f"{future.label}: the task or its arguments"
        if self._large is not None and self._large() is task and not alone:
            task = self._packed_once(task, what)
        parts = pack_named((task, args, packed), what)
        self.size = sum(memoryview(part).nbytes for part in parts)
        if self.size > _LARGE and type(task) is FunctionType and _plain_types(map(type, args)):
            self._large = weakref.ref(task)  # it goes by value, and refers to much
        return (number, future.label, (), None, _in_message(parts))

    def _packed_once(self, task: Any, what: str) -> Any:
        """Returns what goes in place of a large function: its pickle, made again if anything has changed."""
        kept = self._kept
        if kept is None or not kept.is_of(task):
            # The copies first: of a change while it is pickled, the next comparison finds that something has changed.
            snapshot = snapshot_of(task)
            self._kept = kept = None if snapshot is None else Packed(task, snapshot, pack_named(task, what))
        return task if kept is None else kept

    def _goes_together(self, task: Any) -> bool:
        """Returns whether it has nothing of its own that two tasks could share."""
        if type(task) is not FunctionType or not _shares_nothing(task, set()):
            return False
        self._known = task
        return True


def _in_message(parts: Parts) -> list[Any]:
    """Returns the pickle of one task as it goes into that of its message."""
    first, *buffers = parts
    # Large ones beside it, like the buffers, so that they are not copied into it.
    return [pickle.PickleBuffer(first) if len(first) > _SMALL else first, *buffers]


def _shares_nothing(function: FunctionType, seen: set[FunctionType]) -> bool:
    """Returns whether the function, and whatever it calls, goes by its name (so it is the same for all tasks in the child
    anyway), or by value with nothing that could be changed."""
    if function in seen or importable(function):
        return True
    seen.add(function)
    if not holds_nothing(function):
        return False
    known = function.__globals__
    for code in codes(function.__code__):
        # A function that sets a global variable would see in the next task of the message what it set in this one.
        if _STORE_GLOBAL in code.co_code[::2]:
            return False
        for name in code.co_names:
            value = known.get(name)
            if type(value) is FunctionType:
                if not _shares_nothing(value, seen):
                    return False
            elif not isinstance(value, _SHARED_ANYWAY) and type(value) not in PLAIN:
                return False
    return True
