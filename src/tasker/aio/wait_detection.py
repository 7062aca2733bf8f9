"""What a suspended coroutine waits for, found by looking at it.

A task of ours runs in its worker's task of the loop. It may start further tasks (``TaskGroup``, ``gather``) and wait for
them, and they may wait for tasks of the same manager, or stop it. Whether somebody is *inside* a task of ours is a
question that is asked rarely and costs nothing until then. The obvious answer, a context variable set for each task, costs
a tenth of a task; see docs/decisions.

This looks at attributes that asyncio calls private and at frames. Where another Python names them otherwise, less is
found, and nothing breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

_DEPTH = 20


def reached(roots: Iterable[Any], *, timed: bool = True, depth: int = _DEPTH) -> Iterator[Any]:
    """The unfinished futures that somebody waits for who waits for ``roots``, these included. ``timed``: also where the
    wait has a limit."""
    for root in roots:
        if depth == 0 or root is None or root.done():
            continue
        yield root
        if isinstance(root, asyncio.Task):
            further = [getattr(root, "_fut_waiter", None), *awaited_by(root.get_coro(), timed=timed)]
        else:
            further = list(getattr(root, "_children", ()))  # of gather
        yield from reached(further, timed=timed, depth=depth - 1)


def awaited_by(coroutine: Any, *, timed: bool = True) -> list[Any]:
    """What a suspended coroutine waits for by asyncio's own means that give the loop a mere future of theirs."""
    found: list[Any] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and frame.f_globals.get("__name__", "").startswith("asyncio."):
            found += _held_by(frame.f_code.co_name, frame.f_locals, timed)
        coroutine = getattr(coroutine, "cr_await", None)
    return [one for one in found if asyncio.isfuture(one)]


def _held_by(function: str, names: dict[str, Any], timed: bool) -> Iterable[Any]:
    if names.get("timeout") is not None and not timed:
        return ()
    if function in ("__aexit__", "_aexit"):
        return tuple(getattr(names.get("self"), "_tasks", ()))
    if function == "wait_for":
        return (names.get("fut"),)
    if function == "_wait":
        return tuple(names.get("fs") or ())
    return ()
