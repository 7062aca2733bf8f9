"""What becomes of a resource between two tasks: on_return resets it, and limits of tasks and of time have it replaced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import Config, ConfigError, TaskManager

BOOM = OSError("no")


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time, and no pool for run_task."""
    return engine.manager(worker_count=1, max_worker_count=1, **config)


def notes(kit: Any, served: list[int]) -> Any:
    """A task that notes the number of its resource."""
    return kit.calls(lambda ctx, resource, *args: served.append(resource.number))


async def test_on_return_follows_each_task(engine: Any, kit: Any) -> None:
    """It is called after a success, after a failure of the task's own and after a cancelled attempt, with the resource."""
    returned: list[int] = []
    on_return = kit.hook(lambda resource: returned.append(resource.number))
    async with pool(engine, resources=ScriptedResources(), on_return=on_return) as m:
        assert await m.queue_task(kit.returns(1)) == 1
        await eventually(lambda: returned == [1])
        with pytest.raises(ValueError, match="mine"):
            await m.queue_task(kit.raises(ValueError("mine")))
        await eventually(lambda: returned == [1] * 2)
        gate = engine.gate()
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        future.cancel()
        await eventually(lambda: returned == [1] * 3)
        assert m.stats().replaced_workers == m.stats().renewed_workers == 0


async def test_on_return_is_not_for_a_resource_that_goes(engine: Any, kit: Any) -> None:
    """After an unhealthy error the resource is destroyed without it, where it is known by then."""
    if judges_elsewhere(engine):
        pytest.skip("a process resets its resource before this one has judged the error")
    returned: list[int] = []
    on_return = kit.hook(lambda resource: returned.append(resource.number))
    unhealthy = kit.hook(lambda error: False)
    async with pool(engine, resources=ScriptedResources(), on_return=on_return, check_health=unhealthy) as m:
        assert await m.queue_task(kit.script(BOOM, "second")) == "second"
        await eventually(lambda: returned == [2])


def judges_elsewhere(engine: Any) -> bool:
    """Whether tasks run where errors are not judged."""
    return engine.elsewhere


async def test_a_failed_on_return_replaces_the_resource(engine: Any, kit: Any) -> None:
    """The result of the task stands, the error is logged and counted, and the next task gets another resource."""
    script: list[Any] = [BOOM]

    def on_return(resource: Any) -> None:
        if len(script):
            raise script.pop()

    logger = RecordingLogger()
    resources = ScriptedResources()
    async with pool(engine, resources=resources, on_return=kit.hook(on_return), logger=logger) as m:
        futures = [await m.submit(kit.returns(n)) for n in range(20)]
        assert [await future for future in futures] == [*range(20)]
        await eventually(lambda: len(resources.created) == 2)
        assert [one.number for one in resources.destroyed] == [1]
        await eventually(lambda: m.stats().user_errors == 1)
        assert (m.stats().replaced_workers, m.stats().renewed_workers, m.stats().lost_workers) == (1, 0, 0)
        assert "OSError: no" in logger.text("error")


async def test_on_return_in_run_task(engine: Any, kit: Any) -> None:
    """A resource of run_task's pool is reset as well, and replaced if that fails."""
    calls: list[int] = []

    def on_return(resource: Any) -> None:
        calls.append(resource.number)
        if len(calls) == 2:
            raise OSError("no")

    async with pool(
        engine,
        resources=ScriptedResources(),
        resource_pool_size=1,
        max_temporary_resources=0,
        on_return=kit.hook(on_return),
    ) as m:
        for number in range(2):
            assert await m.run_task(kit.returns(number)) == number
        await eventually(lambda: m.stats().available_resources == 1)
        assert await m.run_task(kit.returns("third")) == "third"
        await eventually(lambda: len(calls) == 3)
        assert calls[0] == calls[1] != calls[2]


async def test_a_resource_serves_so_many_tasks(engine: Any, kit: Any) -> None:
    """After max_tasks_per_resource tasks, failed ones included, another resource takes its place."""
    served: list[int] = []
    resources = ScriptedResources()
    body = notes(kit, served)
    async with pool(engine, resources=resources, max_tasks_per_resource=3) as m:
        futures = [await m.submit(body) for _ in range(9)]
        for future in futures:
            await future
        assert served == [1] * 3 + [2] * 3 + [3] * 3
        await eventually(lambda: m.stats().renewed_workers >= 2)
        assert m.stats().replaced_workers == 0


async def test_a_resource_of_run_task_serves_so_many_tasks(engine: Any, kit: Any) -> None:
    """The limit holds for the pool of run_task, too."""
    served: list[int] = []
    async with pool(engine, resources=ScriptedResources(), resource_pool_size=1, max_tasks_per_resource=2) as m:
        for _ in range(4):
            await eventually(lambda: m.stats().available_resources == 1)
            await m.run_task(notes(kit, served))
        assert served[0] == served[1] != served[2] == served[3]


async def test_a_pool_whose_resources_wear_out_is_not_used_up(engine: Any, kit: Any) -> None:
    """A worn resource of run_task's pool is renewed before the next call, which needs no temporary one meanwhile."""
    if judges_elsewhere(engine):
        pytest.skip("a session that is worn out ends with the call, and the pool is refilled")
    resources = ScriptedResources()
    limits = {"resource_pool_size": 1, "max_temporary_resources": 0, "max_tasks_per_resource": 1}
    async with pool(engine, resources=resources, **limits) as m:
        for number in range(20):
            assert await m.run_task(kit.returns(number)) == number
        await eventually(lambda: len(resources.created) == 21, what="20 for them, 1 for the worker")


async def test_a_lifetime_is_judged_before_use(engine: Any, kit: Any) -> None:
    """An idle resource that has grown too old runs no task: the worker gives the task to the one that replaces it."""
    served: list[int] = []
    resources = ScriptedResources()
    async with pool(engine, resources=resources, max_resource_lifetime=0.3) as m:
        await m.queue_task(notes(kit, served))
        await asyncio.sleep(0.4)  # what the option is about
        await m.queue_task(notes(kit, served))
        assert served == [1, 2]
        assert m.stats().renewed_workers == 1


async def test_both_options_under_load(engine: Any, kit: Any) -> None:
    """No task is lost, and each resource ends once, whatever the order of the limits and of failing resets."""
    flips: list[int] = []

    def on_return(resource: Any) -> None:
        flips.append(resource.number)
        if len(flips) % 7 == 0:
            raise OSError("no")

    async with engine.manager(
        resources=ScriptedResources(), worker_count=3, max_tasks_per_resource=5, on_return=kit.hook(on_return)
    ) as m:
        futures = [await m.submit(kit.returns(n), once=True) for n in range(100)]
        assert [await future for future in futures] == [*range(100)]


def test_an_asynchronous_on_return_needs_a_loop() -> None:
    """A TaskManager refuses it, since a coroutine that nothing awaits resets nothing."""

    async def on_return(resource: object) -> None:
        pass

    with pytest.raises(ConfigError, match=r"Config\.on_return is asynchronous"):
        TaskManager(Config(on_create=object, worker_count=1, on_return=on_return))
