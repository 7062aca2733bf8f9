"""An on_return that hangs wedges no pool: with return_timeout its worker is stuck, like one in any callback that hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import Config, ConfigError, ProcessBackend

LATE = 60.0
LIMIT = 0.3


def pool(engine: Any, on_return: Any, **config: Any) -> Any:
    """One worker at a time, which resets its resource within a limit; not where it lives elsewhere."""
    if engine.elsewhere:
        pytest.skip("on_return is a part of the attempt there, and has the timeout of the task")
    return engine.manager(max_worker_count=1, on_return=on_return, **{"return_timeout": LIMIT, **config})


def hanging(engine: Any, gate: Any, number: int = 1) -> Any:
    """An on_return that waits for the gate if it gets the resource of that number."""

    def on_return(resource: Any) -> None:
        if resource.number == number:
            gate.pass_through()

    async def aon_return(resource: Any) -> None:
        if resource.number == number:
            await gate.apass_through()

    return aon_return if asyncio.iscoroutinefunction(engine.kit.hook(lambda: None)) else on_return


def in_place(engine: Any) -> bool:
    """Whether it can only be left to itself: no coroutine."""
    return engine.name in ("threads", "asyncio, plain functions")


async def test_another_worker_takes_the_place(engine: Any, kit: Any) -> None:
    """The outcome of the task stands; the next one is run with another resource, and the first is destroyed in the end."""
    gate, resources = engine.gate(), ScriptedResources()
    async with pool(engine, hanging(engine, gate), resources=resources) as m:
        assert await m.queue_task(kit.returns("first")) == "first"
        assert await asyncio.wait_for(m.queue_task(kit.returns("second"), once=True), LATE) == "second"
        assert m.stats().stuck_workers == in_place(engine)
        gate.open()
        await eventually(lambda: m.stats().stuck_workers == 0)
        await eventually(lambda: [one.number for one in resources.destroyed] == [1])
        for number in range(3):
            assert await m.queue_task(kit.returns(number)) == number
        assert len(resources.created) == 2


async def test_one_that_is_in_time(engine: Any, kit: Any) -> None:
    """Its worker serves on, and is not counted; one that raises has its resource replaced, as without a limit."""
    calls: list[int] = []

    def on_return(resource: Any) -> None:
        calls.append(resource.number)
        if len(calls) == 3:
            raise OSError("no")

    resources = ScriptedResources()
    hook = engine.kit.hook(on_return)
    async with pool(engine, hook, resources=resources, return_timeout=LATE) as m:
        for number in range(5):
            assert await m.queue_task(kit.returns(number)) == number
        await eventually(lambda: calls == [1, 1, 1, 2, 2])
        assert (m.stats().replaced_workers, m.stats().user_errors, m.stats().stuck_workers) == (1, 1, 0)


async def test_a_stop_does_not_wait_for_it(engine: Any, kit: Any) -> None:
    """It names the worker, and what it is in."""
    if not in_place(engine):
        pytest.skip("it is ended by force there")
    gate = engine.gate()
    async with pool(engine, hanging(engine, gate), resources=ScriptedResources()) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        report = await asyncio.wait_for(m.stop(), LATE)
        assert [one.partition(" (")[2] for one in report.abandoned] == ["in on_return)"]
        gate.open()


async def test_a_pause_does_not_wait_for_it(engine: Any, kit: Any) -> None:
    """Once it is stuck: its worker will run no task."""
    gate = engine.gate()
    async with pool(engine, hanging(engine, gate), resources=ScriptedResources()) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        assert await asyncio.wait_for(m.pause(), LATE)
        m.resume()
        assert await asyncio.wait_for(m.queue_task(kit.returns("next")), LATE) == "next"
        gate.open()


def test_wrong_options() -> None:
    """A limit of what there is not is refused, and so is one where on_return is a part of the attempt."""
    config: dict[str, Any] = {"on_create": object, "worker_count": 1, "return_timeout": 1}
    with pytest.raises(ConfigError, match=r"Config\.return_timeout must be left out where on_return is not given"):
        Config(**config)
    with pytest.raises(
        ConfigError, match=r"Config\.return_timeout must be left out where backend= is given: .*, got 1"
    ):
        Config(on_return=print, backend=ProcessBackend(), **config)
