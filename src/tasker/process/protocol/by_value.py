"""What goes by value and neither pickle nor cloudpickle can take: caches of functions, and classes with slots."""

from __future__ import annotations

import functools
import sys
from enum import EnumMeta
from types import MemberDescriptorType
from typing import Any, NamedTuple

CACHED: Any = type(functools.lru_cache(lambda: None))


def reduced_cache(cached: Any) -> Any:
    """Returns what a pickler makes of a function with a ``functools.lru_cache``. By value, it has an empty cache."""
    function = cached.__wrapped__
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    if function.__module__ != "__main__" and found is cached:
        return NotImplemented  # by its name
    parameters = cached.cache_parameters()
    return _cached, (function, parameters["maxsize"], parameters["typed"])


def _cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(function)


def reduced_property(cached: functools.cached_property[Any]) -> Any:
    """Returns what a pickler makes of a ``functools.cached_property``, without the lock that it has before Python 3.12."""
    return _cached_property, (cached.func, cached.attrname)


def _cached_property(function: Any, name: str | None) -> functools.cached_property[Any]:
    made: functools.cached_property[Any] = functools.cached_property(function)
    made.attrname = name
    return made


def with_slots(kind: type, reduced: Any) -> Any:
    """Returns what a pickler makes of a class that goes by value: ``reduced``, with the slots that the class has.

    cloudpickle makes the class again without them. Its instances would have a ``__dict__``, in which they would keep what
    the class here has no place for.
    """
    slots = vars(kind).get("__slots__")
    if slots is None or type(reduced) is not tuple or issubclass(type(kind), EnumMeta):
        return reduced
    make, (constructor, name, bases, namespace, *rest), (state, slot_state), *more = reduced
    if NamedTuple in bases:  # which gives its classes their slots, and takes none
        return reduced
    kept = {name: value for name, value in state.items() if not _is_slot(value, kind)}
    namespace = {**namespace, "__slots__": slots if isinstance(slots, str | dict) else tuple(slots)}
    return make, (constructor, name, bases, namespace, *rest), (kept, slot_state), *more


def _is_slot(value: Any, kind: type) -> bool:
    """Returns whether it is the descriptor of a slot, which comes with the class."""
    return type(value) is MemberDescriptorType and value.__objclass__ is kind
