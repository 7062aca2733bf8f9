"""`Config.quarantine_after`: a task that leaves too many resources unhealthy ends with PoisonTask, and the pool lives."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually, failure
from tasker import Config, ConfigError, Health, MaxRetriesExceeded, NoRetry, PoisonTask, Quarantined, RetryPolicy

UNHEALTHY = [ConnectionError(f"no {n}") for n in range(20)]


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time; an error of this kind is the resource's."""
    hook = engine.kit.hook(lambda error: not isinstance(error, ConnectionError))
    defaults = {"worker_count": 1, "max_worker_count": 1, "name": "pool", "check_health": hook, "quarantine_after": 2}
    return engine.manager(**{**defaults, **config})


async def test_a_poison_task(engine: Any, kit: Any) -> None:
    """It ends with PoisonTask, which has its history; other tasks are run as before."""
    resources = ScriptedResources()
    logger = RecordingLogger()
    async with pool(engine, resources=resources, logger=logger) as m:
        future = await m.submit(kit.script(*UNHEALTHY))
        error = await failure(future)
        assert isinstance(error, PoisonTask)
        assert f"task #{future.id}" in str(error)
        assert str(error).endswith("(Config.quarantine_after), last with ConnectionError: no 1")
        assert engine.same(error.__cause__, UNHEALTHY[1])
        assert future.attempts == 2
        assert error.attempts == future.attempts_made
        assert [one.verdict for one in error.attempts] == ["try again", "quarantined"]
        assert len({one.generation for one in error.attempts}) == 2
        assert error.__notes__[0].endswith("ConnectionError: no 0")
        stats = m.stats()
        assert stats.quarantined_tasks == 1
        assert m.explain().quarantined[0].startswith(f"task #{future.id} ")
        assert f"quarantined: task #{future.id} " in str(m.explain())
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert "has left 2 resources unhealthy" in logger.text("error")
        assert m.metrics().total_tasks_failed == 1


async def test_on_quarantine(engine: Any, kit: Any) -> None:
    """It gets the task, its arguments and its history, once."""
    got: list[Quarantined] = []
    task = kit.script(*UNHEALTHY)
    async with pool(engine, on_quarantine=got.append) as m:
        await m.submit(kit.returns(1))
        future = await m.submit(task, "seven", 8)
        error = await failure(future)
        await eventually(lambda: bool(got))
    (info,) = got
    assert (info.id, info.args, info.task) == (future.id, ("seven", 8), task)
    assert info.name in str(error)
    assert info.attempts == future.attempts_made
    assert type(info.error) is PoisonTask


async def test_on_quarantine_that_raises(engine: Any, kit: Any) -> None:
    """It is logged and counted."""

    def refuses(info: Quarantined) -> None:
        raise SystemExit("not mine")

    logger = RecordingLogger()
    async with pool(engine, on_quarantine=refuses, logger=logger) as m:
        await failure(await m.submit(kit.script(*UNHEALTHY)))
        await eventually(lambda: m.stats().user_errors == 1)
        assert await m.queue_task(kit.returns("alive")) == "alive"
        await eventually(lambda: "on_quarantine raised SystemExit: not mine" in logger.text("error"))


async def test_a_slow_on_quarantine_holds_nothing_up(engine: Any, kit: Any) -> None:
    """While it runs, tasks are run and others are quarantined; a stop waits for it."""
    begun, end, done = threading.Event(), threading.Event(), []

    def slow(info: Quarantined) -> None:
        begun.set()
        assert end.wait(60)
        done.append(info.id)

    async def aslow(info: Quarantined) -> None:
        begun.set()
        while not end.is_set():
            await asyncio.sleep(0.001)
        done.append(info.id)

    hook = slow if engine.blocking else aslow
    async with pool(engine, on_quarantine=hook) as m:
        first = await m.submit(kit.script(*UNHEALTHY))
        await failure(first)
        await eventually(begun.is_set)
        second = await m.submit(kit.script(*UNHEALTHY))
        assert isinstance(await failure(second), PoisonTask)
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert done == []
        end.set()
    assert sorted(done) == [first.id, second.id]


async def test_an_asynchronous_on_quarantine_that_raises(engine: Any, kit: Any) -> None:
    """It is logged by its name. A TaskManager does not take one."""

    async def refuses(info: Quarantined) -> None:
        await asyncio.sleep(0)
        raise ValueError("not mine")

    if engine.blocking:
        with pytest.raises(ConfigError, match="on_quarantine is asynchronous"):
            async with pool(engine, on_quarantine=refuses):
                pass
        return
    logger = RecordingLogger()
    async with pool(engine, on_quarantine=refuses, logger=logger) as m:
        await failure(await m.submit(kit.script(*UNHEALTHY)))
        await eventually(lambda: m.stats().user_errors == 1)
        assert "on_quarantine raised ValueError: not mine" in logger.text("error")


async def test_off_by_default(engine: Any, kit: Any) -> None:
    """Only max_retries ends it then."""
    async with pool(engine, quarantine_after=None) as m:
        assert isinstance(await failure(await m.submit(kit.script(*UNHEALTHY))), MaxRetriesExceeded)
        assert m.stats().quarantined_tasks == 0
        assert m.explain().quarantined == ()


@pytest.mark.parametrize(
    ("retries", "after", "kind", "attempts"),
    [
        (1, 3, MaxRetriesExceeded, 2),
        (5, 3, PoisonTask, 3),
        (2, 3, PoisonTask, 3),  # both bounds at once: what says more
        (0, 1, PoisonTask, 1),
        (0, 2, MaxRetriesExceeded, 1),
    ],
)
async def test_the_smaller_bound_ends_it(
    engine: Any, kit: Any, retries: int, after: int, kind: type[BaseException], attempts: int
) -> None:
    """max_retries further attempts, or quarantine_after resources."""
    async with pool(engine, max_retries=retries, quarantine_after=after) as m:
        future = await m.submit(kit.script(*UNHEALTHY))
        assert type(await failure(future)) is kind
        assert future.attempts == attempts


async def test_own_errors_do_not_count(engine: Any, kit: Any) -> None:
    """Attempts that leave the resource in use harm nothing, wherever they come in between."""
    async with pool(engine, max_retries=9, retry=RetryPolicy(retry_on=ValueError)) as m:
        own = ValueError("mine")
        future = await m.submit(kit.script(own, UNHEALTHY[0], own, own, UNHEALTHY[1], "value"))
        assert isinstance(await failure(future), PoisonTask)
        assert future.attempts == 5
        future = await m.submit(kit.script(own, UNHEALTHY[0], own, "value"))
        assert await future == "value"


@pytest.mark.parametrize("health", [Health.DEPENDENCY_DOWN, Health.COOL_DOWN(0)], ids=repr)
async def test_what_is_not_the_doing_of_the_task(engine: Any, kit: Any, health: Health) -> None:
    """A dependency that is down, and a resource that is good and cools down, count for nobody."""
    verdicts = iter([Health.REPLACE, health, health, Health.REPLACE])
    hook = kit.hook(lambda error: next(verdicts))
    async with pool(engine, check_health=hook, max_retries=9, creation_backoff=0.01) as m:
        future = await m.submit(kit.script(*UNHEALTHY))
        assert isinstance(await failure(future), PoisonTask)
        assert future.attempts == 4


@pytest.mark.parametrize("how", ["once", "NoRetry"])
async def test_a_task_that_gets_no_further_attempt_anyway(engine: Any, kit: Any, how: str) -> None:
    """It ends with its own error, as it says."""
    unhealthy = kit.hook(lambda error: False)
    kind: type[BaseException] = NoRetry if how == "NoRetry" else ConnectionError
    async with pool(engine, quarantine_after=1, check_health=unhealthy) as m:
        future = await m.submit(kit.script(kind("no"), "value"), once=how == "once")
        assert type(await failure(future)) is kind
        assert m.stats().quarantined_tasks == 0


async def test_a_cancelled_task(engine: Any, kit: Any) -> None:
    """It is not wanted any more: its own error is the outcome."""
    gate = engine.gate()
    async with pool(engine, quarantine_after=1) as m:
        future = await m.submit(kit.fails_at(gate, ConnectionError("late")))
        await gate.arrivals(1)
        future.cancel()
        gate.open()
        assert type(await failure(future)) is ConnectionError
        assert m.stats().quarantined_tasks == 0


async def test_a_stop_with_a_poison_task(engine: Any, kit: Any) -> None:
    """It is quarantined as at any other time, and the stop comes to its end."""
    got: list[int] = []
    gate = engine.gate()
    async with pool(engine, on_quarantine=lambda info: got.append(info.id)) as m:
        await m.submit(kit.holds(gate))
        future = await m.submit(kit.script(*UNHEALTHY))
        stop = asyncio.create_task(m.stop())
        gate.open()
        assert isinstance(await failure(future), PoisonTask)
        await stop
        assert got == [future.id]


@pytest.mark.parametrize(
    "options",
    [
        {"quarantine_after": 0},
        {"quarantine_after": True},
        {"quarantine_after": 2.0},
        {"on_quarantine": print},
        {"quarantine_after": 2, "on_quarantine": "mail"},
    ],
)
def test_wrong_values(options: dict[str, Any]) -> None:
    """Each error names the field and the value."""
    field, value = list(options.items())[-1]
    with pytest.raises(ConfigError, match=f"Config.{field} must be ") as caught:
        Config(worker_count=1, on_create=object, **options)
    assert repr(value) in str(caught.value)
