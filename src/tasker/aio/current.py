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

if sys.version_info >= (3, 12):
    from asyncio import current_task
    from asyncio.tasks import _swap_current_task as swap_current_task
else:
    # As these functions of later versions.
    _current_tasks = asyncio.tasks._current_tasks  # type: ignore[attr-defined]
    current_task = _current_tasks.get

    def swap_current_task(loop: asyncio.AbstractEventLoop, task: Any) -> Any:
        """Makes another task the current one. Returns the former one."""
        before, _current_tasks[loop] = _current_tasks.get(loop), task
        return before


def checker_of(loop: asyncio.AbstractEventLoop) -> Callable[[], bool]:
    """Returns what tells whether its caller runs in this loop, which is the running one."""
    if LOOKUP_IS_CHEAP:
        return lambda: _get_running_loop() is loop
    thread, is_running = get_ident(), loop.is_running
    return lambda: get_ident() == thread and is_running()
