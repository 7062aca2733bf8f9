"""From a task to what is sent of it.

Most tasks are plain functions with numbers and strings as arguments: all of a message is pickled in one go, each function
once. Whatever else travels is pickled for itself: two tasks of one message must not share a list that they were both given,
nor may one that cannot be unpickled spoil the others.
"""

from __future__ import annotations

import dis
import pickle
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from .messages import EncodedTask
from .pickling import PLAIN, pack_named, pack_variables

_SMALL = 4096
_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]
_SHARED_ANYWAY = (ModuleType, BuiltinFunctionType, type)
"""A child has one of each, whatever messages they come in: cloudpickle keeps track of classes that went by value."""
_plain_types = PLAIN.issuperset


class TaskEncoder:
    """Encodes the tasks of one session."""

    __slots__ = ("_args_of", "_known", "size")

    def __init__(self, args_of: Callable[[Any], tuple[Any, ...]]) -> None:
        self._args_of = args_of
        self._known: Any = None
        """The last function of this message that was found to go together with others."""
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
        parts = pack_named((task, args, packed), f"{future.label}: the task or its arguments")
        self.size = sum(memoryview(part).nbytes for part in parts)
        first, *buffers = parts
        if memoryview(first).nbytes > _SMALL:
            # Beside the pickle of the message, like the buffers, so that it is not copied into it.
            first = pickle.PickleBuffer(first)
        else:
            first = bytes(first)
        return (number, future.label, (), None, [first, *map(pickle.PickleBuffer, buffers)])

    def _goes_together(self, task: Any) -> bool:
        """Returns whether it has nothing of its own that two tasks could share."""
        if type(task) is not FunctionType or not _shares_nothing(task, set()):
            return False
        self._known = task
        return True


def _shares_nothing(function: FunctionType, seen: set[FunctionType]) -> bool:
    """Returns whether the function, and whatever it calls, goes by its name (so it is the same for all tasks in the child
    anyway), or by value with nothing that could be changed."""
    if function in seen or _importable(function):
        return True
    seen.add(function)
    if function.__closure__ is not None or function.__kwdefaults__ or function.__dict__:
        return False
    if not _plain_types(map(type, function.__defaults__ or ())):
        return False
    known = function.__globals__
    for code in _codes(function.__code__):
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


def _importable(function: FunctionType) -> bool:
    if function.__module__ == "__main__":
        return False
    return getattr(sys.modules.get(function.__module__), function.__qualname__, None) is function


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yields the code of a function, and that of the functions that are defined in it."""
    yield code
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _codes(constant)
