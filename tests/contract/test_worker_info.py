"""Who am I: on_create(worker) and ctx.worker know the worker, and per_worker hands a value out to each."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually
from tasker import Config, ConfigError, ResourceError, TaskManager, WorkerInfo


def seen(kit: Any) -> Any:
    """A task that returns what it knows of its worker, and what its resource is."""
    return kit.calls(lambda ctx, resource, *args: (ctx.worker, resource))


def makes_worker(engine: Any) -> Any:
    """An on_create that makes the worker itself the resource."""
    if engine.name.startswith("asyncio") and "plain" not in engine.name:

        async def create(worker: WorkerInfo) -> WorkerInfo:
            return worker

    else:

        def create(worker: WorkerInfo) -> WorkerInfo:  # type: ignore[misc]
            return worker

    return create


async def test_both_know_the_same(engine: Any, kit: Any) -> None:
    """on_create and the tasks of a worker get the same slot, name, generation and value."""
    async with engine.manager(
        on_create=makes_worker(engine), name="crew", worker_count=1, per_worker=["gpu 0"], max_worker_count=1
    ) as m:
        worker, resource = await m.queue_task(seen(kit))
        assert worker == resource == WorkerInfo(1, m.raw.config.name + "-1", worker.generation, "gpu 0")
        assert worker.generation > 0


async def test_each_has_its_own(engine: Any, kit: Any) -> None:
    """Workers that are alive at the same time share neither slot nor value."""
    gate = engine.gate()
    values = ["a", "b", "c"]
    async with engine.manager(
        on_create=makes_worker(engine), worker_count=3, max_worker_count=3, per_worker=values
    ) as m:
        holding = [await m.submit(kit.both(lambda ctx, resource: None, kit.holds(gate))) for _ in range(2)]
        await gate.arrivals(2)
        third = await m.queue_task(seen(kit))
        gate.open()
        for future in holding:
            await future
        assert third[0].slot in (1, 2, 3)
        assert third[0].value == values[third[0].slot - 1]


async def test_a_replacement_takes_the_slot_over(engine: Any, kit: Any) -> None:
    """The worker that replaces another one has its slot and value, and a generation of its own."""
    async with engine.manager(
        on_create=makes_worker(engine),
        worker_count=1,
        max_worker_count=1,
        per_worker=["gpu"],
        check_health=kit.hook(lambda error: False),
        max_retries=0,
    ) as m:
        before, _ = await m.queue_task(seen(kit))
        future = await m.submit(kit.raises(OSError("broken")))
        await eventually(future.done)
        after, _ = await m.queue_task(seen(kit))
        assert (after.slot, after.value) == (before.slot, before.value)
        assert after.generation > before.generation


async def test_without_a_parameter_a_task_knows_it_all_the_same(engine: Any, kit: Any) -> None:
    """ctx.worker needs no on_create(worker); on_cancel and cancelled work below it as ever."""
    async with engine.manager(worker_count=1) as m:
        worker = await m.queue_task(kit.calls(lambda ctx, resource, *args: ctx.worker))
        assert (worker.slot, worker.value) == (1, None)
        gate = engine.gate()
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        future.cancel()
        await eventually(future.done)


async def test_run_task_has_no_worker(engine: Any, kit: Any) -> None:
    """Its resource is made for slot 0, its context has no worker, and with per_worker it is refused."""
    async with engine.manager(on_create=makes_worker(engine), worker_count=1) as m:
        worker, resource = await m.run_task(seen(kit))
        assert worker is None
        assert (resource.slot, resource.generation, resource.value) == (0, 0, None)
    async with engine.manager(
        on_create=makes_worker(engine), worker_count=1, max_worker_count=1, per_worker=[1], resource_pool_size=0
    ) as m:
        with pytest.raises(ResourceError, match="per_worker has no value for run_task"):
            await m.run_task(seen(kit))
        with pytest.raises(ConfigError, match="max_worker_count must be at most 1, the values of per_worker"):
            m.raw.resize(max_worker_count=2)


def two(worker: object, path: str) -> None:
    """Takes too much."""


def only_by_name(*, worker: object) -> None:
    """Takes it by name alone."""


@pytest.mark.parametrize("wrong", [two, only_by_name, lambda path: None], ids=["two", "keyword", "another"])
def test_other_parameters_are_refused(wrong: Any) -> None:
    """Whatever on_create requires besides is an error of the configuration, and is named."""
    with pytest.raises(ConfigError, match=r"Config\.on_create must take no argument, or one that is called worker"):
        Config(on_create=wrong, worker_count=1)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"per_worker": "ab"}, "a sequence of values"),
        ({"per_worker": {1, 2}}, "a sequence of values"),
        ({"per_worker": [1]}, "at least as many values as max_worker_count, 2"),
        ({"per_worker": [1, 2], "on_create": object}, "left out where on_create has no parameter"),
        ({"per_worker": [1, 2], "resource_pool_size": 1}, "0 where per_worker= is given"),
    ],
)
def test_wrong_values(wrong: Any, text: str) -> None:
    """Too few values, none where nothing takes them, or with a pool for run_task."""
    with pytest.raises(ConfigError, match=text):
        Config(**{"on_create": lambda worker: worker, "worker_count": 1, **wrong})


def test_what_has_no_signature_takes_none() -> None:
    """Callables in C, and functions with defaults, are called without."""
    assert not Config(on_create=dict, worker_count=1).takes_worker
    assert not Config(on_create=lambda worker=None: worker, worker_count=1).takes_worker
    assert Config(on_create=lambda worker: worker, worker_count=1).pool_size == 0


def test_a_manager_in_a_task_has_workers_of_its_own() -> None:
    """Where Config.ctx is the context of a task, ctx.worker is that manager's worker or none, and not the outer one's."""
    with TaskManager(Config(on_create=object, worker_count=1, name="outer")) as outer:

        def inner(ctx: Any, resource: object) -> tuple[Any, Any]:
            with TaskManager(Config(on_create=object, worker_count=1, name="inner", ctx=ctx)) as m:
                return m.queue_task(lambda ctx, resource: ctx.worker), m.run_task(lambda ctx, resource: ctx.worker)

        own, none = outer.queue_task(inner)
        assert own.name == "inner-1"
        assert none is None
