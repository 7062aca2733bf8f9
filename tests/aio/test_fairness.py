"""The workers of a manager together hold the loop for a few milliseconds in each of its turns, however many they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tasker import Context
from tasker.aio.turns import BUDGET, SLICE

STEP = 0.0001
"""The seconds of the scripted clock that a task takes."""


class Clock:
    """A clock that moves when a task does. It is ahead of the real one, by which tasks are queued."""

    def __init__(self) -> None:
        self.now = time.monotonic() + 1000

    def __call__(self) -> float:
        return self.now


class Turns:
    """Measures how far a clock moves between two turns of the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.longest = 0.0
        self.count = 0

    async def watch(self) -> None:
        """Looks at the clock in every turn."""
        last = self._clock.now
        while True:
            await asyncio.sleep(0)
            self.longest = max(self.longest, self._clock.now - last)
            self.count += 1
            last = self._clock.now


async def watched(m: Any, clock: Clock, futures: Callable[[], list[Any]]) -> tuple[Turns, list[Any]]:
    """Ends the tasks that `futures` submits; returns what the turns were like meanwhile, and the tasks."""
    turns = Turns(clock)
    watching = asyncio.create_task(turns.watch())
    submitted = futures()
    await asyncio.wait(submitted)
    watching.cancel()
    return turns, submitted


@pytest.mark.parametrize("workers", [1, 5, 6, 64, 256])
async def test_tasks_that_never_wait(make: Any, workers: int) -> None:
    """The loop has its turn after 5 ms at most, and every worker has its share of the tasks."""
    clock = Clock()

    async def works(ctx: Context, resource: Any) -> None:
        clock.now += STEP

    async with make(worker_count=workers, sync_in_thread=False) as m:
        m._engine.turns.clock = clock
        turns, futures = await watched(m, clock, lambda: [m.submit(works) for _ in range(workers * 30)])
        assert turns.longest <= BUDGET + 5 * STEP + 1e-6
        assert len({future.worker for future in futures}) == workers
        assert all(future.exception() is None for future in futures)


@pytest.mark.parametrize("kind", ["plain", "failing"])
async def test_other_tasks_that_never_wait(make: Any, kind: str) -> None:
    """So it is with plain functions that run in the loop, and with tasks that fail: one worker has one slice."""
    clock = Clock()

    def plain(ctx: Context, resource: Any) -> None:
        clock.now += STEP

    async def failing(ctx: Context, resource: Any) -> None:
        clock.now += STEP
        raise KeyError

    async with make(sync_in_thread=False) as m:
        m._engine.turns.clock = clock
        task: Any = plain if kind == "plain" else failing
        turns, futures = await watched(m, clock, lambda: [m.submit(task) for _ in range(300)])
        assert turns.longest <= SLICE + 2 * STEP
        assert all((future.exception() is None) == (kind == "plain") for future in futures)


async def nothing(resource: object) -> None:
    """Does not wait."""


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"max_tasks_per_resource": 10**6}, id="recycling"),
        pytest.param({"max_resource_lifetime": 1000}, id="a lifetime"),
        pytest.param({"on_return": nothing}, id="on_return"),
        pytest.param({"check_resource": lambda resource: True}, id="check_resource"),
    ],
)
async def test_upkeep_that_never_waits(make: Any, config: Any) -> None:
    """What is done for a resource between two tasks begins no new slice."""
    clock = Clock()

    async def works(ctx: Context, resource: Any) -> None:
        clock.now += STEP

    async with make(sync_in_thread=False, **config) as m:
        m._engine.turns.clock = clock
        turns, futures = await watched(m, clock, lambda: [m.submit(works) for _ in range(300)])
        assert turns.count > 20
        assert turns.longest <= SLICE + 2 * STEP
        assert all(future.exception() is None for future in futures)


async def test_tasks_that_wait_among_tasks_that_do_not(make: Any) -> None:
    """Both come to their end, and workers that stand in line end with their manager."""
    clock = Clock()

    async def works(ctx: Context, resource: Any) -> str:
        clock.now += STEP
        return "works"

    async def waits(ctx: Context, resource: Any) -> str:
        for _ in range(3):
            clock.now += STEP
            await asyncio.sleep(0)
        return "waits"

    async with make(worker_count=40, sync_in_thread=False) as m:
        m._engine.turns.clock = clock
        _, futures = await watched(m, clock, lambda: [m.submit((works, waits)[n % 2]) for n in range(2000)])
        assert [future.result() for future in futures] == ["works", "waits"] * 1000
        for _ in range(4000):
            m.submit(works)
        await asyncio.sleep(0)
        m.resize(worker_count=1, max_worker_count=1)
        await m.kill()
        assert m.stats().resources.alive == 0
