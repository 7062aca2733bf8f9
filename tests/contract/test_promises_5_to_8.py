"""Promises 5 to 8: order, bounds, deadlines with nothing left, constant memory."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import Priority, TaskStats


class Sick(Exception):
    """The error that makes a resource unhealthy."""


def healthy(error: BaseException) -> bool:
    """Whether the resource survives the error."""
    return not isinstance(error, Sick)


class Load:
    """An argument or a result that takes weak references."""


def note(log: list[Any], key: Any) -> Any:
    """A function for kit.both that appends `key`."""
    return lambda ctx, resource: log.append(key)


async def test_promise_5_random_priorities_start_in_order(engine: Any, kit: Any) -> None:
    """Of what waits, the highest level goes first and in it the oldest."""
    rng = random.Random(5)
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        for number in range(300):
            level = rng.choice(list(Priority))
            await m.submit(kit.records(log, (level, number)), priority=level)
        gate.open()
    assert log == sorted(log)
    assert len(log) == 300


async def test_promise_5_holds_while_tasks_arrive(engine: Any, kit: Any) -> None:
    """In rounds of submitting while one task is held, each start is the best one waiting."""
    rng = random.Random(55)
    waiting: list[tuple[int, int]] = []
    async with engine.manager() as m:
        blocker = engine.gate()
        await m.submit(kit.holds(blocker))
        await blocker.arrivals(1)
        started: list[tuple[int, int]] = []
        gates: dict[tuple[int, int], Any] = {}
        number = 0
        for _ in range(25):
            for _ in range(rng.randint(0, 3)):
                number += 1
                key = (int(rng.choice(list(Priority))), number)
                gates[key] = engine.gate()
                body = kit.both(note(started, key), kit.holds(gates[key]))
                await m.submit(body, priority=Priority(key[0]))
                waiting.append(key)
            if not waiting:
                continue
            before = len(started)
            blocker.open()
            await eventually(lambda before=before: len(started) > before)  # type: ignore[misc]
            assert started[-1] == min(waiting)
            waiting.remove(started[-1])
            blocker = gates[started[-1]]
        engine.open_gates()


async def test_promise_6_workers_stay_within_their_bounds(engine: Any, kit: Any) -> None:
    """Under sick errors and a backlog there are never more workers than the maximum."""

    def check(stats: TaskStats) -> str | None:
        total = stats.base_workers + stats.burst_workers
        return f"{total} workers: {stats}" if total > 4 or stats.base_workers > 2 else None

    async with engine.manager(
        worker_count=2, max_worker_count=4, burst_interval=0.01, check_health=kit.hook(healthy)
    ) as m:
        async with engine.watching(m, check) as watch:
            futures = []
            for number in range(200):
                body = kit.script(Sick(), number) if number % 5 == 0 else kit.pauses(0.001)
                futures.append(await m.submit(body))
            for future in futures:
                await future.result()
        assert watch.violations == []
        assert m.resources.peak_alive <= 4


async def test_promise_6_a_lost_base_worker_is_always_replaced(engine: Any, kit: Any) -> None:
    """After any number of sick errors the base workers are complete again, without new tasks."""
    async with engine.manager(worker_count=3, check_health=kit.hook(healthy)) as m:
        for _ in range(5):
            for future in [await m.submit(kit.raises(Sick()), once=True) for _ in range(3)]:
                await future.exception()
            await eventually(lambda: len(m.resources.alive) == 3)
        await eventually(lambda: m.stats().base_workers == 3)
        await eventually(lambda: m.stats().replaced_workers == 15)


async def test_promise_6_replacement_survives_failing_creation(engine: Any, kit: Any) -> None:
    """A base worker is replaced also when the first creations for it fail."""
    async with engine.manager(
        resources=ScriptedResources(None, OSError(), OSError()), check_health=kit.hook(healthy)
    ) as m:
        await (await m.submit(kit.raises(Sick()), once=True)).exception()
        assert await m.queue_task(kit.returns("again")) == "again"


async def test_promise_7_stop_runs_all_that_was_accepted(engine: Any, kit: Any) -> None:
    """stop() after a pile of submits runs every one with a live context."""
    seen: list[bool] = []
    async with engine.manager(worker_count=2) as m:
        look = kit.calls(lambda ctx, resource: seen.append(ctx.cancelled))
        for _ in range(300):
            await m.submit(look)
        await m.stop()
        assert seen == [False] * 300


@pytest.mark.parametrize("call", ["kill", "stop"])
async def test_promise_7_it_returns_by_its_deadline(engine: Any, kit: Any, call: str) -> None:
    """With tasks and an on_create that ignore everything, the call returns near its deadline."""
    gate = engine.gate()
    resources = ScriptedResources(None, None, then=gate)
    async with engine.manager(resources=resources, worker_count=3, cancel_grace=0.2) as m:
        for _ in range(2):
            await m.submit(kit.holds(gate))
        await gate.arrivals(3)
        begin = time.monotonic()
        report = await getattr(m, call)(0.5)
        assert time.monotonic() - begin < 15
        assert report.killed
        assert len(report.abandoned) >= 2


async def test_promise_7_no_file_descriptor_is_left(engine: Any, kit: Any) -> None:
    """Managers that came and went leave no open file."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("needs /proc")

    async def one() -> None:
        async with engine.manager(worker_count=2, resource_pool_size=1) as m:
            await m.queue_task(kit.returns())
            await m.run_task(kit.returns())

    await one()
    before = len(list(descriptors.iterdir()))
    for _ in range(5):
        await one()
    await eventually(lambda: len(list(descriptors.iterdir())) <= before)


async def test_promise_8_a_finished_task_is_forgotten(engine: Any, kit: Any) -> None:
    """Arguments, result, error and future of a finished task are freed once the caller drops them."""
    refs: list[Any] = []

    async def use(m: Any) -> None:
        argument, result, error = Load(), Load(), ValueError("forgotten")
        refs.extend(map(weakref.ref, (argument, result)))
        future = await m.submit(kit.returns(result), argument)
        refs.append(weakref.ref(future.raw))
        await future.result()
        await m.queue_task(kit.echo(), argument)
        failed = await m.submit(kit.raises(error), argument)
        refs.append(weakref.ref(failed.raw))
        assert engine.same(await failed.exception(), error)

    async with engine.manager(worker_count=2) as m:
        await use(m)
        await eventually(lambda: gc.collect() >= 0 and not any(ref() for ref in refs), 15)


async def test_promise_8_a_cancelled_task_is_forgotten(engine: Any, kit: Any) -> None:
    """A cancelled queued task is freed before the queue reaches its place."""
    gate = engine.gate()
    refs: list[Any] = []

    async def use(m: Any) -> None:
        argument = Load()
        refs.append(weakref.ref(argument))
        future = await m.submit(kit.echo(), argument)
        assert future.cancel()

    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await use(m)
        await eventually(lambda: gc.collect() >= 0 and not any(ref() for ref in refs), 15)
        gate.open()


async def test_promise_8_memory_does_not_grow_with_completed_tasks(engine: Any, kit: Any) -> None:
    """Thousands of further tasks leave traced memory where it was."""

    async def many(m: Any, rounds: int) -> None:
        for _ in range(rounds):
            results = m.map(kit.echo(), range(500), look_ahead=50)
            async for _ in results:
                pass

    async with engine.manager() as m:
        tracemalloc.start()
        try:
            await many(m, 2)
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            await many(m, 8)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < 300_000, "4000 completed tasks must leave next to nothing"


async def test_promise_8_metrics_after_many_tasks_are_cheap(engine: Any, kit: Any) -> None:
    """stats() and metrics() can be asked thousands of times after thousands of tasks."""
    async with engine.manager() as m:
        futures = [await m.submit(kit.returns()) for _ in range(2000)]
        await futures[-1].result()
        begin = time.monotonic()
        for _ in range(500):
            m.stats()
            m.metrics()
        assert time.monotonic() - begin < 20
