"""What stands in for a task with a time limit, where that runs in this process: it notes when an attempt begins and ends.

So the loops of the workers need not know which tasks have limits. An attempt that was given up meanwhile ends with
``LateReturn``, which goes the way of an error: what it has returned or raised is dropped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import CoroutineType, FunctionType
from typing import Any

from tasker.context import Cause, Context
from tasker.core.user_functions import is_async, is_awaitable

from .limited_task import LateReturn, LimitContext, LimitedTask
from .limits import TimeLimits


class LimitedFace(LimitContext):
    """What such a task has in place of the context of its attempt."""

    __slots__ = ()

    def cancel(self, cause: Cause = None) -> None:
        """See ``Context``. Cancels the context of the attempt, which tells whether a task that raises has obeyed."""
        assert self._parent is not None
        if not self._expired():
            self._parent.cancel(cause)


class LimitedCall:
    """Calls a function that has a limit."""

    __slots__ = ("_limits", "given", "limited")

    def __init__(self, limits: TimeLimits, limited: LimitedTask, task: Callable[..., Any]) -> None:
        self._limits = limits
        self.given: Callable[..., Any] = task
        self.limited: LimitedTask = limited

    @property
    def func(self) -> Any:
        """What messages name; see ``task_name``."""
        return getattr(self.given, "func", self.given)

    def __call__(self, ctx: Context, resource: Any, *args: Any) -> Any:
        limited = self.limited
        self._limits.start(limited, ctx)
        try:
            value = self.given(LimitedFace(ctx, limited), resource, *args)
        except BaseException as error:
            if limited.ended():
                raise
            raise LateReturn from error
        return self._end(value)

    def _end(self, value: Any) -> Any:
        if not self.limited.ended():
            raise LateReturn
        return value


class LimitedLoopCall(LimitedCall):
    """The same for an event loop, where what a plain function returns may be awaitable: then that is the attempt."""

    __slots__ = ()

    def _end(self, value: Any) -> Any:
        if not is_awaitable(value):
            return super()._end(value)
        if self.limited.given_up:  # while the function ran: what it has prepared is not begun
            if type(value) is CoroutineType:
                value.close()
            raise LateReturn
        return _awaiting(self.limited, value)


async def _awaiting(limited: LimitedTask, awaitable: Awaitable[Any]) -> Any:
    try:
        value = await awaitable
    except BaseException as error:
        # ``GeneratorExit``: the loop is gone, and nothing may be raised in its place.
        if limited.ended() or isinstance(error, GeneratorExit):
            raise
        raise LateReturn from error
    if not limited.ended():
        raise LateReturn
    return value


def loop_call(limits: TimeLimits, limited: LimitedTask, task: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what stands in for a task in an event loop: a coroutine function if it is one."""
    if not is_async(task):
        return LimitedLoopCall(limits, limited, task)

    async def call(ctx: Context, resource: Any, *args: Any) -> Any:
        limits.start(limited, ctx)
        return await _awaiting(limited, task(LimitedFace(ctx, limited), resource, *args))

    named: Any = call
    named.func = getattr(task, "func", task)  # what messages name
    named.given = task
    return named  # type: ignore[no-any-return]


def given(task: Any) -> Any:
    """Returns the task as it was submitted; ``task``: that or what stands in for it."""
    # By ``type``: a proxy may raise at any attribute. A function of the user's may have anything of that name.
    kind: Any = type(task)
    stands_in = kind in (LimitedCall, LimitedLoopCall) or (kind is FunctionType and task.__module__ == __name__)
    return task.given if stands_in else task
