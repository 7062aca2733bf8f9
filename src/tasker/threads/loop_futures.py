"""Finds the futures of an event loop that nothing but certain others can complete.

``asyncio.wait``, ``shield``, ``gather``, ``as_completed`` and ``TaskGroup`` wait on a future of their own, which a callback
of theirs completes. So the search goes from the futures that are known, along those callbacks, to the ones that depend on
them. It reads private names of asyncio; where another version names them differently, it finds less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any


def closed_over(known: set[Any]) -> set[Any]:
    """Returns ``known`` and the futures that nothing but some of it can complete."""
    known = set(known)
    while True:
        leading: Counter[Any] = Counter()
        needed: dict[Any, Any] = {}
        for one in known:
            for callback, _ in one._callbacks or ():
                for future, others in _completed_by(callback):
                    leading[future] += 1
                    needed[future] = others
        found = {future for future in needed if future not in known and _leads(needed[future], leading[future], known)}
        if not found:
            return known
        known |= found


def _leads(others: Collection[Any] | int, leading: int, known: set[Any]) -> bool:
    """Returns whether all that completes a future is known: its ``others``, or ``leading`` of as many."""
    if isinstance(others, int):
        return leading >= others
    return all(one in known or one.done() for one in others)


def _completed_by(callback: Any) -> Iterator[tuple[Any, Collection[Any] | int]]:
    """Yields the futures that a callback of asyncio's completes, with those that it waits for, or their number."""
    name: str = getattr(callback, "__qualname__", "")
    this: Any = getattr(callback, "__self__", None)
    cells = dict(zip(callback.__code__.co_freevars, callback.__closure__, strict=True)) if "<locals>" in name else {}
    if name == "_wait.<locals>._on_completion":
        yield cells["waiter"].cell_contents, cells["counter"].cell_contents
    elif name == "shield.<locals>._inner_done_callback":
        yield cells["outer"].cell_contents, ()
    elif name == "gather.<locals>._done_callback":
        outer = cells["outer"].cell_contents
        yield outer, outer._children
    elif name == "TaskGroup._on_task_done":
        yield this._on_completed_fut, this._tasks
    elif name == "as_completed.<locals>._on_completion":  # up to CPython 3.12
        todo = cells["todo"].cell_contents
        for waiting in cells["done"].cell_contents._getters:
            yield waiting, todo
    elif name == "_AsCompletedIterator._handle_completion":
        for waiting in this._done._getters:
            yield waiting, this._todo
