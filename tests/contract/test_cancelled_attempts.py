"""A task that is cancelled while an attempt runs is not started again, whatever becomes of its resource."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.waiting import eventually
from tasker import TaskCancelled, TaskKilled


def counts(m: Any) -> tuple[int, int, int, int]:
    """Tasks that were accepted, that wait, that run, and that are done."""
    stats = m.stats()
    return stats.accepted_tasks, stats.queued_tasks + stats.priority_tasks, stats.running_tasks, stats.done_tasks


def number_of(ctx: Any, resource: Any) -> int:
    """A task that returns the number of its resource."""
    number: int = resource.number
    return number


def closes_when_cancelled(starts: list[int], closed: Any) -> Any:
    """A function for `kit.both`: counts the start, and has the cancellation open the gate, as it would close a socket."""

    def begin(ctx: Any, resource: Any) -> None:
        starts.append(resource.number)
        ctx.on_cancel(closed.open)

    return begin


@pytest.mark.parametrize("retries", [1, 3])
async def test_an_attempt_that_was_cancelled_is_the_last_one(engine: Any, kit: Any, retries: int) -> None:
    """A running task whose cancellation closes its resource, and which then fails for that, ends with its own error after
    one attempt; its worker is replaced as always."""
    closed, starts = engine.gate(), []  # type: ignore[var-annotated]
    task = kit.both(closes_when_cancelled(starts, closed), kit.fails_at(closed, OSError("closed")))
    async with engine.manager(check_health=kit.hook(lambda error: False), max_retries=retries) as m:
        future = await m.submit(task)
        await closed.arrivals(1)
        assert future.cancel() is False
        error = await future.exception()
        assert isinstance(error, OSError)
        assert not future.cancelled()
        await eventually(lambda: m.stats().replaced_workers == 1)
        assert await m.queue_task(kit.returns("next")) == "next"
        assert (starts, future.attempts) == ([1], 1)
        assert m.metrics().total_tasks_retried == 0
        assert counts(m) == (2, 0, 0, 2)


async def test_the_second_attempt_is_the_last_one_too(engine: Any, kit: Any) -> None:
    """A cancellation in a later attempt ends the retries just the same."""
    gate = engine.gate()
    steps = iter([OSError("sick"), None])

    def first_fails(ctx: Any, resource: Any) -> None:
        error = next(steps)
        if error is not None:
            raise error

    async with engine.manager(check_health=kit.hook(lambda error: False), max_retries=5) as m:
        future = await m.submit(kit.both(first_fails, kit.fails_at(gate, OSError("closed"))))
        await gate.arrivals(1)
        assert future.cancel() is False
        gate.open()
        error = await future.exception()
        assert isinstance(error, OSError)
        assert str(error) == "closed"
        assert future.attempts == 2
        assert counts(m) == (1, 0, 0, 1)


async def test_an_attempt_that_was_killed_is_the_last_one(engine: Any, kit: Any) -> None:
    """A kill has the same effect: the task is not started again, and ends."""
    closed, starts = engine.gate(), []  # type: ignore[var-annotated]
    task = kit.both(closes_when_cancelled(starts, closed), kit.fails_at(closed, OSError("closed")))
    async with engine.manager(check_health=kit.hook(lambda error: False), max_retries=3) as m:
        future = await m.submit(task)
        await closed.arrivals(1)
        assert (await m.kill(20)).abandoned == ()
        with pytest.raises((TaskKilled, OSError)):
            await future.result()
        assert (starts, future.attempts) == ([1], 1)
        assert counts(m) == (1, 0, 0, 1)


async def test_a_resource_that_a_cancelled_task_has_spoiled_is_replaced(engine: Any, kit: Any) -> None:
    """check_health gets the cancellation of a task that obeyed it. If it returns False, the worker is replaced; the task
    is cancelled all the same, and is not retried."""
    gate, errors = engine.gate(), []  # type: ignore[var-annotated]

    def healthy(error: BaseException) -> bool:
        errors.append(error)
        return not isinstance(error, TaskCancelled)

    async with engine.manager(check_health=kit.hook(healthy)) as m:
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        assert future.cancel() is False
        await eventually(future.done)
        assert future.cancelled()
        assert await m.queue_task(kit.calls(number_of)) == 2
        assert [type(error) for error in errors] == [TaskCancelled]
        assert f"#{future.id}" in str(errors[0])
        await eventually(lambda: m.stats().replaced_workers == 1)
        assert m.stats().resources.destroyed == 1
        assert m.metrics().total_tasks_cancelled == 1
        assert (m.metrics().total_tasks_retried, m.metrics().total_tasks_failed) == (0, 0)
        assert counts(m) == (2, 0, 0, 2)


async def test_a_resource_that_survives_a_cancellation_is_kept(engine: Any, kit: Any) -> None:
    """If check_health accepts the cancellation, or there is none, the next task gets the same resource."""
    for config in ({"check_health": kit.hook(lambda error: True)}, {}):
        gate = engine.gate()
        async with engine.manager(**config) as m:
            future = await m.submit(kit.until_cancelled(gate))
            await gate.arrivals(1)
            assert future.cancel() is False
            await eventually(future.done)
            assert future.cancelled()
            assert await m.queue_task(kit.calls(number_of)) == 1
            assert m.stats().replaced_workers == 0


async def test_check_health_is_not_asked_about_a_kill(engine: Any, kit: Any) -> None:
    """After a kill no task gets the resource, so whether it is healthy does not matter."""
    gate, errors = engine.gate(), []  # type: ignore[var-annotated]
    async with engine.manager(check_health=kit.hook(lambda error: bool(errors.append(error)))) as m:
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        await m.kill(20)
        assert future.cancelled()
    assert errors == []


def waits_and_says_no(engine: Any, gate: Any) -> Any:
    """A `check_health` that waits at the gate, and finds that the resource is to blame."""
    if engine.blocking:

        def check(error: BaseException) -> bool:
            gate.pass_through()
            return False

        return check

    async def acheck(error: BaseException) -> bool:
        await gate.apass_through()
        return False

    return acheck


@pytest.mark.parametrize("once", [False, True])
async def test_a_cancellation_while_check_health_is_asked(engine: Any, kit: Any, once: bool) -> None:
    """A task that is cancelled between its error and the answer of `check_health` is not started again either."""
    asked, starts = engine.gate(), []  # type: ignore[var-annotated]

    def begin(ctx: Any, resource: Any) -> None:
        starts.append(resource.number)

    async with engine.manager(check_health=waits_and_says_no(engine, asked), max_retries=3) as m:
        future = await m.submit(kit.both(begin, kit.raises(OSError("sick"))), once=once)
        await asked.arrivals(1)
        assert future.cancel() is False
        asked.open()
        error = await future.exception()
        assert isinstance(error, OSError)
        await eventually(lambda: m.stats().replaced_workers == 1)
        assert await m.queue_task(kit.returns("next")) == "next"
        assert (starts, future.attempts) == ([1], 1)
        assert counts(m) == (2, 0, 0, 2)


async def test_a_kill_while_check_health_is_asked(engine: Any, kit: Any) -> None:
    """A kill in that moment ends the task after its one attempt, too."""
    asked, starts = engine.gate(), []  # type: ignore[var-annotated]

    def begin(ctx: Any, resource: Any) -> None:
        starts.append(resource.number)

    async with engine.manager(check_health=waits_and_says_no(engine, asked), max_retries=3) as m:
        future = await m.submit(kit.both(begin, kit.raises(OSError("sick"))))
        await asked.arrivals(1)
        killing = asyncio.create_task(m.kill(20))
        await eventually(lambda: m.closed)
        asked.open()
        await killing
        with pytest.raises((TaskKilled, OSError)):
            await future.result()
        assert (starts, future.attempts) == ([1], 1)
