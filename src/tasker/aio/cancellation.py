"""What is done about a cancellation that strikes a task of the loop in which more than one thing runs.

A worker runs many tasks in one task of the loop: what is left of the cancellation of one must not strike the next.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any, cast

from tasker.context import Context
from tasker.core.outcomes import obeyed, snoozes
from tasker.errors import TaskCancelled, TaskKilled, WorkerLost

from .future import AsyncTaskFuture

_TURNS = 10
"""The turns of the loop, one after the other, in each of which a new cancellation has come: then it will not cease."""


def is_struck(task: asyncio.Task[Any]) -> bool:
    """Returns whether a cancellation of the task is left: one that was requested, or one that is still to be thrown."""
    # Both: a task may have caught the error and not have taken the request back, or have taken the request back before
    # the error was thrown, which until CPython 3.12 does not keep the loop from throwing it.
    return task.cancelling() > 0 or task._must_cancel  # type: ignore[attr-defined]


async def absorb(task: asyncio.Task[Any]) -> bool:
    """Clears what is left of cancellations of ``task``, which must be the current one. Returns False if new ones come
    turn by turn, as from a cancel scope of anyio's that was entered in this task and not left."""
    for _ in range(_TURNS):
        if not is_struck(task):
            return True
        while task.uncancel():
            pass
        try:
            # ``uncancel`` does not take back an error that the loop has not thrown yet; this lets it come here.
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            pass
    return not is_struck(task)


def unusable(name: str) -> WorkerLost:
    """Returns the error of a worker for which ``absorb`` has returned False."""
    text = "is cancelled in every turn of the event loop: a cancel scope that its resource holds was cancelled"
    return WorkerLost(f"worker {name} {text}")


async def outlast(
    future: asyncio.Future[Any], on_struck: Callable[[asyncio.CancelledError], object] | None = None
) -> asyncio.CancelledError | None:
    """Waits until ``future`` is done, also if the current task is cancelled meanwhile. Returns the last error by which
    it was; the caller raises that later, or has ``restore`` bring it back. Each one is passed to ``on_struck`` at
    once."""
    struck: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])  # which leaves the future alone if it is cancelled itself
        except asyncio.CancelledError as error:
            struck = error
            if on_struck is not None:
                on_struck(error)
    try:
        return struck
    finally:
        del struck  # its traceback holds this frame


def passes_on_to(task: asyncio.Task[Any]) -> Callable[[asyncio.CancelledError], None]:
    """Returns what cancels ``task`` as the caller was cancelled, for ``outlast``."""

    def cancel(error: asyncio.CancelledError) -> None:
        if not task.cancelling():  # a scope of anyio's cancels its caller in each turn
            task.cancel(*error.args[:1])

    return cancel


def restore(error: asyncio.CancelledError) -> None:
    """Has the current task cancelled at its next ``await``, as if the error that was caught came only then."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()  # keeps the number of requests, which ``asyncio.timeout`` compares
        task.cancel(*error.args[:1])  # by its message a scope of anyio's recognises it as its own


def cancellation_of(
    future: AsyncTaskFuture[Any], context: Context | None, error: BaseException, refusal: str
) -> TaskCancelled | None:
    """Returns the cancellation that an error of a task stands for, or None if it is an ordinary error."""
    # Without a cause, the task was not cancelled by the manager: a ``TaskCancelled`` or ``concurrent.futures``'
    # ``CancelledError`` then comes from something else that it has waited for, and is an ordinary error.
    cause = context.cause if context is not None else None
    if issubclass(type(error), TaskCancelled) and cause is not None:
        return cast("TaskCancelled", error)
    if snoozes(error) and cause is not None:
        return obeyed(error, cause, future.label)
    if issubclass(type(error), asyncio.CancelledError):
        # ``asyncio.CancelledError`` has no message of the cause: the outcome names it.
        if isinstance(cause, TaskKilled):
            cancellation: TaskCancelled = TaskKilled(f"{future.label} was killed: {refusal}")
        elif cause is not None:
            cancellation = TaskCancelled(f"{future.label} was cancelled: {cause}")
        else:
            cancellation = TaskCancelled(f"{future.label} ended with CancelledError")
        cancellation.__cause__ = error
        return cancellation
    if issubclass(type(error), concurrent.futures.CancelledError) and cause is not None:
        cancellation = TaskCancelled(f"{future.label} was cancelled: {cause}")
        cancellation.__cause__ = error
        return cancellation
    return None
