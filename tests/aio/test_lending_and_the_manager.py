"""Tasks that their callers begin: the manager meanwhile, what is left, and the turns of the loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from support.internals import begun_by_caller
from support.observers import RecordingLogger
from support.waiting import eventually, failure
from tasker import Context, DeadlockError
from tasker.aio.lending import Habits
from tasker.aio.turns import BUDGET

from .tasks import at_once, idle, quick

STEP = 0.0001
"""The seconds of the scripted clock that a task takes."""


# -- the manager, meanwhile ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("waits", [False, True])
async def test_orders_in_the_first_step(make: Any, waits: bool) -> None:
    """A worker that is to retire, or to renew its resource, does so behind the task."""

    async def resizes(ctx: Context, resource: Any) -> Any:
        m.resize(worker_count=1, max_worker_count=1)
        if waits:
            await asyncio.sleep(0)
        return resource

    async def refreshes(ctx: Context, resource: Any) -> Any:
        done.append(m.refresh())
        if waits:
            await asyncio.sleep(0)
        return resource

    done: list[Any] = []
    async with make(worker_count=2) as m:
        await idle(m, 2)
        await m.queue_task(resizes)
        await eventually(lambda: m.stats().active_workers == 1 and m.stats().resources.alive == 1)
        await idle(m)
        outdated = await m.queue_task(refreshes)
        assert await done[0]
        assert await m.queue_task(quick) is not outdated


async def test_tasks_that_a_task_submits_in_its_first_step(make: Any) -> None:
    """The worker takes them behind it."""

    async def submits(ctx: Context, resource: Any) -> Any:
        return m.submit(quick)

    async with make() as m:
        await idle(m)
        assert await (await at_once(m.queue_task(submits))) is not None


async def test_tasks_that_wait_for_tasks(make: Any) -> None:
    """They are begun by each other, but not as deep as there are workers: the stack has room for all."""

    async def nested(ctx: Context, resource: Any, levels: int) -> int:
        return 1 + (await m.queue_task(nested, levels - 1) if levels else 0)

    limit = sys.getrecursionlimit()
    async with make(worker_count=300) as m:
        await idle(m, 300)
        assert await at_once(m.queue_task(nested, 5)) == 6
        sys.setrecursionlimit(400)
        try:
            assert await m.queue_task(nested, 290) == 291
        finally:
            sys.setrecursionlimit(limit)
        await idle(m, 300)


async def test_a_task_that_waits_for_its_own_saturated_pool(make: Any) -> None:
    """It raises DeadlockError in the task, which was begun by its caller."""

    async def outer(ctx: Context, resource: Any) -> Any:
        return await m.queue_task(quick)

    async with make() as m:
        await idle(m)
        with pytest.raises(DeadlockError, match="outer"):
            await m.queue_task(outer)
        assert await m.queue_task(quick) is not None


@pytest.mark.parametrize("child_waits", [0, 1, 3])
async def test_a_child_that_stops_the_manager(make: Any, child_waits: int) -> None:
    """It is refused, also before the worker has gone on with the task that waits for it."""

    async def child() -> None:
        for _ in range(child_waits):
            await asyncio.sleep(0)
        await m.stop()

    async def parent(ctx: Context, resource: Any) -> None:
        await asyncio.create_task(child())

    async with make() as m:
        await idle(m)
        with pytest.raises(DeadlockError, match="parent"):
            await m.queue_task(parent)
        assert not m.closed


@pytest.mark.parametrize("hook", ["check_health", "on_create"])
async def test_hooks_begin_no_tasks(make: Any, hook: str) -> None:
    """A hook that waits for a task of its own manager gets DeadlockError, also where that would end at once."""
    errors: list[BaseException] = []

    async def asks(*args: Any) -> Any:
        if hook == "on_create" and not managers:
            return object()
        try:
            await managers[0].queue_task(quick)
        except DeadlockError as error:
            errors.append(error)
        return object() if hook == "on_create" else True

    async def fails(ctx: Context, resource: Any) -> None:
        raise KeyError

    managers: list[Any] = []
    async with make(worker_count=2, max_worker_count=3, **{hook: asks}) as m:
        await idle(m, 2)
        managers.append(m)
        if hook == "check_health":
            await failure(m.queue_task(fails))
        else:
            m.resize(worker_count=3)
        await eventually(lambda: errors)
        assert "own manager" in str(errors[0])


async def test_a_slow_step_is_logged_once(make: Any) -> None:
    """The time between the first step and the worker's next one is none of the task's."""
    log = RecordingLogger()

    async def slow(ctx: Context, resource: Any) -> None:
        time.sleep(0.03)
        await asyncio.sleep(0)

    async def innocent(ctx: Context, resource: Any) -> None:
        asyncio.get_running_loop().call_soon(time.sleep, 0.03)
        await asyncio.sleep(0)

    async with make(logger=log, slow_callback=0.02) as m:
        for task in (innocent, slow):
            await idle(m)
            await begun_by_caller(m, task, ())
        found = [str(line) for line in log.lines if "event loop was held" in str(line)]
        assert len(found) == 1 and "slow" in found[0] and "innocent" not in found[0]


# -- what it leaves behind ----------------------------------------------------------------------------------------------


async def test_nothing_is_kept(make: Any) -> None:
    """An idle worker keeps neither function, arguments nor result, and measurements do not pile up."""

    class Kept:
        """What may be referred to weakly."""

    def task() -> Callable[..., Any]:
        async def returns(ctx: Context, resource: Any, argument: Any) -> Any:
            return Kept()

        return returns

    async with make() as m:
        await idle(m)
        function, argument = task(), Kept()
        result = await at_once(m.queue_task(function, argument))
        references = [weakref.ref(one) for one in (function, argument, result)]
        del function, argument, result
        gc.collect()
        assert [reference() for reference in references] == [None] * 3
        meter = next(iter(m._engine.counters.shards.values())).meter
        for _ in range(5000):
            await at_once(m.queue_task(quick))
            assert len(meter.execution) < 2500


# -- the loop's turns ---------------------------------------------------------------------------------------------------


class Clock:
    """A clock that moves when a task does."""

    def __init__(self) -> None:
        self.now = time.monotonic() + 1000

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("workers", [1, 4, 5, 64])
@pytest.mark.parametrize("callers", [1, 3, 100])
async def test_the_loop_has_its_turns(make: Any, workers: int, callers: int) -> None:
    """However many callers only wait for tasks that never wait, the loop has its turn after 5 ms at most."""
    clock = Clock()
    last, longest, done = clock.now, 0.0, 0

    async def works(ctx: Context, resource: Any) -> None:
        clock.now += STEP

    async def calls() -> None:
        for _ in range(600 // callers):
            await m.queue_task(works)

    async with make(worker_count=workers) as m:
        m._engine.turns.clock = clock
        await idle(m, workers)
        working = [asyncio.create_task(calls()) for _ in range(callers)]
        while not all(task.done() for task in working):
            await asyncio.sleep(0)
            longest, last = max(longest, clock.now - last), clock.now
            done += 1
        assert longest <= BUDGET + 5 * STEP + 1e-6
        assert done > 600 * STEP / BUDGET
        await asyncio.gather(*working)


# -- which functions are begun ------------------------------------------------------------------------------------------


def test_functions_that_go_on_are_begun_less_and_less() -> None:
    """After each time twice as many are not begun, up to 256; after one that has ended, all are."""
    habits, numbers = Habits(), []
    for _ in range(11):
        habits.note(1, ended=False)
        numbers.append(habits.left[1])
    assert numbers == [1, 2, 4, 8, 16, 32, 64, 128, 256, 256, 256]
    habits.note(1, ended=True)
    habits.note(2, ended=True)
    assert not habits.left
    habits.note(1, ended=False)
    assert habits.left == {1: 1}


def test_functions_that_are_made_anew_do_not_pile_up() -> None:
    """What is known of them is forgotten."""
    habits = Habits()
    for number in range(100_000):
        habits.note(number, ended=False)
    assert len(habits.left) <= 1000


async def test_a_function_that_ends_at_once_only_now_and_then(make: Any) -> None:
    """It is begun again after a while."""
    begun = 0
    waits = True

    async def task(ctx: Context, resource: Any) -> None:
        if waits:
            await asyncio.sleep(0)

    async with make() as m:
        await idle(m)
        for _ in range(120):
            await m.queue_task(task)
        waits = False
        for _ in range(80):
            future = m._engine.lending.begin(task, ()) or m.submit(task)
            begun += future.done()
            await future
            await idle(m)
        assert begun >= 80 - 65
