"""Ctrl-C at each line of the loop that runs tasks, outside of the tasks."""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tasker import WorkerLost
from tasker.aio.worker_loop import TaskRunner

from .tasks import quick


NO_MOMENTS = ("shard.future = None", "future._held = value", "future._task = future._variables = None")


class Strike:
    """Raises KeyboardInterrupt in the runner, at the line of this number."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.struck = 0
        """The line where it was."""

    def __call__(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code is not TaskRunner._tasks.__code__:
            return None
        # Between two plain assignments CPython does not look for signals.
        if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() not in NO_MOMENTS:
            if not self._left:
                self._left, self.struck = -1, frame.f_lineno
                raise KeyboardInterrupt
            self._left -= 1
        return self


async def struck_at(make: Any, number: int) -> int:
    """Strikes a worker while it runs three tasks. Returns the line; 0 if there are fewer."""
    strike = Strike(number)
    async with make(max_queue_size=3) as m:
        await m.queue_task(quick)
        before = sys.gettrace()
        sys.settrace(strike)
        try:
            futures = [m.submit(quick) for _ in range(3)]
            for future in futures:
                try:
                    await future
                except (WorkerLost, KeyboardInterrupt):  # the latter where it counts as raised by the task
                    pass
        finally:
            sys.settrace(before)
        # The queue has room for as many as before.
        futures = [m.submit(quick) for _ in range(3)]
        for future in futures:
            await future
        report = await m.stop()
        stats = m.stats()
        assert not report.killed
        assert stats.accepted_tasks == stats.done_tasks == 7, strike.struck
        assert stats.resources.alive == 0
    return strike.struck


async def test_a_strike_at_each_line(make: Any) -> None:
    """Each task has one outcome, and the worker is replaced."""
    lines = set()
    for number in itertools.count():
        if not (line := await struck_at(make, number)):
            break
        lines.add(line)
    assert len(lines) > 30
