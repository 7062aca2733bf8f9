"""Finds the futures that a suspended coroutine waits for.

A manager's task runs in its worker's task of the loop. It may start further tasks (``TaskGroup``, ``gather``) and wait
for them, and those may wait for tasks of the same manager, or stop it. Whether code runs *inside* a manager's task is
asked rarely, so the search costs nothing until then. A context variable set for each task would cost a tenth of a task
(see docs/decisions).

The search reads private attributes of asyncio and the local variables of its frames. If another version of Python names
them differently, the search finds less, and nothing breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

_DEPTH = 20
"""The bound of the search, which also ends it in a cycle of tasks that wait for each other."""


def reached(roots: Iterable[Any], *, timed: bool = True, depth: int = _DEPTH) -> Iterator[Any]:
    """Yields ``roots`` and the futures that they wait for, directly or indirectly, as far as they are not done.
    ``timed``: follows also waits that have a limit."""
    for root in roots:
        if depth == 0 or root is None or root.done():
            continue
        yield root
        if isinstance(root, asyncio.Task):
            further = [getattr(root, "_fut_waiter", None), *awaited_by(root.get_coro(), timed=timed)]
        else:
            further = list(getattr(root, "_children", ()))  # of the future that ``gather`` returns
        yield from reached(further, timed=timed, depth=depth - 1)


def awaited_by(coroutine: Any, *, timed: bool = True) -> list[Any]:
    """Returns the futures that a suspended coroutine waits for by functions of asyncio (``wait``, ``wait_for``,
    ``TaskGroup``). The loop sees only a plain future of theirs, so they are read from the function's local
    variables."""
    found: list[Any] = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        # Only frames of asyncio: the variables of user code may hold futures that it does not wait for.
        if frame is not None and frame.f_globals.get("__name__", "").startswith("asyncio."):
            found += _awaited_in_frame(frame.f_code.co_name, frame.f_locals, timed)
        coroutine = getattr(coroutine, "cr_await", None)
    return [one for one in found if asyncio.isfuture(one)]


def _awaited_in_frame(function: str, names: dict[str, Any], timed: bool) -> Iterable[Any]:
    if names.get("timeout") is not None and not timed:
        return ()
    if function in ("__aexit__", "_aexit"):  # of a TaskGroup
        return tuple(getattr(names.get("self"), "_tasks", ()))
    if function == "wait_for":
        return (names.get("fut"),)
    if function == "_wait":  # what ``asyncio.wait`` awaits
        return tuple(names.get("fs") or ())
    return ()
