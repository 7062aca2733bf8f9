"""RetryPolicy: which errors of its own a task is tried again after, how often, and after which pauses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import (
    Config,
    ConfigError,
    MaxRetriesExceeded,
    NoRetry,
    RetryPolicy,
    ShutdownError,
    TaskCancelled,
    TaskKilled,
)

LONG = 1e6
"""Seconds that no test waits for."""
BUSY = ConnectionError("busy, come again")


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time."""
    return engine.manager(**{"worker_count": 1, "max_worker_count": 1, **config})


async def delayed(m: Any) -> None:
    """Wait until the one task is delayed."""
    await eventually(lambda: m.stats().delayed_tasks == 1)


async def test_an_error_of_its_own_is_retried(engine: Any, kit: Any) -> None:
    """With the same resource, which nothing is wrong with."""
    resources = ScriptedResources()
    async with pool(engine, resources=resources, retry=RetryPolicy(retry_on=ConnectionError)) as m:
        future = await m.submit(kit.script(BUSY, BUSY, "value"))
        assert await future == "value"
        assert future.attempts == 3
        assert len(resources.created) == 1
        assert m.metrics().total_tasks_retried == 2
        assert m.stats().replaced_workers == 0


@pytest.mark.parametrize("retry_on", [ValueError, (KeyError, ValueError), lambda error: "mine" in str(error)])
async def test_only_those_that_are_named(engine: Any, kit: Any, retry_on: Any) -> None:
    """Any other error ends the task at once, as without a policy."""
    async with pool(engine, retry=RetryPolicy(retry_on=retry_on)) as m:
        assert await m.queue_task(kit.script(ValueError("mine"), "value")) == "value"
        future = await m.submit(kit.script(TypeError("yours"), "value"))
        with pytest.raises(TypeError, match="yours"):
            await future
        assert future.attempts == 1


async def test_the_last_error_is_the_outcome(engine: Any, kit: Any) -> None:
    """After max_retries further attempts the task ends with its own error, and not with another one."""
    async with pool(engine, retry=RetryPolicy(retry_on=ValueError), max_retries=2) as m:
        future = await m.submit(kit.script(*(ValueError(f"no {n}") for n in range(5))))
        with pytest.raises(ValueError, match="no 2"):
            await future
        assert future.attempts == 3


async def test_a_shutdown_error_of_its_own(engine: Any, kit: Any) -> None:
    """A task may submit to a manager that has stopped. If it ends with that error while no attempt runs, it has failed: it is not
    one that was refused."""
    policy = RetryPolicy(retry_on=ShutdownError, backoff=LONG, max_backoff=LONG, at_stop="report")
    async with pool(engine, retry=policy) as m:
        future = await m.submit(kit.raises(ShutdownError("the other manager is shutting down")))
        await delayed(m)
        report = await m.stop()
        with pytest.raises(ShutdownError, match="the other manager"):
            await future
        stats, metrics = m.stats(), m.metrics()
        assert (stats.accepted_tasks, stats.done_tasks) == (1, 1)
        assert (metrics.total_tasks_failed, report.failed_tasks, report.delayed_tasks) == (1, 1, 1)


async def test_a_once_task_is_not_retried(engine: Any, kit: Any) -> None:
    """Whatever the policy says."""
    async with pool(engine, retry=RetryPolicy(retry_on=Exception)) as m:
        future = await m.submit(kit.script(BUSY, "value"), once=True)
        with pytest.raises(ConnectionError):
            await future
        assert future.attempts == 1


class Gone(NoRetry):
    """It will not come back."""


@pytest.mark.parametrize("kind", [NoRetry, Gone])
async def test_a_task_that_says_so_is_not_retried(engine: Any, kit: Any, kind: type[NoRetry]) -> None:
    """NoRetry is the outcome, for the policy and for check_health; the resource is replaced if that blames it."""
    async with pool(engine, retry=RetryPolicy(retry_on=Exception)) as m:
        future = await m.submit(kit.script(kind("410"), "value"))
        with pytest.raises(kind, match="410"):
            await future
        assert future.attempts == 1
    unhealthy = kit.hook(lambda error: False)
    resources = ScriptedResources()
    async with pool(engine, resources=resources, check_health=unhealthy) as m:
        future = await m.submit(kit.script(kind("410"), "value"))
        with pytest.raises(kind, match="410"):
            await future
        assert future.attempts == 1
        await eventually(lambda: len(resources.created) == 2)


async def test_a_cancelled_task_is_not_retried(engine: Any, kit: Any) -> None:
    """Neither one that obeys its cancellation, nor one that fails with another error by then."""
    async with pool(engine, retry=RetryPolicy(retry_on=BaseException)) as m:
        for task in (kit.until_cancelled, lambda gate: kit.fails_at(gate, BUSY)):
            gate = engine.gate()
            future = await m.submit(task(gate))
            await gate.arrivals(1)
            future.cancel()
            gate.open()
            with pytest.raises((TaskCancelled, ConnectionError)):
                await future.result()
            assert future.attempts == 1


async def test_a_pause_holds_no_worker(engine: Any, kit: Any) -> None:
    """While a task waits for its next attempt, the only worker runs others; the task counts as queued, and as delayed."""
    async with pool(engine, retry=RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)) as m:
        future = await m.submit(kit.script(BUSY, "value"))
        await delayed(m)
        assert await m.queue_task(kit.returns("other")) == "other"
        stats = m.stats()
        assert (stats.running_tasks, stats.queued_tasks + stats.priority_tasks, stats.delayed_tasks) == (0, 1, 1)
        assert not future.done()
        future.cancel()
        await eventually(future.done)
        assert future.cancelled()
        await m.stop()
        assert m.stats().done_tasks == m.stats().accepted_tasks == 2


async def test_pauses_come_to_an_end(engine: Any, kit: Any) -> None:
    """The next attempt follows by itself, after each pause."""
    async with pool(engine, retry=RetryPolicy(retry_on=ConnectionError, backoff=0.02, max_backoff=0.03)) as m:
        futures = [await m.submit(kit.script(BUSY, BUSY, n)) for n in range(10)]
        assert [await future for future in futures] == [*range(10)]
        await eventually(lambda: m.stats().delayed_tasks == 0)


async def test_a_pause_after_an_unhealthy_error(engine: Any, kit: Any) -> None:
    """The resource is replaced at once, the task comes later."""
    resources = ScriptedResources()
    async with pool(
        engine,
        resources=resources,
        retry=RetryPolicy(backoff=LONG, max_backoff=LONG),
        check_health=kit.hook(lambda error: False),
    ) as m:
        future = await m.submit(kit.script(BUSY, "value"))
        await delayed(m)
        await eventually(lambda: len(resources.created) == 2)
        assert await m.queue_task(kit.returns("other")) == "other"
        stop = asyncio.create_task(m.stop())
        assert await future == "value"
        await stop


async def test_a_stop_ends_the_pauses(engine: Any, kit: Any) -> None:
    """stop() waits for no pause: what waits for one is run, and what fails again is run again at once."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)
    async with pool(engine, retry=policy) as m:
        future = await m.submit(kit.script(BUSY, BUSY, "value"))
        await delayed(m)
        report = await asyncio.wait_for(m.stop(), 60)
        assert await future == "value"
        assert (report.killed, report.killed_tasks) == (False, 0)


@pytest.mark.parametrize("healthy", [True, False])
async def test_a_stop_may_report_instead(engine: Any, kit: Any, healthy: bool) -> None:
    """With at_stop="report", what waits for its next attempt ends with its last error, and so does what would have to wait
    from then on; the report counts them. What needs no pause is run."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG, at_stop="report")
    async with pool(engine, retry=policy, check_health=kit.hook(lambda error: healthy)) as m:
        waiting = await m.submit(kit.script(BUSY, "value"))
        await delayed(m)
        gate = engine.gate()
        running = await m.submit(kit.fails_at(gate, ConnectionError("still busy")))
        await gate.arrivals(1)
        queued = await m.submit(kit.script(BUSY, "value"), retry=RetryPolicy(retry_on=ConnectionError))
        stop = asyncio.create_task(m.stop())
        await eventually(lambda: m.stats().delayed_tasks == 0 and waiting.done())
        gate.open()
        report = await asyncio.wait_for(stop, 60)
        with pytest.raises(ConnectionError, match="busy, come again"):
            await waiting
        with pytest.raises(ConnectionError, match="still busy"):
            await running
        assert await queued == "value"
        assert (waiting.attempts, running.attempts, queued.attempts) == (1, 1, 2)
        assert [attempt.verdict for attempt in waiting.attempts_made] == ["ended"]
        assert (report.killed, report.delayed_tasks, report.failed_tasks) == (False, 2, 2)
        assert m.stats().done_tasks == m.stats().accepted_tasks == 3


async def test_a_kill_drops_what_waits(engine: Any, kit: Any) -> None:
    """kill() ends a delayed task as killed, like any in the queue, and counts it."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=LONG, max_backoff=LONG)
    async with pool(engine, retry=policy) as m:
        future = await m.submit(kit.script(BUSY, "value"))
        await delayed(m)
        report = await asyncio.wait_for(m.kill(30), 60)
        await eventually(future.done)
        with pytest.raises(TaskKilled):
            await future.result()
        assert report.killed_tasks == 1
        assert report.seconds < 20


async def test_max_elapsed(engine: Any, kit: Any) -> None:
    """A task that is older than that is not tried again: its own error, or MaxRetriesExceeded for the resource's."""
    async with pool(engine, retry=RetryPolicy(retry_on=ConnectionError, max_elapsed=0)) as m:
        with pytest.raises(ConnectionError):
            await m.queue_task(kit.script(BUSY, "value"))
    unhealthy = kit.hook(lambda error: False)
    async with pool(engine, retry=RetryPolicy(max_elapsed=0), check_health=unhealthy) as m:
        with pytest.raises(MaxRetriesExceeded):
            await m.queue_task(kit.script(BUSY, "value"))


async def test_a_predicate_that_raises(engine: Any, kit: Any) -> None:
    """It is logged and counted, and the task ends with its error."""

    def broken(error: BaseException) -> bool:
        raise RuntimeError("no idea")

    logger = RecordingLogger()
    async with pool(engine, retry=RetryPolicy(retry_on=broken), logger=logger) as m:
        with pytest.raises(ConnectionError):
            await m.queue_task(kit.script(BUSY, "value"))
        assert m.stats().user_errors == 1
    assert "retry_on raised RuntimeError: no idea" in logger.text("error")


async def test_many_that_fail_and_a_bounded_queue(engine: Any, kit: Any) -> None:
    """Delayed tasks need no slot of the queue, and none is lost."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=0.01)
    async with pool(engine, retry=policy, max_queue_size=3, max_retries=5) as m:
        futures = [await m.submit(kit.script(*[BUSY] * (n % 4), n)) for n in range(40)]
        assert [await future for future in futures] == [*range(40)]
        assert [future.attempts for future in futures] == [n % 4 + 1 for n in range(40)]


def test_an_asynchronous_predicate_is_refused() -> None:
    """Its coroutine would count as true."""

    async def unsure(error: BaseException) -> bool:
        return False

    with pytest.raises(ConfigError, match=r"Config\.retry must be a RetryPolicy whose retry_on is not asynchronous"):
        Config(on_create=object, worker_count=1, retry=RetryPolicy(retry_on=unsure))
