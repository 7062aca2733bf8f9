"""Throws an error into a task of the loop that is suspended, without cancelling what it waits for."""

from __future__ import annotations

import asyncio
from typing import Any

from .future import AsyncTaskFuture


def refuse_wait(task: asyncio.Task[Any], waited: Any, error: BaseException) -> None:
    """Has the ``await`` in which ``task`` waits for the future ``waited`` raise the error. ``Task.cancel`` would cancel
    ``waited`` too, which others may wait for."""
    if waited.done():
        return
    if not isinstance(waited, AsyncTaskFuture | asyncio.Task):
        waited.set_exception(error)  # a future that was made for this wait alone
        return
    # The outcome of these is not ours to set. The task is woken as if the future had failed, and does not listen to it
    # any more.
    failed = task.get_loop().create_future()
    failed.set_exception(error)
    for callback, context in _callbacks(waited):
        if getattr(callback, "__self__", None) is task:
            waited.remove_done_callback(callback)
            failed.add_done_callback(callback, context=context)


def _callbacks(future: Any) -> list[Any]:
    if isinstance(future, AsyncTaskFuture):
        return list(future.extra().listeners or ())
    return list(getattr(future, "_callbacks", None) or ())
