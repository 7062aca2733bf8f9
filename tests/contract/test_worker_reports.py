"""workers() and worker_stack(): what each worker does at this moment."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually
from tasker import WorkerStatus


def by_name(manager: Any) -> dict[str, WorkerStatus]:
    """The workers of a manager."""
    return {one.name: one for one in manager.raw.workers()}


async def test_a_worker_tells_its_task_and_its_age(engine: Any, kit: Any) -> None:
    """While a task runs its worker names it, its attempt and for how long; afterwards it has served one more."""
    gate = engine.gate()
    async with engine.manager(worker_count=1, name="crew") as m:
        await eventually(lambda: [one.state for one in m.raw.workers()] == ["ready"])
        (idle,) = m.raw.workers()
        assert (idle.slot, idle.name, idle.served, idle.task, idle.task_seconds) == (
            1,
            m.raw.config.name + "-1",
            0,
            None,
            None,
        )
        assert idle.age is not None and idle.age >= 0
        future = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await eventually(lambda: m.raw.workers()[0].task_seconds is not None)
        (busy,) = m.raw.workers()
        assert busy.task is not None and busy.task.startswith(f"task #{future.raw.id} ")
        assert busy.attempt == 1 and busy.task_seconds is not None and 0 <= busy.task_seconds < 60
        assert busy.age is not None and busy.age >= busy.task_seconds
        assert busy.generation == idle.generation and busy.served == 0
        gate.open()
        await future
        await eventually(lambda: (m.raw.workers()[0].served, m.raw.workers()[0].task) == (1, None))
    assert m.raw.workers() == ()


async def test_a_replacement_has_served_nothing(engine: Any, kit: Any) -> None:
    """The worker that takes a slot over begins to count anew, with a resource of its own age."""
    async with engine.manager(
        worker_count=1, max_worker_count=1, check_health=kit.hook(lambda error: False), max_retries=0
    ) as m:
        assert await m.queue_task(kit.returns(1)) == 1
        await eventually(lambda: [one.served for one in m.raw.workers()] == [1])
        (first,) = m.raw.workers()
        future = await m.submit(kit.raises(OSError("broken")))
        await eventually(future.done)
        await eventually(
            lambda: [one.state for one in m.raw.workers() if one.generation > first.generation] == ["ready"]
        )
        (second,) = (one for one in m.raw.workers() if one.generation > first.generation)
        assert (second.slot, second.served, second.name) == (1, 0, first.name)
        assert await m.queue_task(kit.returns(2)) == 2
        await eventually(lambda: [one.served for one in m.raw.workers()] == [1])


async def test_a_worker_that_starts_has_no_age(engine: Any, kit: Any) -> None:
    """Before its resource is made a worker is starting, and has served nothing."""
    async with engine.manager(worker_count=1) as m:
        await eventually(lambda: [one.state for one in m.raw.workers()] == ["ready"])
        m.raw.resize(worker_count=2, max_worker_count=2)
        await eventually(lambda: len(m.raw.workers()) == 2)
        for one in m.raw.workers():
            assert (one.age is None) == (one.state == "starting")
            assert (one.served, one.task) == (0, None)


async def test_arguments_only_where_asked_for(engine: Any, kit: Any) -> None:
    """A status shows no argument of a task, unless the caller wants them; then shortened."""
    gate = engine.gate()
    async with engine.manager(worker_count=1) as m:
        future = await m.submit(kit.both(lambda ctx, resource, *args: None, kit.holds(gate)), "s3cret" * 100)
        await gate.arrivals(1)
        await eventually(lambda: m.raw.workers()[0].task is not None)
        assert "s3cret" not in repr(m.raw.workers())
        (busy,) = m.raw.workers(arguments=True)
        assert busy.arguments is not None and "s3cret" in busy.arguments and len(busy.arguments) <= 200
        gate.open()
        await future


async def test_the_place_of_a_worker(engine: Any, kit: Any) -> None:
    """worker_stack() tells where a worker is; an unknown name is an error."""
    gate = engine.gate()
    async with engine.manager(worker_count=1) as m:
        future = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        place = m.raw.worker_stack(m.raw.workers()[0].name)
        if "ray" in engine.name:
            assert place  # the process; nothing tells its stack
        elif engine.elsewhere and not engine.pickles:
            assert place
        else:
            assert "in holding" in place
        with pytest.raises(LookupError, match="no worker 'nobody'"):
            m.raw.worker_stack("nobody")
        gate.open()
        await future


async def test_the_memory_of_a_child(engine: Any, kit: Any) -> None:
    """Over child processes each worker has the figures of its own."""
    async with engine.manager(worker_count=2, max_worker_count=2) as m:
        await eventually(lambda: [one.state for one in m.raw.workers()] == ["ready", "ready"])
        for one in m.raw.workers():
            if "processes" not in engine.name:
                assert one.process is None
            else:
                assert one.process is not None and one.process.worker == one.name and one.process.rss > 1_000_000
