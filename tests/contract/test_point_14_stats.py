"""Point 14: stats are true at every moment."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from typing import Any

from support.waiting import FEWER, eventually
from tasker import Priority, TaskStats


class Sick(Exception):
    """The error that makes a resource unhealthy."""


def complaint(stats: TaskStats) -> str | None:
    """What is wrong with a snapshot."""
    flat = {**dataclasses.asdict(stats), **dataclasses.asdict(stats.resources)}
    negative = [name for name, value in flat.items() if isinstance(value, int) and value < 0]
    if negative:
        return f"negative: {negative} in {stats}"
    known = stats.queued_tasks + stats.priority_tasks + stats.running_tasks + stats.done_tasks
    if known != stats.accepted_tasks:
        return f"{known} != accepted in {stats}"
    ledger = stats.resources
    if ledger.created != ledger.destroyed + ledger.alive + ledger.lost:
        return f"ledger in {stats}"
    return None


async def load(m: Any, kit: Any, submitters: int, each: int) -> list[Any]:
    """A mixed load: priorities, failures, retries, cancels, run_task."""
    futures: list[Any] = []

    async def feed(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(each):
            body = rng.choice(
                [
                    kit.returns(),
                    kit.raises(ValueError()),
                    kit.script(Sick(), "again"),
                    kit.pauses(0.0005),
                ]
            )
            future = await m.submit(body, priority=rng.choice(list(Priority)))
            futures.append(future)
            if rng.random() < 0.1:
                future.cancel()
            if rng.random() < 0.05:
                await m.run_task(kit.returns())

    await asyncio.gather(*[feed(seed) for seed in range(submitters)])
    return futures


async def test_point_14_the_identities_hold_under_load(engine: Any, kit: Any) -> None:
    """Nothing is negative and queued + running + done equals accepted in every snapshot."""
    async with engine.manager(
        worker_count=2,
        max_worker_count=4,
        burst_interval=0.02,
        resource_pool_size=1,
        check_health=kit.hook(lambda error: not isinstance(error, Sick)),
    ) as m:
        async with engine.watching(m, complaint) as watch:
            futures = await load(m, kit, submitters=16, each=40 // FEWER)
            await eventually(lambda: all(future.done() for future in futures), 60)
        assert watch.violations == []
        assert watch.looks > 50
        await eventually(lambda: m.stats().running_tasks == 0)
        assert m.stats().done_tasks == m.stats().accepted_tasks


async def test_point_14_the_identities_hold_during_a_kill(engine: Any, kit: Any) -> None:
    """The same while a kill throws away a queue."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        for _ in range(2):
            await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(2)
        for _ in range(300):
            await m.submit(kit.returns())
        async with engine.watching(m, complaint) as watch:
            await m.kill()
        assert watch.violations == []
        stats = m.stats()
        assert (stats.queued_tasks, stats.priority_tasks, stats.running_tasks) == (0, 0, 0)
        assert stats.done_tasks == stats.accepted_tasks == 302


async def test_point_14_exact_numbers_at_rest(engine: Any, kit: Any) -> None:
    """With one task running and three queued the numbers are exactly these."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.queue_task(kit.returns())
        await eventually(lambda: m.stats().running_tasks == 0)
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        for _ in range(2):
            await m.submit(kit.returns())
        await m.submit(kit.returns(), priority=Priority.HIGH)
        stats = m.stats()
        assert stats.running_tasks == 1
        assert (stats.queued_tasks, stats.priority_tasks) == (2, 1)
        assert (stats.done_tasks, stats.accepted_tasks) == (1, 5)
        gate.open()


async def test_point_14_a_cancelled_queued_task_counts_as_done(engine: Any, kit: Any) -> None:
    """Cancelling a queued task moves it from queued to done at once."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        future = await m.submit(kit.returns())
        assert m.stats().queued_tasks == 1
        assert future.cancel()
        stats = m.stats()
        assert (stats.queued_tasks, stats.done_tasks, stats.accepted_tasks) == (0, 1, 2)
        gate.open()


async def test_point_14_refused_tasks_are_not_accepted(engine: Any, kit: Any) -> None:
    """A task that was refused appears nowhere."""
    from tasker import ShutdownError

    async with engine.manager() as m:
        await m.queue_task(kit.returns())
        await m.stop()
        try:
            await m.submit(kit.returns())
        except ShutdownError:
            pass
        assert m.stats().accepted_tasks == m.stats().done_tasks == 1
