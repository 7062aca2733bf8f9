"""The running loop and its current task, as cheaply as each version of Python tells them; and a change of the latter."""

from __future__ import annotations

import asyncio
import sys
from asyncio import _get_running_loop
from collections.abc import Callable
from threading import get_ident
from typing import Any

LOOKUP_IS_CHEAP = sys.version_info >= (3, 12)
"""Whether looking up the running loop is cheap. CPython 3.11 makes a system call for it; there, comparing the thread
and asking whether the loop runs gives the same answer."""


def _unknown(*args: object) -> None:
    """Stands in for both functions where asyncio does not offer the second one."""


current_task: Callable[[asyncio.AbstractEventLoop], asyncio.Task[Any] | None]
"""Returns the current task of a loop; None where that cannot be changed."""
swap_current_task: Callable[[asyncio.AbstractEventLoop, Any], object]
"""Makes another task the current one."""
if sys.version_info >= (3, 12):
    swap_current_task = getattr(asyncio.tasks, "_swap_current_task", _unknown)
    current_task = asyncio.current_task if hasattr(asyncio.tasks, "_swap_current_task") else _unknown
else:
    # As these functions of later versions.
    _current_tasks = asyncio.tasks._current_tasks  # type: ignore[attr-defined]
    current_task, swap_current_task = _current_tasks.get, _current_tasks.__setitem__


def checker_of(loop: asyncio.AbstractEventLoop) -> Callable[[], bool]:
    """Returns what tells whether its caller runs in this loop, which is the running one."""
    if LOOKUP_IS_CHEAP:
        return lambda: _get_running_loop() is loop
    thread, is_running = get_ident(), loop.is_running
    return lambda: get_ident() == thread and is_running()
