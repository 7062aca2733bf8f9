"""Finds out whether a timer of the loop may end a wait: ``asyncio.timeout``, ``call_later(1, task.cancel)``, a cancel scope
of anyio, and whatever else refers to a task or a future of the loop.

A timer does not say what it will do. So every timer counts that leads to the task or the future in a few steps: from its
callback to the object whose method that is, to the attributes of that object, to what they contain.
"""

from __future__ import annotations

import asyncio
import gc
import types
from collections.abc import Iterable
from typing import Any

from tasker.core.stacks import part_of

_STEPS = 4
_MOST = 200
"""How many objects behind one timer are looked at."""
_ENDS = (
    type,
    types.ModuleType,
    types.CodeType,
    types.FrameType,
    types.CoroutineType,
    asyncio.AbstractEventLoop,
    str,
    bytes,
    int,
)
_LIBRARY = __name__.partition(".")[0] + "."


def shows_timers(loop: asyncio.AbstractEventLoop) -> bool:
    """Returns whether the timers of a loop can be looked at."""
    return hasattr(loop, "_scheduled")


def timed_by(loop: asyncio.AbstractEventLoop) -> set[int]:
    """Returns the ``id`` of each future and each task that a timer of the loop leads to, or a call that is due."""
    found: set[int] = set()
    # A timer that has just expired is among those that are due.
    for handle in (*getattr(loop, "_scheduled", ()), *getattr(loop, "_ready", ())):
        if not handle.cancelled() and not _is_of_engine(handle._callback):
            found.update(id(one) for one in _futures_behind([handle._callback, *(handle._args or ())]))
    return found


def in_timeout(task: asyncio.Task[Any]) -> bool:
    """Returns whether a task runs inside ``asyncio.timeout``. For loops that do not show their timers; costs O(heap)."""
    return any(isinstance(one, asyncio.Timeout) or _is_fields_of_timeout(one) for one in gc.get_referrers(task))


def _is_of_engine(callback: Any) -> bool:
    """Returns whether a callback is a method of an engine, which ends no wait of a task, and leads everywhere."""
    owner = part_of(callback, "__self__")
    return type(owner).__module__.startswith(_LIBRARY) and not hasattr(type(owner), "_asyncio_future_blocking")


def _is_fields_of_timeout(one: object) -> bool:
    return isinstance(one, dict) and "_task" in one and "_when" in one


def _futures_behind(roots: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    looked_at: set[int] = set()
    layer = list(roots)
    for _ in range(_STEPS + 1):
        further: list[Any] = []
        for one in layer:
            if id(one) in looked_at or len(looked_at) > _MOST or issubclass(type(one), _ENDS):
                continue
            looked_at.add(id(one))
            # Its type and not ``__class__``, which a proxy may refuse.
            if hasattr(type(one), "_asyncio_future_blocking"):
                found.append(one)
            elif isinstance(one, types.FunctionType):  # not its globals
                further += one.__closure__ or ()
            else:
                further += gc.get_referents(one)
        layer = further
    return found
