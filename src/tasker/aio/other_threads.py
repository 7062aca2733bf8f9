"""Reads the numbers of a manager in another thread than that of its loop, which goes on counting meanwhile.

Nothing on the path of a task is protected against that. So the numbers are read twice: the counts only grow, so if both
readings are the same, nothing was counted in between. Rejected: always asking the loop, which may be waiting for that
very thread; and a lock, which each task would have to take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tasker.core.flag import Flag

T = TypeVar("T")

_TRIES = 50
_PATIENCE = 5.0
"""The seconds within which a loop that has just counted has to answer."""


def read_elsewhere(loop: asyncio.AbstractEventLoop, read: Callable[[], T]) -> T:
    """Returns what ``read`` returns in a moment in which the loop counts nothing. Raises ``RuntimeError`` if the loop is
    too busy to be asked."""
    last = read()
    for _ in range(_TRIES):
        again = read()
        if again == last:
            return again
        last = again
    # The loop counts all the time, so it runs, and can be asked.
    # Without a lock that Ctrl-C in this thread could leave locked, before the loop.
    answers: list[T] = []
    answered = Flag()

    def answer() -> None:
        answers.append(read())
        answered.set()

    loop.call_soon_threadsafe(answer)
    if not answered.wait(_PATIENCE):
        raise RuntimeError(f"the event loop of the manager did not answer within {_PATIENCE:g} seconds")
    return answers[0]
