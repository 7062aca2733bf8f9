"""Finds the futures that a suspended coroutine waits for.

A manager's task runs in its worker's task of the loop. It may start further tasks (``TaskGroup``, ``gather``) and wait
for them, and those may wait for tasks of the same manager, or stop it. Whether code runs *inside* a manager's task, and
whether its wait can end, is asked rarely, so the search costs nothing until then. A context variable set for each task
would cost a tenth of a task (see docs/decisions).

The search reads private attributes of asyncio and the local variables of its frames. If another version of Python or
another loop names them differently, the search finds less, and nothing breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, NamedTuple

from tasker.core.stacks import part_of

from .done_callbacks import GuardedCallback
from .future import AsyncTaskFuture

_AWAITS_ALL = "ALL_COMPLETED"
_DEPTH = 100
"""How many tasks and futures, each of which waits for the next, are followed. The search calls itself, and the stack has a limit."""


def reached(roots: Iterable[Any], seen: dict[int, Any] | None = None) -> Iterator[Any]:
    """Yields ``roots`` and the futures that they wait for, directly or indirectly, as far as they are not done; each of them
    once, and none of those in ``seen``, which collects them by their ``id``."""
    # Each once, because many may wait for the same: the number of ways to a future grows by a factor with each level.
    seen = {} if seen is None else seen
    left = list(roots)
    while left:
        one = left.pop()
        if one is None or id(one) in seen or one.done():
            continue
        seen[id(one)] = one
        yield one
        if isinstance(one, asyncio.Task):
            left += [getattr(one, "_fut_waiter", None), *awaited_by(one.get_coro())]
        else:
            left += _behind(one)


def awaited_by(coroutine: Any) -> list[Any]:
    """Returns the futures that a suspended coroutine waits for by functions of asyncio (``wait``, ``wait_for``,
    ``TaskGroup``, ``as_completed``). The loop sees only a plain future of theirs."""
    return [one for call in _calls(coroutine) for one in call.awaited if asyncio.isfuture(one)]


class BlockedOn(NamedTuple):
    """On what alone the end of a wait depends."""

    own: set[Any]
    """Futures of the manager, one of which has to be done first."""
    through: set[Any]
    """All futures and tasks of the loop on the way there. A timer for one of them may end the wait too."""


class WaitAnalysis:
    """Finds out on which tasks of a manager alone the end of a wait depends, at one moment.

    ``is_own``: whether a future is one of them. ``own_futures``: returns some of those that are not done. Whatever else
    may end a wait (a timeout, a future of unknown origin, a task of the loop that is not blocked itself) makes it none: a
    deadlock may be missed, but none is found where there is none.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_own: Callable[[Any], bool],
        own_futures: Callable[[], Iterable[Any]],
    ) -> None:
        self._loop = loop
        self._is_own = is_own
        self._own_futures = own_futures
        self._through: set[Any] = set()
        self._known: dict[Any, set[Any] | None] = {}
        """What was found for each of them."""
        self._depth = 0
        self._completions: list[tuple[Any, Any]] | None = None

    def of_task(self, task: asyncio.Task[Any], waited: Any, coroutine: Any) -> BlockedOn | None:
        """Returns what a task of the loop is blocked on; None if something else may wake it. ``waited``: the future for
        which the loop holds it; ``coroutine``: what is suspended in it."""
        self._through, self._known, self._depth = {task}, {task: set()}, 0
        own = self._of_calls(waited, coroutine)
        return BlockedOn(own, self._through) if own else None

    def _of_calls(self, waited: Any, coroutine: Any) -> set[Any] | None:
        calls = _calls(coroutine)
        if any(call.timed for call in calls):
            return None
        if not calls:
            return self._of_future(waited)
        self._through.add(waited)
        call = calls[-1]  # the innermost
        awaited = call.awaited if call.completions is None else self._left_of(call.completions)
        # Where all are awaited, those that are not blocked do not matter.
        return self._of_all(awaited) if call.awaits_all else self._of_any(awaited)

    def _of_any(self, futures: Iterable[Any]) -> set[Any] | None:
        found: set[Any] = set()
        for future in list(futures):
            own = self._of_future(future)
            if own is None:
                return None
            found |= own
        return found

    def _of_all(self, futures: Iterable[Any]) -> set[Any] | None:
        found = [self._of_future(future) for future in list(futures)]
        blocked = [own for own in found if own]
        return set().union(*blocked) if blocked else None

    def _of_future(self, future: Any) -> set[Any] | None:
        if future is None or future.done():
            return None
        if self._is_own(future):
            self._through.add(future)
            return {future}
        if future not in self._known:
            self._through.add(future)
            self._known[future] = set()  # of a cycle: it adds nothing
            self._depth += 1
            self._known[future] = self._behind(future) if self._depth <= _DEPTH else None
            self._depth -= 1
        return self._known[future]

    def _behind(self, future: Any) -> set[Any] | None:
        if isinstance(future, asyncio.Task):
            return self._of_calls(getattr(future, "_fut_waiter", None), future.get_coro())
        # Of ``gather`` those that are not done yet: one that fails ends it.
        behind = [one for one in _behind(future) if not one.done()]
        return self._of_any(behind) if behind else None

    def _left_of(self, completions: Any) -> Iterable[Any]:
        """Returns what an ``as_completed`` that collects in the queue ``completions`` still waits for."""
        # Up to CPython 3.12 nothing leads from the queue to the futures, but a callback of each of them leads to both.
        if self._completions is None:
            self._completions = list(_completions_of([*self._own_futures(), *asyncio.all_tasks(self._loop)]))
        return next((left for queue, left in self._completions if queue is completions), ())


class _Call:
    """A call of a function of asyncio that waits for several futures, or for one in another way than by ``await``."""

    def __init__(
        self, awaited: Iterable[Any], *, awaits_all: bool = False, timed: bool = False, completions: Any = None
    ) -> None:
        self.awaited = list(awaited)
        self.awaits_all = awaits_all
        self.completions = completions
        """The queue of an ``as_completed`` whose futures are not known here."""
        self.timed = timed
        """Whether it has a limit."""


def _calls(coroutine: Any) -> list[_Call]:
    """Returns such calls in which a coroutine is suspended, innermost last."""
    found: list[_Call] = []
    while type(frame := part_of(coroutine, "cr_frame")) is FrameType:
        # Only frames of asyncio: the variables of user code may hold futures that it does not wait for.
        if frame.f_globals.get("__name__", "").startswith("asyncio."):
            call = _call_in(frame.f_code.co_name, frame.f_locals)
            if call is not None:
                found.append(call)
        coroutine = part_of(coroutine, "cr_await")
    return found


def _call_in(function: str, names: dict[str, Any]) -> _Call | None:
    timed = names.get("timeout") is not None
    if function in ("__aexit__", "_aexit"):  # of a TaskGroup
        tasks = getattr(names.get("self"), "_tasks", ())
        return _Call(tasks) if tasks else None
    if function == "wait_for" and timed:
        return _Call((names.get("fut"),), timed=True)
    if function == "_wait":  # what ``asyncio.wait`` awaits
        return _Call(names.get("fs") or (), awaits_all=names.get("return_when") == _AWAITS_ALL, timed=timed)
    if function == "_wait_for_one":  # of ``as_completed``
        if "self" in names:  # from CPython 3.13 on
            return _Call(getattr(names["self"], "_todo", ()))
        return _Call((), completions=names.get("done"))
    return None


def _completions_of(futures: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yields, for calls of ``as_completed``, the queue in which they collect and what they still wait for."""
    for future in futures:
        for callback in callbacks_of(future):
            if part_of(callback, "__qualname__") == "as_completed.<locals>._on_completion":
                names = _closure(callback)
                yield names.get("done"), names.get("todo", ())


def _behind(future: Any) -> list[Any]:
    """Returns the futures on which a plain future depends: those of ``gather``, or the one of ``shield``."""
    children = getattr(future, "_children", None)
    if children is not None:
        return list(children)
    for callback in callbacks_of(future):
        if part_of(callback, "__qualname__") == "shield.<locals>._outer_done_callback":
            return [_closure(callback)["inner"]]
    return []


def callbacks_of(future: Any) -> list[Any]:
    """Returns the functions that are called when a future is done."""
    return [callback._fn if isinstance(callback, GuardedCallback) else callback for callback, _ in listeners_of(future)]


def listeners_of(future: Any) -> list[tuple[Any, Any]]:
    """Returns what the loop calls when a future is done, each with its context."""
    if isinstance(future, AsyncTaskFuture):
        return list((future._extra and future._extra.listeners) or ())
    return list(getattr(future, "_callbacks", None) or ())


def _closure(function: Any) -> dict[str, Any]:
    cells = function.__closure__ or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)}
