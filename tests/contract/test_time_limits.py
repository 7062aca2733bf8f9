"""A task that exceeds its timeout or its deadline is cancelled, ends with TaskTimeout, and holds up nobody."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from support.limits import balanced, opens_when_cancelled
from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import eventually, throughout
from tasker import Config, ConfigError, RetryPolicy, TaskCancelled, TaskTimeout
from tasker.core.limited_calls import given

LIMIT = 0.1
LONG = 60.0
"""Seconds that no test waits for."""
CLOSED = OSError("closed")


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time, whose tasks have a long grace."""
    return engine.manager(**{"worker_count": 1, "max_worker_count": 1, "cancel_grace": LONG, **config})


def in_place(engine: Any) -> bool:
    """Whether a task that goes on can only be left to itself: it has no process."""
    return not engine.elsewhere


# -- a task that obeys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
async def test_a_task_that_obeys_its_cancellation(engine: Any, kit: Any, limit: str) -> None:
    """It ends with TaskTimeout, which says which limit it was, and not as cancelled; its worker goes on."""
    gate, resources = engine.gate(), ScriptedResources()
    seconds = {"timeout": 0.3, "deadline": 1.5}[limit]  # a deadline has room for the start of the task
    async with pool(engine, resources=resources) as m:
        await m.queue_task(kit.returns())  # so that the next one starts at once
        future = await m.submit(kit.until_cancelled(gate), **{limit: seconds})
        with pytest.raises(TaskTimeout, match=rf"until_cancelled.*has not ended within {limit}={seconds:g}") as caught:
            await future
        assert (caught.value.limit, caught.value.seconds) == (limit, seconds)
        assert isinstance(caught.value, TimeoutError)
        assert not future.cancelled()
        assert future.attempts == 1
        assert await m.queue_task(kit.returns("next")) == "next"
        assert len(resources.created) == 1
        assert m.stats().timed_out_tasks == m.metrics().total_tasks_timed_out == m.metrics().total_tasks_failed == 1
        assert m.stats().stuck_workers == m.metrics().total_tasks_cancelled == 0
        assert balanced(m)


async def test_a_result_within_the_grace_stands(engine: Any, kit: Any) -> None:
    """A task that is cancelled by its limit and returns all the same has its result."""
    gate = engine.gate()
    async with pool(engine) as m:
        task = kit.both(opens_when_cancelled(gate), kit.watches(gate))
        assert await m.queue_task(task, timeout=LIMIT) is True
        assert m.stats().timed_out_tasks == 0
        assert await m.queue_task(kit.returns("next")) == "next"


async def test_an_error_within_the_grace_is_the_cause(engine: Any, kit: Any) -> None:
    """A task may obey by having its connection closed: what that leads to is the cause of the TaskTimeout."""
    gate = engine.gate()
    async with pool(engine) as m:
        future = await m.submit(kit.both(opens_when_cancelled(gate), kit.fails_at(gate, CLOSED)), timeout=LIMIT)
        with pytest.raises(TaskTimeout) as caught:
            await future
        assert isinstance(caught.value.__cause__, OSError)
        assert future.attempts == 1


async def test_the_resource_is_judged(engine: Any, kit: Any) -> None:
    """As after a cancellation: if check_health blames the resource it is replaced, and the task is not tried again."""
    resources = ScriptedResources()
    async with pool(engine, resources=resources, check_health=kit.hook(lambda error: False)) as m:
        future = await m.submit(kit.until_cancelled(engine.gate()), timeout=LIMIT)
        with pytest.raises(TaskTimeout):
            await future
        assert future.attempts == 1
        await eventually(lambda: m.stats().replaced_workers == 1)
        await eventually(lambda: len(resources.created) == 2)
        assert balanced(m)


async def test_a_task_that_is_taken_too_late(engine: Any, kit: Any) -> None:
    """Where the supervisor has not got there before the worker, the task is not called, and counts as one that has waited in vain:
    no execution is measured."""
    if not in_place(engine):
        pytest.skip("it has begun there by then, and is cancelled")
    gate, ran = engine.gate(), []
    async with pool(engine) as m:
        m._engine.limits.look = lambda now: None  # the supervisor does not get there
        first = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        late = await m.submit(kit.records(ran), deadline=LIMIT)
        await asyncio.sleep(2 * LIMIT)  # the deadline passes; without it the test would prove nothing
        gate.open()
        await first
        with pytest.raises(TaskTimeout, match=r"has not started within deadline=0\.1"):
            await late
        assert ran == []
        metrics = m.metrics()
        assert (metrics.total_tasks_failed, metrics.total_tasks_timed_out) == (1, 1)
        assert metrics.min_execution_time > LIMIT, "that of the first task is the only one"
        assert await m.queue_task(kit.returns("next")) == "next"
        assert balanced(m)


async def test_within_its_limits_nothing_happens(engine: Any, kit: Any) -> None:
    """The result is there, whichever worker made it, and no limit strikes a later task of the worker."""
    async with pool(engine) as m:
        for number in range(20):
            assert await m.queue_task(kit.returns(number), timeout=LIMIT, deadline=LONG) == number
        assert await m.queue_task(kit.pauses(3 * LIMIT)) == 3 * LIMIT
        assert m.stats().timed_out_tasks == 0


async def test_a_cancellation_before_the_limit(engine: Any, kit: Any) -> None:
    """What was cancelled before stays cancelled, although the limit passes before the task has obeyed."""
    gate = engine.gate()
    async with pool(engine) as m:
        future = await m.submit(kit.until_cancelled(gate), timeout=LONG)
        await gate.arrivals(1)
        future.cancel()
        with pytest.raises((TaskCancelled, asyncio.CancelledError)):
            await future.result()
        assert future.cancelled()
        assert m.stats().timed_out_tasks == 0


# -- a task that is late ----------------------------------------------------------------------------------------------


async def test_a_task_that_is_late_never_starts(engine: Any, kit: Any) -> None:
    """It ends when its deadline passes, although no worker is free, and is not run when one is."""
    gate, other = engine.gate(), engine.gate()
    async with pool(engine) as m:
        first = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        late = await m.submit(kit.holds(other), deadline=LIMIT)
        with pytest.raises(TaskTimeout, match=r"has not started within deadline=0\.1 seconds of its") as caught:
            await late
        assert (caught.value.limit, late.attempts) == ("deadline", 0)
        assert not first.done()
        assert m.stats().timed_out_tasks == m.metrics().total_tasks_timed_out == 1
        gate.open()
        await first
        assert await m.queue_task(kit.returns("next")) == "next"
        assert other.arrived == 0
        assert balanced(m)


async def test_a_deadline_that_passes_between_two_attempts(engine: Any, kit: Any) -> None:
    """No further attempt starts, and the task does not wait for the end of its pause."""
    policy = RetryPolicy(retry_on=OSError, backoff=1e6, max_backoff=1e6)
    async with pool(engine, retry=policy) as m:
        await m.queue_task(kit.returns())  # so that the next one starts at once
        future = await m.submit(kit.script(CLOSED, "value"), deadline=5 * LIMIT)
        with pytest.raises(TaskTimeout, match="has not started"):
            await future
        assert future.attempts == 1
        assert balanced(m)


async def test_the_slot_of_a_late_task(engine: Any, kit: Any) -> None:
    """A bounded queue has room again."""
    gate = engine.gate()
    async with pool(engine, max_queue_size=1) as m:
        first = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        for _ in range(3):
            late = await m.submit(kit.returns(), deadline=LIMIT)
            with pytest.raises(TaskTimeout):
                await late
        gate.open()
        await first


# -- a task that goes on ----------------------------------------------------------------------------------------------


async def test_a_task_that_goes_on_is_given_up(engine: Any, kit: Any) -> None:
    """After the grace it ends without its attempt. Its worker is replaced at max_worker_count=1, and taken back later; a
    process is ended by force. What it returns in the end is dropped."""
    gate, resources, logger = engine.gate(), ScriptedResources(), RecordingLogger()
    async with pool(engine, resources=resources, cancel_grace=LIMIT, logger=logger) as m:
        future = await m.submit(kit.holds(gate, "late"), timeout=LIMIT)
        with pytest.raises(TaskTimeout, match=r"timeout=0\.1"):
            await future
        assert balanced(m)
        assert await m.queue_task(kit.returns("next")) == "next"
        if in_place(engine):
            assert m.stats().stuck_workers == 1
            assert "is stuck: task #1" in logger.text("error")
            assert "in pass_" in logger.text("warning"), "where it is"
        gate.open()
        await eventually(lambda: m.stats().stuck_workers == 0)
        assert await m.queue_task(kit.returns("other")) == "other"
        await eventually(lambda: 1 <= len(resources.alive) <= 1 + m.stats().resources.lost)
        assert isinstance(await future.exception(), TaskTimeout)
        assert m.stats().timed_out_tasks == 1
        assert balanced(m)
        if in_place(engine):
            assert m.stats().resources.lost == 0
        else:
            await m.kill(LONG)  # after which the audit allows for what was lost with the process


async def test_only_so_many_are_replaced(engine: Any, kit: Any) -> None:
    """A further one counts against the maximum, so tasks wait until it returns; and then it runs them itself."""
    if not in_place(engine):
        pytest.skip("no worker is stuck there")
    gate, resources = engine.gate(), ScriptedResources()
    async with pool(engine, resources=resources, cancel_grace=0, max_stuck_workers=1) as m:
        for _ in range(2):
            with pytest.raises(TaskTimeout):
                await m.queue_task(kit.holds(gate), timeout=LIMIT)
        assert m.stats().stuck_workers == 2
        waiting = await m.submit(kit.returns("at last"))
        await throughout(lambda: len(resources.created) == 2 and not waiting.done(), 0.3, "no third worker")
        gate.open()
        assert await waiting == "at last"
        await eventually(lambda: m.stats().stuck_workers == 0)
        assert len(resources.created) == 2
        assert balanced(m)


@pytest.mark.parametrize("healthy", [True, False])
async def test_what_a_given_up_task_raises(engine: Any, kit: Any, healthy: bool) -> None:
    """It reaches nobody but check_health, which decides whether the worker is taken back."""
    if not in_place(engine):
        pytest.skip("it is ended by force there")
    gate, asked = engine.gate(), []  # type: ignore[var-annotated]
    resources = ScriptedResources()
    check = kit.hook(lambda error: asked.append(error) or healthy)
    async with pool(engine, resources=resources, cancel_grace=0, max_stuck_workers=0, check_health=check) as m:
        future = await m.submit(kit.fails_at(gate, CLOSED), timeout=LIMIT)
        with pytest.raises(TaskTimeout):
            await future
        gate.open()
        assert await m.queue_task(kit.returns("next")) == "next"
        assert asked == [CLOSED]
        assert len(resources.created) == (1 if healthy else 2)
        assert m.stats().replaced_workers == (0 if healthy else 1)
        assert balanced(m)


async def test_a_stop_does_not_wait_for_it(engine: Any, kit: Any) -> None:
    """Every task has its outcome. The report names the worker with the task that it is in."""
    if not in_place(engine):
        pytest.skip("it is ended by force there")
    gate, resources = engine.gate(), ScriptedResources()
    async with pool(engine, resources=resources, cancel_grace=0) as m:
        with pytest.raises(TaskTimeout):
            await m.queue_task(kit.holds(gate), timeout=LIMIT)
        report = await asyncio.wait_for(m.stop(), LONG)
        assert not report.killed
        assert report.killed_tasks == 0
        assert report.failed_tasks == 1
        assert len(report.abandoned) == 1
        assert "task #1" in report.abandoned[0]
        assert "holding" in report.abandoned[0]
        gate.open()
        await eventually(lambda: not resources.alive)


async def test_a_kill_waits_for_it(engine: Any, kit: Any) -> None:
    """Until its deadline: what returns by then ends in order."""
    gate, resources = engine.gate(), ScriptedResources()
    async with pool(engine, resources=resources, cancel_grace=0) as m:
        with pytest.raises(TaskTimeout):
            await m.queue_task(kit.holds(gate), timeout=LIMIT)
        ending = asyncio.ensure_future(m.kill(LONG))
        if in_place(engine):
            await throughout(lambda: not ending.done(), 0.2, "the kill waits")
        gate.open()
        report = await ending
        assert report.abandoned == ()
        assert report.killed_tasks == 0
        await eventually(lambda: len(resources.alive) <= m.stats().resources.lost)


# -- another attempt --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("healthy", [True, False])
async def test_a_policy_that_names_it(engine: Any, kit: Any, healthy: bool) -> None:
    """RetryPolicy.retry_on=TaskTimeout has the task tried again, with a new timeout, whatever check_health says."""
    gate = engine.gate()
    task = kit.both(opens_when_cancelled(gate), kit.fails_at(gate, CLOSED))
    check = kit.hook(lambda error: healthy or "closed" in str(error))
    async with pool(engine, retry=RetryPolicy(retry_on=TaskTimeout), check_health=check) as m:
        future = await m.submit(task, timeout=10 * LIMIT)  # the second attempt has to end within it
        error = await future.exception()
        assert isinstance(error, OSError), "of the second attempt, for which the gate is open"
        assert not isinstance(error, TaskTimeout)
        assert future.attempts == 2
        assert m.stats().timed_out_tasks == 0
        assert m.stats().replaced_workers == (0 if healthy else 1)


async def test_a_deadline_is_never_tried_again(engine: Any, kit: Any) -> None:
    """Whatever the policy says: no attempt would be in time."""
    async with pool(engine, retry=RetryPolicy(retry_on=TaskTimeout)) as m:
        await m.queue_task(kit.returns())  # so that the next one starts at once
        future = await m.submit(kit.until_cancelled(engine.gate()), timeout=LONG, deadline=10 * LIMIT)
        with pytest.raises(TaskTimeout, match="deadline"):
            await future
        assert future.attempts == 1


async def test_the_last_attempt_is_the_outcome(engine: Any, kit: Any) -> None:
    """After max_retries further attempts, each of which was cancelled, the task ends with TaskTimeout."""
    async with pool(engine, retry=RetryPolicy(retry_on=TaskTimeout), max_retries=2) as m:
        future = await m.submit(kit.until_cancelled(engine.gate()), timeout=LIMIT)
        with pytest.raises(TaskTimeout):
            await future
        assert future.attempts == 3
        assert m.stats().timed_out_tasks == m.metrics().total_tasks_timed_out == 1
        assert balanced(m)


# -- how a limit is given ---------------------------------------------------------------------------------------------


async def test_limits_of_the_configuration(engine: Any, kit: Any) -> None:
    """They apply to tasks of which nothing else is said; an infinite one is none."""
    async with pool(engine, task_timeout=LIMIT, task_deadline=LONG) as m:
        with pytest.raises(TaskTimeout, match=r"timeout=0\.1"):
            await m.queue_task(kit.until_cancelled(engine.gate()))
        with pytest.raises(TaskTimeout, match=r"timeout=0\.2"):
            await m.queue_task(kit.until_cancelled(engine.gate()), timeout=2 * LIMIT)
        with pytest.raises(TaskTimeout, match=r"deadline=0\.05"):
            await m.queue_task(kit.until_cancelled(engine.gate()), deadline=LIMIT / 2)
        assert await m.queue_task(kit.pauses(2 * LIMIT), timeout=math.inf, deadline=math.inf) == 2 * LIMIT


async def test_the_limit_of_a_map(engine: Any, kit: Any) -> None:
    """It applies to each of its tasks, and its error comes at its place."""
    gate, found = engine.gate(), []  # type: ignore[var-annotated]
    async with pool(engine, cancel_grace=0) as m:
        with pytest.raises(TaskTimeout):
            async for value in m.map(kit.holds_if(gate, 2), [0, 1, 2, 3], timeout=3 * LIMIT):
                found.append(value)
        assert found == [0, 1]
        gate.open()
        await m.kill(LONG)


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("value", [0, -1.0, math.nan, True, "1"])
async def test_wrong_limits(engine: Any, kit: Any, name: str, value: Any) -> None:
    """They raise at once, name the option, and leave nothing behind that a stop would wait for."""
    async with pool(engine, max_queue_size=1) as m:
        for _ in range(3):
            with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
                await m.submit(kit.returns(), **{name: value})
        assert m.stats().accepted_tasks == 0
        assert await m.queue_task(kit.returns("next")) == "next"
    for wrong in (value, math.inf):
        with pytest.raises(ConfigError, match=f"task_{name}"):
            Config(on_create=object, worker_count=1, **{f"task_{name}": wrong})


async def test_a_task_that_is_handed_back(engine: Any, kit: Any) -> None:
    """It is the function that was submitted, and not what stood in for it; its limits begin anew where it is submitted again."""
    async with pool(engine) as m:
        await m.pause()
        await m.submit(kit.returns("value"), timeout=LONG, deadline=LONG)
        report = await m.stop(hand_back=True)
    back = report.handed_back[0]
    assert given(back.task) is back.task
    assert (back.timeout, back.deadline) == (LONG, LONG)


async def test_a_task_knows_its_limit(engine: Any, kit: Any) -> None:
    """Where it runs in this process, its context has the earlier one as its deadline, and the error as its cause."""
    if not in_place(engine):
        pytest.skip("a context in another process does not know it")
    async with pool(engine) as m:
        remaining = await m.queue_task(
            kit.calls(lambda ctx, resource: ctx.remaining()), timeout=LONG, deadline=2 * LONG
        )
        assert 0 < remaining <= LONG
        gate, seen = engine.gate(), []  # type: ignore[var-annotated]

        def look(ctx: Any, resource: Any) -> None:
            ctx.on_cancel(lambda: (seen.append(ctx.cause), gate.open()))

        assert await m.queue_task(kit.both(look, kit.watches(gate)), timeout=LIMIT) is True
        assert isinstance(seen[0], TaskTimeout)
        assert (seen[0].limit, seen[0].seconds) == ("timeout", LIMIT)
