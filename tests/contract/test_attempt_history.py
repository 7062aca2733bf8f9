"""`attempts_made` and the notes of a final error: what the attempts of a task were."""

from __future__ import annotations

import gc
import traceback
import weakref
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually, failure
from tasker import MaxRetriesExceeded, RetryPolicy, TaskCancelled, TaskKilled

LONG = 1e6
"""Seconds that no test waits for."""


def pool(engine: Any, **config: Any) -> Any:
    """One worker at a time."""
    return engine.manager(**{"worker_count": 1, "max_worker_count": 1, "name": "pool", **config})


def verdicts(future: Any) -> list[str]:
    """What became of the task after each attempt."""
    return [attempt.verdict for attempt in future.attempts_made]


def notes(error: BaseException) -> list[str]:
    """The lines of its notes."""
    return "\n".join(getattr(error, "__notes__", ())).splitlines()


async def test_a_task_that_succeeds_at_once(engine: Any, kit: Any) -> None:
    """One attempt, computed from what the future knows; nothing is stored."""
    gate = engine.gate()
    async with pool(engine) as m:
        future = await m.submit(kit.holds(gate, "value"))
        assert future.attempts_made == ()
        gate.open()
        await future
        (attempt,) = future.attempts_made
        assert (attempt.number, attempt.worker, attempt.slot, attempt.verdict) == (1, "pool-1", 1, "succeeded")
        assert attempt.error is None
        assert attempt.frames == ()
        assert attempt.generation >= 1
        stamps = future.timestamps
        assert attempt.wait == stamps.started_at - stamps.queued_at
        assert attempt.run == stamps.finished_at - stamps.started_at
        assert attempt.ended_at == stamps.finished_at


async def test_a_task_that_fails_at_once(engine: Any, kit: Any) -> None:
    """One attempt, with the error; the error has no note."""
    async with pool(engine) as m:
        future = await m.submit(kit.raises(ValueError("no")))
        error = await failure(future)
        (attempt,) = future.attempts_made
        assert (attempt.number, attempt.verdict, attempt.error) == (1, "ended", error)
        assert notes(error) == []


async def test_each_attempt_has_its_resource_and_error(engine: Any, kit: Any) -> None:
    """Attempts that were blamed on the resource: another generation each time, in the same slot."""
    resources = ScriptedResources()
    async with pool(engine, resources=resources, check_health=kit.hook(lambda error: False)) as m:
        future = await m.submit(kit.script(ConnectionError("one"), ConnectionError("two"), "value"))
        assert await future == "value"
        attempts = future.attempts_made
        assert [attempt.number for attempt in attempts] == [1, 2, 3]
        assert verdicts(future) == ["try again", "try again", "succeeded"]
        assert [attempt.error and attempt.error.args[0] for attempt in attempts] == ["one", "two", None]
        assert len({attempt.generation for attempt in attempts}) == 3
        assert {attempt.worker for attempt in attempts} == {"pool-1"}
        ends = [attempt.ended_at for attempt in attempts]
        assert ends == sorted(ends)
        assert all(attempt.wait >= 0 and attempt.run >= 0 for attempt in attempts)
        # Wait and run add up to the time between two ends.
        assert attempts[1].wait + attempts[1].run == pytest.approx(ends[1] - ends[0])


async def test_an_own_error_keeps_the_resource(engine: Any, kit: Any) -> None:
    """Retries by a policy: the same generation. The final error carries the earlier attempts as a note."""
    async with pool(engine, max_retries=2, retry=RetryPolicy(retry_on=ValueError)) as m:
        future = await m.submit(kit.script(ValueError("one"), ValueError("two\nlines"), ValueError("three")))
        error = await failure(future)
        assert error.args == ("three",)
        attempts = future.attempts_made
        assert verdicts(future) == ["try again", "try again", "ended"]
        assert attempts[-1].error is error
        assert len({attempt.generation for attempt in attempts}) == 1
        told = notes(error)
        assert told[0].startswith(f"pool: earlier attempts of task #{future.id} ")
        assert [line.partition(" on pool-1 (generation ")[0] for line in told[1:]] == ["  1.", "  2."]
        assert [line.rpartition("ValueError: ")[2] for line in told[1:]] == ["one", "two lines"]
        assert told[1] in "".join(traceback.format_exception(error))


async def test_max_retries_exceeded_tells_of_the_others(engine: Any, kit: Any) -> None:
    """Its cause is the last error; the note has those before."""
    async with pool(engine, max_retries=2, check_health=kit.hook(lambda error: False)) as m:
        future = await m.submit(kit.script(*(ConnectionError(f"no {n}") for n in range(3))))
        error = await failure(future)
        assert isinstance(error, MaxRetriesExceeded)
        assert error.attempts == 3
        assert verdicts(future) == ["try again", "try again", "exhausted"]
        assert future.attempts_made[-1].error is error.__cause__
        assert [line.rpartition(": ")[2] for line in notes(error)[1:]] == ["no 0", "no 1"]


async def test_a_long_history_is_abbreviated(engine: Any, kit: Any) -> None:
    """The first five and the last five attempts, numbered; the note says how many are left out."""
    async with pool(engine, max_retries=29, retry=RetryPolicy(retry_on=ValueError)) as m:
        future = await m.submit(kit.script(*(ValueError(f"no {n}") for n in range(30))))
        error = await failure(future)
        assert future.attempts == 30
        assert [attempt.number for attempt in future.attempts_made] == [1, 2, 3, 4, 5, 26, 27, 28, 29, 30]
        told = notes(error)
        assert len(told) == 1 + 5 + 1 + 4
        assert told[6] == "  ... 20 more ..."


async def test_one_error_of_several_tasks_has_one_note(engine: Any, kit: Any) -> None:
    """An error object that is raised again and again does not collect notes."""
    busy = ConnectionError("busy")
    async with pool(engine, max_retries=1, retry=RetryPolicy(retry_on=ConnectionError)) as m:
        for _ in range(3):
            future = await m.submit(kit.raises(busy))
            error = await failure(future)
            assert engine.same(error, busy)
            told = notes(error)
            assert len(told) == 2
            assert f"task #{future.id} " in told[0]


async def test_a_task_that_was_cancelled_between_two_attempts(engine: Any, kit: Any) -> None:
    """The cancellation is no attempt; what was tried before stays known."""
    policy = RetryPolicy(retry_on=ValueError, backoff=LONG, max_backoff=LONG)
    async with pool(engine, retry=policy) as m:
        future = await m.submit(kit.script(ValueError("one"), "value"))
        await eventually(lambda: m.stats().delayed_tasks == 1)
        assert verdicts(future) == ["try again"]
        assert future.cancel()
        assert verdicts(future) == ["try again"]
        assert future.attempts == 1


async def test_a_cancelled_attempt(engine: Any, kit: Any) -> None:
    """One that obeyed its cancellation."""
    gate = engine.gate()
    async with pool(engine) as m:
        future = await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        future.cancel()
        await eventually(future.done)
        (attempt,) = future.attempts_made
        assert attempt.verdict == "cancelled"
        assert isinstance(attempt.error, TaskCancelled)


async def test_a_killed_attempt(engine: Any, kit: Any) -> None:
    """One that a kill has cancelled."""
    gate = engine.gate()
    async with pool(engine) as m:
        future = await m.submit(kit.until_cancelled(gate))
        never = await m.submit(kit.returns(1))
        await gate.arrivals(1)
        await m.kill()
        (attempt,) = future.attempts_made
        assert attempt.verdict == "killed"
        assert isinstance(attempt.error, TaskKilled)
        assert never.attempts_made == ()


async def test_earlier_errors_keep_no_frames(engine: Any, kit: Any) -> None:
    """They would keep the resource and the arguments alive. The outcome has its traceback, the others have text."""
    async with pool(engine, max_retries=1, retry=RetryPolicy(retry_on=ValueError)) as m:
        future = await m.submit(kit.script(ValueError("one"), ValueError("two")))
        await failure(future)
        first, last = future.attempts_made
        assert first.error.__traceback__ is None
        assert first.error.__context__ is None
        if not engine.pickles:
            assert last.error.__traceback__ is not None
            assert first.frames[-1][2].endswith("scripted")
            assert "raise step" in first.traceback
            assert __file__.rpartition("tests")[0] in first.traceback


class Thing:
    """A resource that can be watched."""


async def test_a_future_that_is_kept_keeps_no_resource(engine: Any, kit: Any) -> None:
    """Not those of the attempts that failed: they go at once, and not with the garbage collector."""
    if engine.elsewhere:
        pytest.skip("the resources are elsewhere")
    things: list[weakref.ref[Thing]] = []

    def make() -> Thing:
        thing = Thing()
        things.append(weakref.ref(thing))
        return thing

    gc.disable()
    try:
        async with pool(engine, on_create=make, check_health=kit.hook(lambda error: False)) as m:
            future = await m.submit(kit.script(ConnectionError("one"), ConnectionError("two"), "value"))
            assert await future == "value"
            await eventually(lambda: [thing() is None for thing in things] == [True, True, False])
    finally:
        gc.enable()
    assert verdicts(future) == ["try again", "try again", "succeeded"]


async def test_an_error_that_takes_no_notes(engine: Any, kit: Any) -> None:
    """An error whose class forbids notes and attributes is delivered all the same, without a note."""
    async with pool(engine, max_retries=1, retry=RetryPolicy(retry_on=Unwilling)) as m:
        future = await m.submit(kit.script(Unwilling("one"), Unwilling("two")))
        error = await failure(future)
        assert type(error) is Unwilling
        assert verdicts(future) == ["try again", "ended"]


class Unwilling(Exception):
    """It takes no notes."""

    @property
    def __notes__(self) -> Any:
        raise AttributeError("no notes")

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("frozen")
