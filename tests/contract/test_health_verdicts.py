"""What check_health may say beyond yes and no, and what follows of it on every engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually, throughout
from tasker import Config, Health, HealthKind, MaxRetriesExceeded, TaskManager

BUSY = OSError("429")
LONG = 60.0


def pool(engine: Any, verdict: Any, **config: Any) -> Any:
    """One worker unless said otherwise, and no pool for run_task; each error gets that verdict."""
    judge = verdict if callable(verdict) else lambda error: verdict
    return engine.manager(**{"max_worker_count": 1, **config}, check_health=engine.kit.hook(judge))


async def test_ok_and_replace_are_as_true_and_false(engine: Any, kit: Any) -> None:
    """Health.OK leaves the error to the task; Health.REPLACE has the resource replaced and the task tried again."""
    resources = ScriptedResources()
    verdicts = [Health(HealthKind.OK), Health.REPLACE]
    async with pool(engine, lambda error: verdicts.pop(0), resources=resources) as m:
        with pytest.raises(OSError, match="429"):
            await m.queue_task(kit.raises(BUSY))
        assert len(resources.destroyed) == 0
        assert await m.queue_task(kit.script(BUSY, "second")) == "second"
        await eventually(lambda: [one.number for one in resources.destroyed] == [1])


async def test_what_means_nothing_is_logged_and_blames_nobody(engine: Any, kit: Any) -> None:
    """A check_health that returns something else has failed: the error is the task's own, and the fault is counted."""
    logger = RecordingLogger()
    async with pool(engine, None, logger=logger) as m:
        with pytest.raises(OSError, match="429"):
            await m.queue_task(kit.raises(BUSY))
        assert (m.stats().user_errors, m.stats().replaced_workers) == (1, 0)
    assert "check_health must return a bool or a Health, got None" in logger.text("error")


async def test_a_worker_that_cools_down_takes_no_task(engine: Any, kit: Any) -> None:
    """Its resource is kept, and after the time serves again; meanwhile tasks wait, and stats() and explain() say why."""
    resources, logger = ScriptedResources(), RecordingLogger()
    async with pool(engine, Health.COOL_DOWN(0.5), resources=resources, logger=logger) as m:
        future = await m.submit(kit.script(BUSY, "second"))
        await eventually(lambda: m.stats().cooling_workers == 1)
        assert "1 of them cooling down" in str(m.raw.explain())
        assert not future.done()
        assert await future == "second"
        await eventually(lambda: m.stats().cooling_workers == 0)
        assert (len(resources.created), m.stats().replaced_workers) == (1, 0)
    assert "cools down for 500 ms" in logger.text("warning")


async def test_the_task_goes_to_another_worker(engine: Any, kit: Any) -> None:
    """The task that failed is tried again at once by a worker that is not cooling down, and so are those behind it."""
    verdict = Health.COOL_DOWN(LONG)
    async with pool(engine, verdict, worker_count=2, max_worker_count=2) as m:
        futures = [await m.submit(kit.script(BUSY, "second")), *[await m.submit(kit.returns(n)) for n in range(20)]]
        assert [await future for future in futures] == ["second", *range(20)]
        assert m.stats().cooling_workers == 1
        assert await futures[0] == "second"
        assert (m.stats().replaced_workers, m.stats().active_workers) == (0, 2)


async def test_no_task_of_a_cooling_worker_is_lost(engine: Any, kit: Any) -> None:
    """Under load with errors now and then, every task gets its result from as many resources as there are workers."""
    resources = ScriptedResources()
    async with pool(engine, Health.COOL_DOWN(0.01), resources=resources, worker_count=3, max_worker_count=3) as m:
        bodies = [kit.script(BUSY, n) if n % 10 == 0 else kit.returns(n) for n in range(100)]
        futures = [await m.submit(body) for body in bodies]
        assert [await future for future in futures] == [*range(100)]
        await eventually(lambda: m.stats().active_workers == 3)  # the last one may have come to none of them
        assert len(resources.created) == 3


async def test_a_cool_down_counts_as_an_attempt(engine: Any, kit: Any) -> None:
    """The retries are bounded as after an unhealthy error."""
    async with pool(engine, Health.COOL_DOWN(0), max_retries=2) as m:
        future = await m.submit(kit.raises(BUSY))
        with pytest.raises(MaxRetriesExceeded):
            await future
        assert future.attempts == 3


async def test_a_stop_ends_a_cool_down(engine: Any, kit: Any) -> None:
    """stop() does not wait: the worker serves what is queued, and ends."""
    async with pool(engine, Health.COOL_DOWN(LONG)) as m:
        future = await m.submit(kit.script(BUSY, "second"))
        await eventually(lambda: m.stats().cooling_workers == 1)
        report = await asyncio.wait_for(m.stop(), LONG / 2)
        assert await future == "second"
        assert not report.killed


async def test_a_stop_ends_a_cool_down_without_tasks(engine: Any, kit: Any) -> None:
    """The same where nothing is queued: here the task was once."""
    async with pool(engine, Health.COOL_DOWN(LONG)) as m:
        with pytest.raises(OSError, match="429"):
            await m.queue_task(kit.raises(BUSY), once=True)
        await eventually(lambda: m.stats().cooling_workers == 1)
        await asyncio.wait_for(m.stop(), LONG / 2)


async def test_a_kill_ends_a_cool_down(engine: Any, kit: Any) -> None:
    """kill() leaves no such worker behind."""
    async with pool(engine, Health.COOL_DOWN(LONG)) as m:
        await m.submit(kit.raises(BUSY))
        await eventually(lambda: m.stats().cooling_workers == 1)
        assert (await m.kill(LONG)).abandoned == ()


async def test_a_cooling_worker_retires(engine: Any, kit: Any) -> None:
    """A resize takes it at once, where it is the only worker that can go."""
    gate = engine.gate()
    async with pool(engine, Health.COOL_DOWN(LONG), worker_count=2, max_worker_count=2) as m:
        busy = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        with pytest.raises(OSError, match="429"):
            await m.queue_task(kit.raises(BUSY), once=True)
        await eventually(lambda: m.stats().cooling_workers == 1)
        m.resize(worker_count=1, max_worker_count=1)
        await eventually(lambda: m.stats().active_workers == 1)
        assert m.stats().cooling_workers == 0
        gate.open()
        await busy


async def test_a_cooling_worker_is_refreshed(engine: Any, kit: Any) -> None:
    """refresh() replaces its resource at once, and one of run_task's pool that cools down."""
    resources = ScriptedResources()
    async with pool(engine, Health.COOL_DOWN(LONG), resources=resources, resource_pool_size=1) as m:
        with pytest.raises(OSError, match="429"):
            await m.run_task(kit.raises(BUSY))
        await m.submit(kit.script(BUSY, "second"), once=True)
        await eventually(lambda: m.stats().cooling_workers == 1)
        m.refresh()
        await eventually(lambda: sorted(one.number for one in resources.destroyed) == [1, 2])
        await eventually(lambda: m.stats().available_resources == 1)
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_a_cooling_worker_is_refreshed_beside_a_backlog(engine: Any, kit: Any) -> None:
    """It leaves without a task: that resource is asked for nothing before its time."""
    resources = ScriptedResources()
    numbers = kit.calls(lambda ctx, resource: resource.number)
    async with pool(
        engine, Health.COOL_DOWN(LONG), resources=resources, worker_count=2, max_worker_count=2, max_retries=0
    ) as m:
        await eventually(lambda: m.stats().active_workers == 2)
        with pytest.raises(MaxRetriesExceeded):
            await m.queue_task(kit.raises(BUSY))
        await eventually(lambda: m.stats().cooling_workers == 1)
        futures = [await m.submit(numbers) for _ in range(300)]
        serving = await futures[0]
        m.refresh()
        assert {await future for future in futures} <= {serving, 3, 4}


async def test_a_cancelled_task_may_have_its_worker_cool_down(engine: Any, kit: Any) -> None:
    """check_health is asked about the cancellation too; the task stays cancelled."""
    gate = engine.gate()
    async with pool(engine, Health.COOL_DOWN(0.3)) as m:
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        future.cancel()
        await eventually(lambda: m.stats().cooling_workers == 1)
        await eventually(future.done)
        assert future.cancelled()
        assert await m.queue_task(kit.returns("next")) == "next"
        assert m.stats().replaced_workers == 0


async def test_a_dependency_that_is_down_holds_up_creation(engine: Any, kit: Any) -> None:
    """Every worker finds that out at the same time: one failure, and one creation at a time until one succeeds."""
    busy, probe = engine.gate(), engine.gate()
    resources, logger = ScriptedResources(None, None, None, probe), RecordingLogger()
    limits = {"worker_count": 3, "max_worker_count": 3, "creation_backoff": 0.1, "max_retries": 0}
    async with pool(engine, Health.DEPENDENCY_DOWN, resources=resources, logger=logger, **limits) as m:
        await eventually(lambda: m.stats().active_workers == 3)
        futures = [await m.submit(kit.fails_at(busy, BUSY)) for _ in range(3)]
        await busy.arrivals(3)
        busy.open()
        for future in futures:
            with pytest.raises(MaxRetriesExceeded):
                await future
        await probe.arrivals(1)
        await eventually(lambda: len(resources.destroyed) == 3)
        assert m.stats().failing_creations == 1
        assert "429" in (m.stats().creation_error or "")
        await throughout(lambda: resources.attempts == 4, 0.2, "one at a time")
        probe.open()
        assert await m.queue_task(kit.returns("next")) == "next"
        await eventually(lambda: m.stats().active_workers == 3)
        assert (m.stats().failing_creations, m.stats().replaced_workers) == (0, 3)
    assert logger.text("warning").count("what resources depend on is down") == 1


async def test_a_task_that_found_a_dependency_down_is_tried_again(engine: Any, kit: Any) -> None:
    """It waits for the next resource, as after any unhealthy error."""
    resources = ScriptedResources()
    async with pool(engine, Health.DEPENDENCY_DOWN, resources=resources, creation_backoff=0.1) as m:
        assert await m.queue_task(kit.script(BUSY, "second")) == "second"
        await eventually(lambda: [one.number for one in resources.destroyed] == [1])


async def test_run_task_obeys_a_cool_down(engine: Any, kit: Any) -> None:
    """A resource of its pool that cools down is not lent until then, and is kept."""
    resources = ScriptedResources()
    limits = {"resource_pool_size": 1, "max_temporary_resources": 1}
    numbers: list[int] = []
    note = kit.calls(lambda ctx, resource: numbers.append(resource.number))
    async with pool(engine, Health.COOL_DOWN(0.5), resources=resources, **limits) as m:
        await m.run_task(note)
        with pytest.raises(OSError, match="429"):
            await m.run_task(kit.raises(BUSY))
        assert m.stats().available_resources == 0
        await m.run_task(note)
        await eventually(lambda: m.stats().available_resources == 1)
        await m.run_task(note)
        assert numbers[0] == numbers[2] != numbers[1]


async def test_a_cooling_resource_of_run_task_ends_with_the_manager(engine: Any, kit: Any) -> None:
    """A stop destroys it at once; the audit of the engine counts the resources."""
    async with pool(engine, Health.COOL_DOWN(LONG), resources=ScriptedResources(), resource_pool_size=2) as m:
        with pytest.raises(OSError, match="429"):
            await m.run_task(kit.raises(BUSY))
        await asyncio.wait_for(m.stop(), LONG / 2)


async def test_run_task_finds_a_dependency_down(engine: Any, kit: Any) -> None:
    """Its resource is replaced, by a creation that counts as a probe."""
    probe = engine.gate()
    resources = ScriptedResources(None, None, probe)
    limits = {"resource_pool_size": 1, "creation_backoff": 0.1}
    async with pool(engine, Health.DEPENDENCY_DOWN, resources=resources, **limits) as m:
        await m.queue_task(kit.returns())  # the worker has its resource, and that was reported
        with pytest.raises(OSError, match="429"):
            await m.run_task(kit.raises(BUSY))
        await probe.arrivals(1)
        assert m.stats().failing_creations == 1
        probe.open()
        await eventually(lambda: m.stats().available_resources == 1)
        await eventually(lambda: m.stats().failing_creations == 0)


def test_a_verdict_is_checked_when_it_is_made() -> None:
    """A pause that is no number of seconds is refused, which check_health then raises."""
    for wrong in (-1, float("nan"), float("inf"), True, "5"):
        with pytest.raises(ValueError, match=r"Health\.COOL_DOWN takes a finite number of seconds"):
            Health.COOL_DOWN(wrong)  # type: ignore[arg-type]


def test_a_wrong_pause_in_check_health() -> None:
    """It is logged, and the resource is not blamed."""
    logger = RecordingLogger()
    config: Config[object] = Config(
        on_create=object, worker_count=1, check_health=lambda error: Health.COOL_DOWN(-1), logger=logger
    )

    def fail(ctx: Any, resource: object) -> None:
        raise BUSY

    with TaskManager(config) as manager, pytest.raises(OSError, match="429"):
        manager.queue_task(fail)
    assert "Health.COOL_DOWN takes" in logger.text("error")
