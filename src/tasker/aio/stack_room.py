"""Whether the stack has room to wake a worker, to make the first step of a task, or to carry a decision out.

A future of asyncio whose result is set where the recursion limit strikes is done, but forgets its callbacks: the worker that
waits for it would never run again. So ``submit`` looks first, before anything has happened; for each task, and so in a way that
costs next to nothing. The supervisor's actions need more room, and an event that is handled half is lost: whatever reports one
from the stack of the user's code looks first, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from operator import eq
from typing import Any

_LEVELS = 16
"""More than ``AsyncTaskQueue.wake`` takes: setting the result has the loop make a handle, which in debug mode keeps a traceback."""
_MANY_LEVELS = 60
"""More than it takes to end a task, or to carry out what follows from a stop."""
_SHALLOW = 64
"""Frames that any recursion limit leaves room above."""
_ROOMY = 100
"""Frames above which a task finds nearly as much room as it does in a worker."""


def _nested(levels: int) -> tuple[Any, ...]:
    value: tuple[Any, ...] = ()
    for _ in range(levels):
        value = (value,)
    return value


def _descend(levels: int) -> None:
    if levels:
        _descend(levels - 1)


if sys.version_info >= (3, 12):

    def _look(module_at: Callable[[int], str | None] = sys._getframemodulename) -> None:
        # Frames of Python have a limit of their own, and most stacks are far from it.
        if module_at(_SHALLOW) is not None:
            _descend(_LEVELS)

    def _look_far(module_at: Callable[[int], str | None] = sys._getframemodulename) -> None:
        if module_at(_SHALLOW) is not None:
            _descend(_MANY_LEVELS)

    def is_shallow(module_at: Callable[[int], str | None] = sys._getframemodulename) -> bool:
        """Returns whether a task that begins here has nearly as much room as in a worker."""
        return module_at(_ROOMY) is None

else:
    # Calls of C count as well: so a comparison goes as deep as calls of Python do, in a quarter of the time.
    _look = partial(eq, _nested(_LEVELS), _nested(_LEVELS))
    _look_far = partial(eq, _nested(_MANY_LEVELS), _nested(_MANY_LEVELS))

    def is_shallow(frame_at: Callable[[int], object] = sys._getframe) -> bool:
        """Returns whether a task that begins here has nearly as much room as in a worker."""
        try:
            frame_at(_ROOMY)
        except ValueError:
            return True
        return False


check_stack: Callable[[], object] = _look
"""Raises ``RecursionError`` if there is no room to wake a worker."""
check_room: Callable[[], object] = _look_far
"""The same for what is rare, and needs more."""
