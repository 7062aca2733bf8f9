"""While it is tried whether fewer workers do as much, the others are parked: they keep their resources and take no tasks."""

from __future__ import annotations

from typing import Any

from support.internals import try_fewer_workers
from support.waiting import eventually
from tasker import Decision

LONG = 600.0


class Wants:
    """A policy that wants so many workers, or as many as are of use."""

    def __init__(self, target: int) -> None:
        self.target = target

    def decide(self, snapshot: Any, now: float, /) -> Any:
        """See ``ScalingPolicy``."""
        useful = snapshot.useful
        return Decision(self.target if useful is None else min(self.target, useful), "wanted")


async def parked(m: Any, count: int) -> None:
    """Have all idle workers but `4 - count` parked."""
    await eventually(lambda: m.stats().active_workers == 4)
    try_fewer_workers(m, 4 - count, LONG)
    await eventually(lambda: m.stats().parked_workers == count)


async def test_they_take_no_tasks_and_keep_their_resources(engine: Any, kit: Any) -> None:
    """With three of four workers parked one task runs at a time; when the trial is over, four do, and none was made."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, max_worker_count=4, scaling=Wants(4), burst_interval=0.05) as m:
        await parked(m, 3)
        futures = [await m.submit(kit.holds(gate)) for _ in range(4)]
        await gate.arrivals(1)
        await eventually(lambda: m.stats().running_tasks == 1)  # a child may be there before that is noted here
        stats = m.stats()
        assert (stats.active_workers, stats.running_tasks, stats.queued_tasks) == (1, 1, 3)
        assert len(m.resources.alive) == 4
        try_fewer_workers(m, 1, 0.0)
        await gate.arrivals(4)
        gate.open()
        for future in futures:
            await future.result()
        await eventually(lambda: (m.stats().parked_workers, m.stats().active_workers) == (0, 4))
        assert len(m.resources.created) == 4
        assert m.stats().lost_workers == m.stats().replaced_workers == 0


async def test_a_busy_worker_is_parked_after_its_task(engine: Any, kit: Any) -> None:
    """The order to park comes before the tasks that wait."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, max_worker_count=4, scaling=Wants(4), burst_interval=0.05) as m:
        await eventually(lambda: m.stats().active_workers == 4)
        first = [await m.submit(kit.holds(gate)) for _ in range(4)]
        await gate.arrivals(4)
        later = [await m.submit(kit.returns(number)) for number in range(40)]
        try_fewer_workers(m, 1, LONG)
        gate.open()
        for future in (*first, *later):
            await future.result()
        await eventually(lambda: m.stats().parked_workers == 3)
        assert m.stats().active_workers == 1


async def test_a_stop_has_them_serve(engine: Any, kit: Any) -> None:
    """Their resources are destroyed, each once, and what was queued is done."""
    async with engine.manager(worker_count=1, max_worker_count=4, scaling=Wants(4), burst_interval=0.05) as m:
        await parked(m, 3)
        futures = [await m.submit(kit.returns(number)) for number in range(20)]
        report = await m.stop()
        assert [await future.result() for future in futures] == list(range(20))
        assert not report.killed
        assert not report.abandoned


async def test_a_kill_ends_them(engine: Any, kit: Any) -> None:
    """A parked worker is as quick to end as an idle one."""
    async with engine.manager(worker_count=1, max_worker_count=4, scaling=Wants(4), burst_interval=0.05) as m:
        await parked(m, 3)
        report = await m.kill(30)
        assert not report.abandoned
        ledger = m.stats().resources
        assert (ledger.created, ledger.destroyed) == (ledger.destroyed, ledger.created)


async def inner(own: Any) -> str:
    """A task that another one waits for."""
    return "inner"


async def test_a_wait_for_the_own_manager_needs_one_of_them(engine: Any, kit: Any) -> None:
    """If all workers that serve wait for tasks of the same manager, a parked one takes those: no deadlock, no alarm."""
    async with engine.manager(worker_count=1, max_worker_count=4, scaling=Wants(4), burst_interval=0.05) as m:
        await parked(m, 3)

        async def outer(own: Any) -> Any:
            return await own.queue_task(engine.inside_task(m, inner))

        assert await m.queue_task(engine.inside_task(m, outer)) == "inner"
