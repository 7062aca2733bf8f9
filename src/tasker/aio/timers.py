"""Finds out whether a timer of the loop may end a wait: ``asyncio.timeout``, ``call_later(1, task.cancel)``, a cancel scope
of anyio, and whatever else refers to a task or a future of the loop.

A timer does not say what it will do. So every timer counts that leads to the task or the future in a few steps: from its
callback to the object whose method that is, to the attributes of that object, to what they contain.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import types
from collections import deque
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
_FAR = 3600.0
_LIBRARY = __name__.partition(".")[0] + "."


def timed_by(loop: asyncio.AbstractEventLoop) -> set[int] | None:
    """Returns the ``id`` of each future and each task that a timer of the loop leads to, or a call that is due. None: the loop
    does not show its timers."""
    calls = _calls_of(loop)
    if calls is None:
        return None
    found: set[int] = set()
    for call in calls:
        if not any(map(_is_of_engine, call)):
            found.update(id(one) for one in _futures_behind(call))
    return found


def _calls_of(loop: asyncio.AbstractEventLoop) -> list[list[Any]] | None:
    """Returns the function and the arguments of each timer, and of each call that is due: a timer that has just expired is
    among those."""
    if hasattr(loop, "_scheduled"):
        handles = (*loop._scheduled, *getattr(loop, "_ready", ()))
        return [[handle._callback, *(handle._args or ())] for handle in handles if not handle.cancelled()]
    known = _known_to_collector(loop)
    if known is None:
        return None
    return [
        [one for one in gc.get_referents(handle) if not isinstance(one, contextvars.Context)]
        for handle in known
        if not handle.cancelled()
    ]


def _known_to_collector(loop: asyncio.AbstractEventLoop) -> list[Any] | None:
    """Returns the handles of a loop that is not written in Python, as uvloop. None if they are not where these two are found."""
    timer, due = loop.call_later(_FAR, _nothing), loop.call_soon(_nothing)
    try:
        kept = _collections_with(gc.get_referents(loop), timer, due)
        return [handle for one in kept for handle in one] if len(kept) == 2 else None
    finally:
        timer.cancel()
        due.cancel()


def _collections_with(objects: list[Any], *handles: asyncio.Handle) -> list[Any]:
    return [one for one in objects if isinstance(one, set | deque) and any(handle in one for handle in handles)]


def _nothing() -> None:
    pass


def _is_of_engine(callback: Any) -> bool:
    """Returns whether a callback is a method of an engine, which ends no wait of a task, and leads everywhere."""
    owner = part_of(callback, "__self__")
    return type(owner).__module__.startswith(_LIBRARY) and not hasattr(type(owner), "_asyncio_future_blocking")


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
