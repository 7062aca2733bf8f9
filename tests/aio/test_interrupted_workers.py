"""Ctrl-C at each line of what runs tasks, outside of the tasks."""

from __future__ import annotations

import asyncio
import itertools
import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tasker import WorkerLost
from tasker.aio.lending import Lending
from tasker.aio.worker_loop import TaskRunner

from .tasks import idle, me, quick

NO_MOMENTS = (
    "shard.future = None",
    "future._held = value",
    "future._task = future._variables = None",
    "swap_current_task(loop, caller)",
)


class Strike:
    """Raises KeyboardInterrupt in one of these functions, at the line of this number."""

    def __init__(self, number: int, *functions: Any) -> None:
        self._left = number
        self._codes = [function.__code__ for function in functions]
        self.struck = 0
        """The line where it was."""

    def __call__(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code not in self._codes:
            return None
        # Between two assignments, and at the beginning of a ``finally``, CPython does not look for signals.
        if event == "line" and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() not in NO_MOMENTS:
            if not self._left:
                self._left, self.struck = -1, frame.f_lineno
                raise KeyboardInterrupt
            self._left -= 1
        return self


async def struck_at(make: Any, number: int) -> int:
    """Strikes a worker while it runs three tasks. Returns the line; 0 if there are fewer."""
    strike = Strike(number, TaskRunner._tasks)
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


async def test_a_strike_at_each_line_of_what_a_caller_begins(make: Any) -> None:
    """The caller gets it; its worker serves on or is replaced, and asyncio knows which task runs."""
    lines = set()
    for number in itertools.count():
        strike = Strike(number, Lending._step)
        async with make() as m:
            await m.queue_task(quick)
            await idle(m)
            before = sys.gettrace()
            sys.settrace(strike)
            try:
                assert await m.queue_task(quick) is not None
            except (WorkerLost, KeyboardInterrupt):
                pass
            finally:
                sys.settrace(before)
            if not strike.struck:
                break
            lines.add(strike.struck)
            mine = me()
            await asyncio.sleep(0)
            assert me() is mine
            assert await asyncio.wait_for(m.queue_task(quick), 10) is not None
            assert not (await m.stop(10)).killed, strike.struck
            assert m.stats().resources.alive == 0
    assert len(lines) > 10
