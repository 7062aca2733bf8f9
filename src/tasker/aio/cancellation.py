"""What is done about a cancellation that strikes a task of the loop in which more than one thing runs.

A worker runs many tasks in one task of the loop: what is left of the cancellation of one must not strike the next.
"""

from __future__ import annotations

import asyncio
from typing import Any

_TURNS = 10
"""The turns of the loop, one after the other, in each of which a new cancellation has come: then it will not cease."""


def is_struck(task: asyncio.Task[Any]) -> bool:
    """Returns whether a cancellation of the task is left: one that was requested, or one that is still to be thrown."""
    # Both: a task may have caught the error and not have taken the request back, or have taken the request back before
    # the error was thrown, which until CPython 3.12 does not keep the loop from throwing it.
    return task.cancelling() > 0 or task._must_cancel  # type: ignore[attr-defined,no-any-return]


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
