"""check_resource looks at idle resources of run_task's pool at an interval, whether or not anybody calls run_task."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually, in_thread

LATE = 60.0


def pool(engine: Any, check: Any, **config: Any) -> Any:
    """A manager whose idle resources are checked again and again; its pool's have the first numbers."""
    defaults = {"max_worker_count": 1, "check_after_idle": LATE, "check_interval": 0.05, "resource_pool_size": 2}
    return engine.manager(**{**defaults, **config}, check_resource=engine.kit.hook(check))


def in_place(engine: Any) -> bool:
    """Whether a check that hangs can only be left to itself: no coroutine, no process."""
    return engine.name in ("threads", "asyncio, plain functions")


async def over(refresh: Any) -> bool:
    """Wait for a refresh."""
    if isinstance(refresh, Future):
        return await in_thread(refresh.result, LATE)  # type: ignore[no-any-return]
    return await asyncio.wait_for(refresh, LATE)  # type: ignore[no-any-return]


class Hanging:
    """A check that hangs for the first resource of the pool."""

    def __init__(self, engine: Any) -> None:
        self.gate = engine.gate()
        self.begun: list[int] = []
        asynchronous = asyncio.iscoroutinefunction(engine.kit.hook(lambda: None))
        self.hook: Any = self._acheck if asynchronous else self._check

    def _check(self, resource: Any) -> None:
        self.begun.append(resource.number)
        if resource.number == 1:
            self.gate.pass_through()

    async def _acheck(self, resource: Any) -> None:
        self.begun.append(resource.number)
        if resource.number == 1:
            await self.gate.apass_through()

    def manager(self, engine: Any, **config: Any) -> Any:
        """A manager with this check."""
        defaults = {
            "max_worker_count": 1,
            "check_after_idle": LATE,
            "check_interval": 0.05,
            "check_timeout": 0.3,
            "resource_pool_size": 1,
            "resources": ScriptedResources(),
        }
        return engine.manager(**{**defaults, **config}, check_resource=self.hook)


async def test_each_idle_resource_is_checked(engine: Any, kit: Any) -> None:
    """Again and again, one after the other; what is fit stays in the pool."""
    checked: list[int] = []
    resources = ScriptedResources()
    async with pool(engine, lambda resource: checked.append(resource.number), resources=resources) as m:
        await eventually(lambda: min(checked.count(1), checked.count(2)) > 2)
        await eventually(lambda: m.stats().available_resources == 2)
        assert await m.run_task(kit.returns("value")) == "value"
        assert (m.stats().failed_checks, len(resources.destroyed)) == (0, 0)


async def test_without_an_interval_none_is(engine: Any, kit: Any) -> None:
    """They are checked before use only."""
    checked: list[int] = []
    check = lambda resource: checked.append(resource.number)  # noqa: E731
    async with pool(engine, check, resources=ScriptedResources(), check_interval=None) as m:
        for _ in range(3):
            await m.run_task(kit.returns(None))
        assert checked == []


@pytest.mark.parametrize("fault", [None, OSError("server has gone away")], ids=["false", "raises"])
async def test_what_is_not_fit_is_replaced_before_a_call(engine: Any, kit: Any, fault: Exception | None) -> None:
    """So no caller waits for that."""

    def check(resource: Any) -> bool:
        if resource.number == 1 and fault is not None:
            raise fault
        return resource.number != 1

    numbers: list[int] = []
    note = kit.calls(lambda ctx, resource: numbers.append(resource.number))
    resources = ScriptedResources()
    async with pool(engine, check, resources=resources, resource_pool_size=1) as m:
        await eventually(lambda: [one.number for one in resources.destroyed] == [1])
        await eventually(lambda: m.stats().available_resources == 1)
        await m.run_task(note)
        assert numbers[0] != 1
        assert (m.stats().failed_checks, m.stats().user_errors) == (1, 0)


async def test_one_is_left_where_no_caller_could_get_a_temporary_one(engine: Any, kit: Any) -> None:
    """A call is not refused because of a check."""
    checked: list[int] = []
    check = lambda resource: checked.append(resource.number)  # noqa: E731
    limits = {"resource_pool_size": 1, "max_temporary_resources": 0}
    async with pool(engine, check, resources=ScriptedResources(), **limits) as m:
        for _ in range(20):
            await m.run_task(kit.returns(None))
        await eventually(lambda: len(checked) > 5)  # the worker's
        assert 1 not in checked


async def test_a_caller_gets_another_one_while_a_check_hangs(engine: Any, kit: Any) -> None:
    """A temporary one at first, and then what has replaced it in the pool."""
    hanging = Hanging(engine)
    numbers: list[int] = []
    note = kit.calls(lambda ctx, resource: numbers.append(resource.number))
    async with hanging.manager(engine) as m:
        await eventually(lambda: 1 in hanging.begun)
        await asyncio.wait_for(m.run_task(note), LATE)
        await eventually(lambda: m.stats().available_resources == 1)
        assert m.stats().failed_checks == 1
        await asyncio.wait_for(m.run_task(note), LATE)
        assert 1 not in numbers
        hanging.gate.open()
        # It is destroyed once its check has returned, and the other is checked in its turn.
        await eventually(lambda: m.stats().resources.alive == 2)
        await eventually(lambda: hanging.begun.count(numbers[1]) > 2)
        assert (m.stats().failed_checks, m.stats().available_resources <= 1) == (1, True)
        await m.kill(LATE)  # after which a resource may be lost, as that of a process that was killed


async def test_a_stop_does_not_wait_for_a_check_that_hangs(engine: Any, kit: Any) -> None:
    """For check_timeout at most, and for a coroutine until its cancellation has ended it; one that goes on is named."""
    if engine.elsewhere:
        pytest.skip("the session is killed, which this suite expects of a kill only; see the tests of processes")
    hanging = Hanging(engine)
    async with hanging.manager(engine) as m:
        await eventually(lambda: 1 in hanging.begun)
        report = await asyncio.wait_for(m.stop(), LATE)
        abandoned = ["the pool of run_task (in check_resource)"] if in_place(engine) else []
        assert [*report.abandoned] == abandoned
        hanging.gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)


async def test_a_stop_waits_for_a_check(engine: Any, kit: Any) -> None:
    """What is being checked is destroyed before it returns."""
    hanging = Hanging(engine)
    async with hanging.manager(engine, check_timeout=None) as m:
        await eventually(lambda: 1 in hanging.begun)
        stopping = asyncio.ensure_future(m.stop())
        await eventually(lambda: m.closed)
        hanging.gate.open()
        report = await asyncio.wait_for(stopping, LATE)
        assert [*report.abandoned] == []
        assert (m.stats().resources.alive, m.stats().resources.destroyed, m.stats().failed_checks) == (0, 2, 0)


async def test_a_kill_during_a_check(engine: Any, kit: Any) -> None:
    """It returns by its deadline; a session is ended by force, and a check in place is named."""
    hanging = Hanging(engine)
    async with hanging.manager(engine, check_timeout=None) as m:
        await eventually(lambda: 1 in hanging.begun)
        report = await asyncio.wait_for(m.kill(0.5), LATE)
        if in_place(engine):
            assert [*report.abandoned] == ["the pool of run_task (in check_resource)"]
        hanging.gate.open()
        await eventually(lambda: m.stats().resources.alive == 0)


async def test_a_refresh_during_a_check(engine: Any, kit: Any) -> None:
    """What is being checked is of before, so it is destroyed, and another one takes its place."""
    hanging = Hanging(engine)
    async with hanging.manager(engine, check_timeout=None) as m:
        await eventually(lambda: 1 in hanging.begun)
        refreshing = m.refresh()
        await eventually(lambda: m.stats().resources.destroyed >= 1)  # the worker's
        hanging.gate.open()
        assert await over(refreshing)
        await eventually(lambda: m.stats().available_resources == 1)
        assert (m.stats().resources.destroyed, m.stats().failed_checks) == (2, 0)


async def test_a_refresh_does_not_wait_for_a_check_that_was_given_up(engine: Any, kit: Any) -> None:
    """Its resource serves nobody any more."""
    hanging = Hanging(engine)
    async with hanging.manager(engine) as m:
        await eventually(lambda: 1 in hanging.begun)
        assert await over(m.refresh())
        hanging.gate.open()
        await m.kill(LATE)


async def test_a_pause_during_a_check(engine: Any, kit: Any) -> None:
    """It does not wait for it: nobody's task runs; and what is idle is checked on."""
    hanging = Hanging(engine)
    async with hanging.manager(engine, check_timeout=None) as m:
        await eventually(lambda: 1 in hanging.begun)
        assert await asyncio.wait_for(m.pause(), LATE)
        hanging.gate.open()
        await eventually(lambda: hanging.begun.count(1) > 2)
        assert await asyncio.wait_for(m.stop(), LATE)
