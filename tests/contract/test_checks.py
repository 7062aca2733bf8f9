"""check_resource looks at resources that were idle, before a task gets them; what it finds costs no task an attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import Config, ConfigError, TaskManager

LATE = 60.0


def pool(engine: Any, check: Any, **config: Any) -> Any:
    """One worker at a time, whose resource is checked whenever it has waited for a task."""
    defaults = {"max_worker_count": 1, "check_after_idle": 0.0}
    return engine.manager(**{**defaults, **config}, check_resource=engine.kit.hook(check))


def in_place(engine: Any) -> bool:
    """Whether a check that hangs can only be left to itself: no coroutine, no process."""
    return engine.name in ("threads", "asyncio, plain functions")


async def test_an_idle_resource_is_checked_before_use(engine: Any, kit: Any) -> None:
    """It gets the resource; what is fit serves on."""
    checked: list[int] = []
    resources = ScriptedResources()
    async with pool(engine, lambda resource: checked.append(resource.number), resources=resources) as m:
        for number in range(3):
            assert await m.queue_task(kit.returns(number)) == number
        assert checked
        assert {*checked} == {1}
        assert (m.stats().failed_checks, m.stats().replaced_workers) == (0, 0)


async def test_one_that_was_used_just_now_is_not(engine: Any, kit: Any) -> None:
    """check_after_idle counts from the end of the last task."""
    checked: list[int] = []
    check = lambda resource: checked.append(resource.number)  # noqa: E731
    async with pool(engine, check, resources=ScriptedResources(), check_after_idle=LATE) as m:
        for number in range(3):
            assert await m.queue_task(kit.returns(number)) == number
        assert checked == []


@pytest.mark.parametrize("fault", [None, OSError("server has gone away")], ids=["false", "raises"])
async def test_one_that_is_not_fit_is_replaced(engine: Any, kit: Any, fault: Exception | None) -> None:
    """The task that waits goes to the next worker, in its first attempt, even if it is one that may start only once."""

    def check(resource: Any) -> bool:
        if resource.number == 1:
            if fault is not None:
                raise fault
            return False
        return True

    resources, logger = ScriptedResources(), RecordingLogger()
    async with pool(engine, check, resources=resources, logger=logger) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        future = await m.submit(kit.returns("value"), once=True)
        assert await future == "value"
        assert future.attempts == 1
        await eventually(lambda: [one.number for one in resources.destroyed] == [1])
        assert (m.stats().failed_checks, m.stats().replaced_workers, m.stats().user_errors) == (1, 1, 0)
    why = "returned False" if fault is None else "raised OSError: server has gone away"
    assert f"check_resource {why}" in logger.text("warning")


async def test_many_resources_that_went_bad_together(engine: Any, kit: Any) -> None:
    """After an outage every resource is replaced, and no task is lost or loses an attempt."""
    bad = {1, 2, 3}
    limits = {"worker_count": 3, "max_worker_count": 3}
    async with pool(engine, lambda resource: resource.number not in bad, resources=ScriptedResources(), **limits) as m:
        await eventually(lambda: m.stats().active_workers == 3)
        futures = [await m.submit(kit.returns(n), once=True) for n in range(50)]
        assert [await future for future in futures] == [*range(50)]


async def test_a_check_that_hangs_wedges_nothing(engine: Any, kit: Any) -> None:
    """After check_timeout another worker takes its place and the task; the first one ends when the check returns."""
    gate = engine.gate()
    resources = ScriptedResources()

    def check(resource: Any) -> None:
        if resource.number == 1:
            gate.pass_through()

    async def acheck(resource: Any) -> None:
        if resource.number == 1:
            await gate.apass_through()

    asynchronous = asyncio.iscoroutinefunction(kit.hook(lambda: None))
    limits = {
        "max_worker_count": 1,
        "check_after_idle": 0.0,
        "check_timeout": 0.3,
        "check_resource": acheck if asynchronous else check,
    }
    async with engine.manager(resources=resources, **limits) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        assert await asyncio.wait_for(m.queue_task(kit.returns("value"), once=True), LATE) == "value"
        if in_place(engine):
            assert m.stats().stuck_workers == 1
        gate.open()
        await eventually(lambda: m.stats().stuck_workers == 0)
        await eventually(lambda: m.stats().resources.alive == 1)
        await m.kill(LATE)  # after which a resource may be lost, as that of a process that was killed


async def test_a_stop_does_not_wait_for_a_check_that_hangs(engine: Any, kit: Any) -> None:
    """It is stuck, like any callback that hangs."""
    if not in_place(engine):
        pytest.skip("it is ended by force there")
    gate = engine.gate()

    def check(resource: Any) -> None:
        if resource.number == 1:
            gate.pass_through()

    limits = {"max_worker_count": 1, "check_after_idle": 0.0, "check_timeout": 0.3}
    async with engine.manager(resources=ScriptedResources(), check_resource=check, **limits) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        assert await m.queue_task(kit.returns("value")) == "value"
        report = await asyncio.wait_for(m.stop(), LATE)
        assert len(report.abandoned) == 1
        assert "in check_resource" in report.abandoned[0]
        gate.open()


async def test_checks_at_an_interval(engine: Any, kit: Any) -> None:
    """Without a task, too: what goes bad is replaced before a task comes."""
    checked: list[int] = []

    def check(resource: Any) -> bool:
        checked.append(resource.number)
        return resource.number > 1 or len(checked) < 3

    resources = ScriptedResources()
    async with pool(engine, check, resources=resources, check_after_idle=LATE, check_interval=0.05) as m:
        await eventually(lambda: [one.number for one in resources.destroyed] == [1])
        assert checked[:3] == [1, 1, 1]
        assert await m.queue_task(kit.returns("value")) == "value"
        await eventually(lambda: len(checked) > 4)
        assert (m.stats().failed_checks, m.stats().replaced_workers, len(resources.created)) == (1, 1, 2)


async def test_the_pool_of_run_task(engine: Any, kit: Any) -> None:
    """A resource of it that is not fit is replaced before the task; the caller gets another one."""
    bad: set[int] = set()
    resources = ScriptedResources()
    limits = {"resource_pool_size": 1, "max_temporary_resources": 0}
    numbers: list[int] = []
    note = kit.calls(lambda ctx, resource: numbers.append(resource.number))
    async with pool(engine, lambda resource: resource.number not in bad, resources=resources, **limits) as m:
        await m.run_task(note)
        await eventually(lambda: m.stats().available_resources == 1)
        await m.run_task(note)
        assert numbers[0] == numbers[1]
        bad.add(numbers[0])
        await eventually(lambda: m.stats().available_resources == 1)
        await m.run_task(note)
        assert numbers[2] != numbers[0]
        assert m.stats().failed_checks == 1
        await eventually(lambda: numbers[0] in [one.number for one in resources.destroyed])


def test_wrong_options() -> None:
    """Each names the field."""
    for field, value in (("check_resource", 1), ("check_after_idle", -1), ("check_timeout", 0), ("check_interval", 1)):
        with pytest.raises(ConfigError, match=rf"Config\.{field} must be"):
            Config(on_create=object, worker_count=1, **{field: value})  # type: ignore[call-overload]


def test_an_asynchronous_check_needs_a_loop() -> None:
    """A TaskManager refuses it, since a coroutine that nothing awaits says nothing."""

    async def check(resource: object) -> None:
        pass

    with pytest.raises(ConfigError, match=r"Config\.check_resource is asynchronous"):
        TaskManager(Config(on_create=object, worker_count=1, check_resource=check))
