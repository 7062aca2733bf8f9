"""Point 4: an unhealthy error ends the worker, replaces it and retries the task."""

from __future__ import annotations

from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import MaxRetriesExceeded, Priority


class Sick(Exception):
    """The error that makes a resource unhealthy."""


def healthy(error: BaseException) -> bool:
    """Whether the resource survives the error."""
    return not isinstance(error, Sick)


async def test_point_04_the_task_is_retried_on_another_resource(engine: Any, kit: Any) -> None:
    """The retry gets a new resource and its result is delivered."""
    seen: list[Any] = []

    def body(ctx: Any, resource: Any) -> Any:
        seen.append(resource)
        if len(seen) == 1:
            raise Sick
        return "well"

    async with engine.manager(check_health=kit.hook(healthy)) as m:
        future = await m.submit(kit.calls(body))
        assert await future.result() == "well"
        assert future.attempts == 2
        assert seen[0] is not seen[1]
        await eventually(lambda: m.resources.destroyed == [seen[0]])
        await eventually(lambda: m.stats().replaced_workers == 1)


async def test_point_04_the_retry_has_high_priority(engine: Any, kit: Any) -> None:
    """A low task that is retried goes before normal tasks that wait."""
    creation = engine.gate()
    log: list[Any] = []
    sick = kit.script(Sick(), "well")
    async with engine.manager(resources=ScriptedResources(None, creation), check_health=kit.hook(healthy)) as m:
        await m.submit(sick, priority=Priority.LOW, callback=lambda result, error: log.append("low"))
        await creation.arrivals(1)
        for number in range(3):
            await m.submit(kit.records(log, number))
        assert m.stats().priority_tasks == 1
        creation.open()
    assert log == ["low", 0, 1, 2]


async def test_point_04_the_retry_overtakes_what_was_queued(engine: Any, kit: Any) -> None:
    """The retry runs before normal tasks that were queued before it failed."""
    gate = engine.gate()
    log: list[Any] = []

    def body(ctx: Any, resource: Any) -> None:
        log.append("retried")
        if log.count("retried") == 1:
            raise Sick

    async with engine.manager(check_health=kit.hook(healthy)) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.submit(kit.calls(body))
        for number in range(3):
            await m.submit(kit.records(log, number))
        gate.open()
    assert log == ["retried", "retried", 0, 1, 2]


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_point_04_retries_run_out(engine: Any, kit: Any, retries: int) -> None:
    """After max_retries retries the caller gets MaxRetriesExceeded with the last error as cause."""
    errors = [Sick(str(n)) for n in range(retries + 1)]
    async with engine.manager(check_health=kit.hook(healthy), max_retries=retries) as m:
        future = await m.submit(kit.script(*errors, "too late"))
        with pytest.raises(MaxRetriesExceeded) as caught:
            await future.result()
        assert caught.value.attempts == retries + 1 == future.attempts
        assert engine.same(caught.value.__cause__, errors[-1])
        assert str(retries + 1) in str(caught.value) or str(retries) in str(caught.value)


async def test_point_04_once_is_not_retried(engine: Any, kit: Any) -> None:
    """A once task ends with its own error; its worker is replaced all the same."""
    error = Sick("only once")
    async with engine.manager(check_health=kit.hook(healthy)) as m:
        future = await m.submit(kit.script(error, "again"), once=True)
        with pytest.raises(Sick) as caught:
            await future.result()
        assert engine.same(caught.value, error)
        assert future.attempts == 1
        await eventually(lambda: len(m.resources.created) == 2)
        assert len(m.resources.destroyed) == 1


async def test_point_04_capacity_survives_many_sick_errors(engine: Any, kit: Any) -> None:
    """Unhealthy errors on every worker leave the manager at full strength."""
    gate = engine.gate()
    async with engine.manager(worker_count=4, check_health=kit.hook(healthy)) as m:
        sick = [await m.submit(kit.raises(Sick()), once=True) for _ in range(40)]
        for future in sick:
            assert isinstance(await future.exception(), Sick)
        for _ in range(4):
            await m.submit(kit.holds(gate))
        await gate.arrivals(4)
        assert m.stats().base_workers == 4
        gate.open()


async def test_point_04_a_full_queue_has_room_for_the_retry(engine: Any, kit: Any) -> None:
    """With a full bounded queue the retry still runs, and the queued task too."""
    gate = engine.gate()
    attempts: list[int] = []

    def body(ctx: Any, resource: Any) -> str:
        attempts.append(resource.number)
        if len(attempts) < 3:
            raise Sick
        return "done"

    async with engine.manager(check_health=kit.hook(healthy), max_queue_size=1) as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        task = await m.submit(kit.calls(body))
        gate.open()
        await eventually(lambda: attempts)
        queued = await m.submit(kit.returns("queued"))
        assert await task.result() == "done"
        assert len(set(attempts)) == 3
        assert await queued.result() == "queued"


async def test_point_04_a_retry_waits_beside_a_full_queue(engine: Any, kit: Any) -> None:
    """A retry that finds the queue full waits beside it; nothing is dropped."""
    gate, creation = engine.gate(), engine.gate()
    resources = ScriptedResources(None, creation)

    async with engine.manager(resources=resources, check_health=lambda error: False, max_queue_size=1) as m:
        holding = kit.holds(gate)
        steps = iter([Sick("first"), None])

        def fail_once(ctx: Any, resource: Any) -> str:
            error = next(steps)
            if error:
                raise error
            return "retried"

        blocker = await m.submit(holding)
        await gate.arrivals(1)
        task = await m.submit(kit.calls(fail_once))
        gate.open()
        await creation.arrivals(1)
        queued = await m.submit(kit.returns("queued"), queue_timeout=20)
        creation.open()
        assert await task.result() == "retried"
        assert await queued.result() == "queued"
        await blocker.result()


async def test_point_04_check_health_gets_the_error_itself(engine: Any, kit: Any) -> None:
    """check_health is called with the very error that the task raised."""
    seen: list[BaseException] = []

    def judge(error: BaseException) -> bool:
        seen.append(error)
        return True

    error = LookupError("this one")
    async with engine.manager(check_health=kit.hook(judge)) as m:
        await m.queue_task(kit.returns())
        assert seen == []
        with pytest.raises(LookupError):
            await m.queue_task(kit.raises(error))
    assert len(seen) == 1
    assert engine.same(seen[0], error)
