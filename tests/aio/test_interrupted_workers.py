"""Ctrl-C at each line of what runs tasks, outside of the tasks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import linecache
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from unit.interrupts import Moments

from tasker import WorkerLost
from tasker.aio.attempts import AttemptEnds
from tasker.aio.future import AsyncTaskFuture
from tasker.aio.lending import Handed, Lending
from tasker.aio.life import WorkerLife
from tasker.aio.loop_end import outlasting_loop_end
from tasker.aio.resource_handle import AsyncResourceHandle
from tasker.aio.resources import AsyncMaker
from tasker.aio.wait_refusal import without_own
from tasker.aio.worker import AsyncWorker
from tasker.aio.worker_loop import TaskRunner
from tasker.core.handles import Handle
from tasker.core.planning import wear_of

from .tasks import idle, me, quick

NO_MOMENTS = (
    "shard.future = None",
    "future._held = value",
    "future._task = future._variables = None",
    "swap_current_task(loop, caller)",
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What the loop would raise, and with it end the test."""
    errors: list[BaseException] = []
    monkeypatch.setattr("tasker.aio.attempts.raise_in", lambda loop, error: errors.append(error))
    return errors


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


async def test_a_strike_at_each_line(make: Any, told: list[BaseException]) -> None:
    """Each task has one outcome, and the worker is replaced."""
    lines = set()
    for number in itertools.count():
        if not (line := await struck_at(make, number)):
            break
        lines.add(line)
    assert len(lines) > 30
    assert {*map(type, told)} == {KeyboardInterrupt}


async def test_a_strike_at_each_line_of_what_a_caller_begins(make: Any, told: list[BaseException]) -> None:
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


def plain(ctx: Any, resource: object) -> str:
    """A function."""
    return "done"


async def fails(ctx: Any, resource: object) -> None:
    """A task that fails."""
    raise ValueError("as it should")


async def naps(ctx: Any, resource: object) -> str:
    """A task that waits."""
    await asyncio.sleep(0)
    return "done"


LIVES: dict[str, tuple[Any, ...]] = {
    "the life": (
        WorkerLife._live,
        WorkerLife._destroy,
        WorkerLife._create,
        AsyncWorker._serve_guarded,
        AsyncMaker.make,
        AsyncMaker._make,
        AsyncResourceHandle.__init__,
        Handle.__init__,
        wear_of,
        AsyncMaker.end,
        without_own,
        outlasting_loop_end,
    ),
    "outcomes": (
        AttemptEnds._succeeded,
        AttemptEnds._end_failed,
        AttemptEnds._set_error,
        AsyncTaskFuture._end_result,
        AsyncTaskFuture._end_error,
        AsyncTaskFuture._fail,
    ),
    "lending": (Handed.__init__,),
}


class Main:
    """A program: tasks, and a stop. Its own steps are not struck."""

    def __init__(self, make: Any) -> None:
        self.make = make
        self.made: list[object] = []
        self.gone: list[object] = []
        self.m: Any = None
        self.futures: list[asyncio.Future[Any]] = []

    async def create(self) -> object:
        """The hook."""
        self.made.append(object())
        return self.made[-1]

    async def destroy(self, resource: object) -> None:
        """The hook."""
        self.gone.append(resource)

    async def begin(self) -> None:
        """The first half."""
        self.m = await self.make(on_create=self.create, on_destroy=self.destroy, creation_backoff=0.01)
        await idle(self.m)
        self.futures.append(asyncio.ensure_future(self.m.queue_task(naps)))
        await asyncio.sleep(0)
        self.futures += [self.m.submit(task) for task in (quick, plain, fails, naps)]
        await asyncio.wait(self.futures)
        self.m.refresh()
        await asyncio.sleep(0.05)

    async def end(self) -> Any:
        """The second half."""
        if self.futures:
            await asyncio.wait([future for future in self.futures if future is not self.futures[0]])
        return await asyncio.wait_for(self.m.stop(), 20)


def to_the_end(loop: asyncio.AbstractEventLoop, main: Any) -> Any:
    """Runs it, though Ctrl-C is raised once more: a moment later, where a worker was struck."""
    task = loop.create_task(main)
    while not task.done():
        with contextlib.suppress(KeyboardInterrupt):
            loop.run_until_complete(asyncio.wait([task]))
    return task.result()


def struck_in_a_life(make: Any, part: str, number: int) -> str | None:
    """Strikes a program at the moment of this number, and looks what becomes of it. Returns where that was."""
    loop, main = asyncio.new_event_loop(), Main(make)
    moments = Moments(number, LIVES[part])
    task = loop.create_task(main.begin())
    with contextlib.suppress(KeyboardInterrupt):
        moments.call(lambda: loop.run_until_complete(task))
    report = to_the_end(loop, main.end())
    assert not report.killed, moments.struck
    stats = main.m.stats()
    assert stats.accepted_tasks == stats.done_tasks, moments.struck
    lost = len(main.made) - len(main.gone)
    assert (lost, len(set(main.gone))) == (0, len(main.gone)), moments.struck
    assert all(future.exception() is not None or future.result() is not None for future in main.futures[1:])
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    return moments.struck


@pytest.mark.filterwarnings(
    "ignore:.*never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)  # struck before
@pytest.mark.parametrize("part", LIVES)
def test_a_strike_at_each_moment(make: Any, part: str) -> None:
    """Each task has an outcome, each resource is destroyed once, and stop() ends."""
    places = set()
    for number in itertools.count():
        if (struck := struck_in_a_life(make, part, number)) is None:
            break
        places.add(struck)
    assert len(places) > (0 if part == "lending" else 4)
    gc.collect()  # here, where what it warns of is expected
