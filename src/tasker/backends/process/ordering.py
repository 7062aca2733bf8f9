"""From a task to what is sent of it.

Most tasks are plain functions with numbers and strings as arguments: all of a message is pickled in one go, each function
once. Whatever else travels pickled for itself: two tasks of one message must not share a list that they were both given,
nor may one that can't be unpickled spoil the others.
"""

from __future__ import annotations

import dis
import pickle
import sys
from collections.abc import Callable
from contextvars import Context as Variables
from operator import attrgetter
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tasker.logs import task_name

from .messages import Order
from .packing import PLAIN, pack_or_tell, pack_variables

_SMALL = 4096
_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]
_plain_types = PLAIN.issuperset


class Inline:
    """A task of ``run_task``, as far as it has to be known here."""

    __slots__ = ("_args", "_task", "_variables")

    def __init__(self, task: Callable[..., Any], args: tuple[Any, ...], variables: Variables) -> None:
        self._task: Any = task
        self._args = args
        self._variables = variables or None

    @property
    def label(self) -> str:
        """As in messages."""
        return task_name(self._task)


class Orders:
    """Makes the orders of one worker."""

    __slots__ = ("_args_of", "_known", "size")

    def __init__(self, args: str = "_args") -> None:
        self._args_of = attrgetter(args)
        self._known: Any = None
        """The last function that was found to go together with others."""
        self.size: int = 0
        """Bytes, about, of the last order."""

    def order(self, number: int, future: Any, alone: bool = False) -> Order:
        """The order for a task; ``TravelError`` if it can't be pickled. ``alone``: pickled for itself in any case."""
        task, args, variables = future._task, self._args_of(future), future._variables
        packed = None if variables is None else pack_variables(variables)
        if not alone and (task is self._known or self._goes_together(task)) and _plain_types(map(type, args)):
            self.size = 64
            for arg in args:
                if type(arg) is str or type(arg) is bytes:
                    self.size += len(arg)
            if self.size <= _SMALL:
                return (number, task, args, packed, None)
        parts = pack_or_tell((task, args, packed), f"{future.label}: the task or its arguments")
        self.size = sum(memoryview(part).nbytes for part in parts)
        first, *buffers = parts
        if memoryview(first).nbytes > _SMALL:
            first = pickle.PickleBuffer(first)
        else:
            first = bytes(first)
        return (number, future.label, (), None, [first, *map(pickle.PickleBuffer, buffers)])

    def _goes_together(self, task: Any) -> bool:
        """Whether it has nothing of its own that two tasks could share."""
        if type(task) is not FunctionType or task.__closure__ is not None or task.__kwdefaults__:
            return False
        if not _plain_types(map(type, task.__defaults__ or ())):
            return False
        if not (_importable(task) or _touches_no_globals(task)):
            return False
        self._known = task
        return True


def _importable(task: FunctionType) -> bool:
    """Whether it goes by its name, and so is the same for all tasks in the child anyway."""
    if task.__module__ == "__main__":
        return False
    return getattr(sys.modules.get(task.__module__), task.__qualname__, None) is task


def _touches_no_globals(task: FunctionType) -> bool:
    """Whether it has no global variables but modules: it goes by value, and they with it."""
    code, known = task.__code__, task.__globals__
    return (
        _STORE_GLOBAL not in code.co_code[::2]
        and all(type(known[name]) is ModuleType for name in code.co_names if name in known)
        and not any(type(constant) is CodeType for constant in code.co_consts)
    )
