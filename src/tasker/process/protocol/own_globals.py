"""Global variables of which each process has its own: locks and ``threading.local``.

They cannot be pickled. But a function that goes by value refers to those of its module, and needs one that all functions of
its process share. So one that is a global variable, or an attribute of a class that is one, becomes the one in the same
place on the other side. ``__main__`` is another module there: one of ``__main__`` gets a twin, new and unlocked. One that is
in no such place, because a function has made it, stays what cannot be pickled.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

KINDS: dict[type, Any] = {type(make()): make for make in (threading.Lock, threading.RLock, threading.local)}
"""The types, and how to make one."""

Place = tuple[str, str]
"""A module, and the name there; that of an attribute of a class with a dot."""

_places: weakref.WeakKeyDictionary[Any, Place] = weakref.WeakKeyDictionary()
_twins: dict[Place, Any] = {}


def reduced(own: Any) -> Any:
    """Returns what a pickler makes of one of ``KINDS``: where it is. ``NotImplemented`` for one that is nowhere."""
    place = _places.get(own)
    if place is None:
        place = _search(own)
        if place is None:
            return NotImplemented
        _places[own] = place
    return own_at, (*place, list(KINDS).index(type(own)))


def own_at(module: str, name: str, kind: int) -> Any:
    """Returns the one that this process has in that place; makes it, if there is none."""
    wanted, make = list(KINDS.items())[kind]
    home = sys.modules.get(module) if module == "__main__" else importlib.import_module(module)
    found = functools.reduce(lambda owner, part: getattr(owner, part, None), name.split("."), home)
    if type(found) is wanted:
        return found
    # ``setdefault``: of two threads that unpickle at the same time, one makes it.
    twin = _twins.setdefault((module, name), make())
    _places[twin] = module, name
    return twin


def _search(own: Any) -> Place | None:
    modules = [("__main__", sys.modules.get("__main__")), *sys.modules.copy().items()]
    for module, home in modules:
        for name, value in variables_of(home):
            if value is own:
                return module, name
            if isinstance(value, type) and vars(value).get("__module__") == module:
                for attribute, held in vars(value).copy().items():
                    if held is own:
                        return module, f"{name}.{attribute}"
    return None


def variables_of(home: Any) -> Iterator[tuple[str, Any]]:
    """Yields the names of a module, with what they stand for."""
    try:
        return iter(vars(home).copy().items())  # a copy, in one step: other threads may set variables meanwhile
    except Exception:  # anything may be in sys.modules
        return iter(())


def variable_of(home: Any, name: str) -> Any:
    """Returns what a name of a module stands for; None if there is no such name."""
    try:
        return vars(home).get(name)
    except Exception:  # anything may be in sys.modules
        return None
