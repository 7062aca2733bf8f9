"""Done callbacks of a future, as the loop calls them: their errors go no further, and ``asyncio.shield`` and a loop's
``run_until_complete`` are shown what they have to see."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

_name_of: Callable[[type], str] = type.__dict__["__name__"].__get__
"""Of a class, whatever its metaclass says."""
_FUNCTIONS = ("function", "cython_function_or_method")
"""The names of the classes of functions of Python and of uvloop, whose attributes can be asked for."""


class GuardedCallback:
    """Calls a done callback, and logs and counts its error. Equal to the function that it guards, so that
    ``remove_done_callback`` finds it."""

    __slots__ = ("_fn",)

    def __init__(self, fn: Callable[[Any], object]) -> None:
        self._fn = fn

    def __call__(self, future: Any) -> None:
        try:
            self._fn(self._shown(future))
        except BaseException as error:  # also a SystemExit, which would stop the loop
            future._engine.callback_fault(future, error)

    def _shown(self, future: Any) -> Any:
        return future

    def __eq__(self, other: object) -> bool:
        return self is other or self._fn == other

    def __hash__(self) -> int:
        return hash(self._fn)


class _CallbackOfShield(GuardedCallback):
    """Passes the outcome of a killed task on to the caller that shields it."""

    # ``shield`` takes ``cancelled()`` to mean that its own future has to be cancelled, so the caller would get a
    # ``CancelledError`` though nothing has cancelled it: a time limit around it, or a scope of anyio's, would not know
    # that error for its own.
    __slots__ = ()

    def _shown(self, future: Any) -> Any:
        return _Outcome(future)


class _Outcome:
    """A task that has ended; ``cancelled`` is True only if ``result`` raises ``asyncio.CancelledError``."""

    __slots__ = ("_future",)

    def __init__(self, future: Any) -> None:
        self._future = future

    def cancelled(self) -> bool:
        return self._future._extra is not None and bool(self._future._extra.as_cancelled_error)

    def exception(self) -> BaseException | None:
        error: BaseException | None = self._future.exception()
        return error

    def result(self) -> Any:
        return self._future.result()


class _CallbackOfRun(GuardedCallback):
    """Has the loop stop that runs until the future is done."""

    # It does not stop for a ``SystemExit`` or ``KeyboardInterrupt``, because a task of the loop that raises one has stopped it
    # by then. Ours has not; and ``run_until_complete`` asks the future itself for its outcome.
    __slots__ = ()

    def _shown(self, future: Any) -> Any:
        return _Ended(future)


class _Ended:
    """A future whose error is not to be looked at."""

    __slots__ = ("get_loop",)

    def __init__(self, future: Any) -> None:
        self.get_loop: Callable[[], Any] = future.get_loop

    def cancelled(self) -> bool:
        return True


_KNOWN: dict[str, tuple[str, type[GuardedCallback]]] = {
    "shield.<locals>._inner_done_callback": ("asyncio.tasks", _CallbackOfShield),
    "_run_until_complete_cb": ("asyncio.base_events", _CallbackOfRun),
    "run_until_complete.<locals>.done_cb": ("uvloop.loop", _CallbackOfRun),
}


def guarded(fn: Callable[[Any], object]) -> Callable[[Any], object]:
    """Returns what the loop is to call in place of a done callback."""
    # A task of the loop that awaits the future adds itself, as a method written in C, which needs no guard.
    if type(fn) is types.BuiltinFunctionType:
        return fn
    if _name_of(type(fn)) in _FUNCTIONS and fn.__qualname__ in _KNOWN:
        module, guard = _KNOWN[fn.__qualname__]
        return (guard if fn.__module__ == module else GuardedCallback)(fn)
    return GuardedCallback(fn)
