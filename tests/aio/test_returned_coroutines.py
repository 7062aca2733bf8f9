"""A plain function that returns a coroutine, as a lambda or a wrapper does: the coroutine runs as that of the task."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from support.gates import Gate
from support.observers import RecordingLogger
from support.waiting import eventually
from tasker import Context, DeadlockError, TaskKilled, TaskTimeout

from .tasks import Sleeper

user: ContextVar[str] = ContextVar("user", default="nobody")

pytestmark = pytest.mark.parametrize("in_thread", [True, False], ids=["in a thread", "in the loop"])


def wrapped(task: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function that returns the task's coroutine."""
    return lambda ctx, resource, *args: task(ctx, resource, *args)


async def spoils(ctx: Context, resource: Any) -> tuple[str, str]:
    """Sets the variable, before and after it has waited."""
    before = user.get()
    user.set("spoiled")
    await asyncio.sleep(0)
    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
    return before, user.get()


async def test_it_runs_in_the_variables_of_the_submitter(make: Any, in_thread: bool) -> None:
    """It sees what the submitter has set, over its waits, and what it sets reaches no other task."""
    async with make(sync_in_thread=in_thread) as m:
        futures = []
        for name in ("ann", "bob"):
            user.set(name)
            futures.append(m.submit(wrapped(spoils)))
        assert await asyncio.gather(*futures) == [("ann", "spoiled"), ("bob", "spoiled")]
        unset = await asyncio.create_task(m.queue_task(wrapped(spoils)), context=contextvars.Context())
        assert unset == ("nobody", "spoiled")
        assert user.get() == "bob"


async def test_what_the_function_sets_its_coroutine_sees(make: Any, in_thread: bool) -> None:
    """Both are one task: in a worker, and in run_task."""

    def sets(ctx: Context, resource: Any) -> Any:
        user.set("set by the function")
        return spoils(ctx, resource)

    async with make(sync_in_thread=in_thread) as m:
        assert await m.queue_task(sets) == ("set by the function", "spoiled")
        assert await m.run_task(sets) == ("set by the function", "spoiled")
        assert user.get() == "nobody"


async def test_it_can_be_cancelled(make: Any, in_thread: bool) -> None:
    """CancelledError is raised where it waits, and the next task is left alone."""
    async with make(sync_in_thread=in_thread) as m:
        sleeper = Sleeper()
        future = m.submit(wrapped(sleeper))
        await sleeper.begun.wait()
        assert future.cancel() is False
        with pytest.raises(asyncio.CancelledError):
            await future
        assert sleeper.ended == ["cancelled, context True"]
        assert await m.queue_task(wrapped(spoils)) == ("nobody", "spoiled")
        assert m.stats().resources.created == 1


async def test_a_kill_cancels_it(make: Any, in_thread: bool) -> None:
    """In a worker, and in run_task."""
    async with make(sync_in_thread=in_thread, cancel_grace=30) as m:
        one, other = Sleeper(), Sleeper()
        future, caller = m.submit(wrapped(one)), asyncio.create_task(m.run_task(wrapped(other)))
        await one.begun.wait()
        await other.begun.wait()
        report = await m.kill()
        assert report.seconds < 10
        assert report.abandoned == ()
        for ended in (future, caller):
            with pytest.raises(TaskKilled):
                await ended
        assert one.ended == other.ended == ["cancelled, context True"]


async def test_one_that_cancels_itself_in_its_first_step(make: Any, in_thread: bool) -> None:
    """It gets CancelledError where it waits first."""
    futures: list[Any] = []

    async def cancels(ctx: Context, resource: Any) -> None:
        futures[0].cancel()
        await asyncio.sleep(30)

    async with make(sync_in_thread=in_thread) as m:
        futures.append(m.submit(wrapped(cancels)))
        with pytest.raises(asyncio.CancelledError):
            await futures[0]
        assert await m.queue_task(wrapped(spoils)) == ("nobody", "spoiled")


async def test_its_errors_are_those_of_the_task(make: Any, in_thread: bool) -> None:
    """It may raise at once or later, and is tried again if the resource is to blame."""
    attempts: list[int] = []

    async def fails(ctx: Context, resource: Any, waits: bool) -> str:
        attempts.append(len(attempts))
        if waits:
            await asyncio.sleep(0)
        if len(attempts) % 2:
            raise OSError("sick")
        return "fine"

    async with make(sync_in_thread=in_thread, check_health=lambda error: False) as m:
        assert await m.queue_task(wrapped(fails), False) == "fine"
        assert await m.queue_task(wrapped(fails), True) == "fine"
        assert m.metrics().total_tasks_retried == 2


async def test_its_waits_are_seen(make: Any, in_thread: bool) -> None:
    """One that waits for its own saturated pool gets DeadlockError; one that only sleeps is not reported as slow."""
    logger = RecordingLogger()

    async def rests(ctx: Context, resource: Any) -> None:
        await asyncio.sleep(0.06)

    async with make(sync_in_thread=in_thread, logger=logger, slow_callback=0.05) as m:
        await m.queue_task(wrapped(rests))
        with pytest.raises(DeadlockError):
            await m.submit(lambda ctx, resource: m.queue_task(spoils))
    assert "held" not in logger.text("warning")


async def test_one_whose_function_was_cancelled_in_its_thread(make: Any, in_thread: bool) -> None:
    """The coroutine gets the cancellation that came while the function ran; of a kill, too."""
    if not in_thread:
        pytest.skip("a function in the loop cannot be cancelled from elsewhere")
    for end in ("cancel", "kill"):
        gate, release, slept = Gate(), threading.Event(), []  # type: ignore[var-annotated]

        async def sleeps(slept: list[str] = slept) -> None:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                slept.append("cancelled")
                raise

        def slow(ctx: Context, resource: Any, gate: Gate = gate, release: Any = release, sleeps: Any = sleeps) -> Any:
            gate.arrive()
            release.wait(20)
            return sleeps()

        async with make(cancel_grace=30) as m:
            futures = [m.submit(slow)]
            await gate.arrivals(1)
            if end == "cancel":
                assert futures[0].cancel() is False
            else:
                futures.append(asyncio.create_task(m.run_task(slow)))
                await gate.arrivals(2)
                ending = asyncio.create_task(m.kill())
                await eventually(lambda: m._engine.killed)
            release.set()
            for future in futures:
                with pytest.raises((asyncio.CancelledError, TaskKilled)):
                    await future
            assert slept == ["cancelled"] * len(futures)
            if end == "kill":
                assert (await ending).abandoned == ()


async def test_a_result_that_is_a_hostile_proxy(make: Any, in_thread: bool) -> None:
    """Whether a result is to be awaited is asked of its type, whatever its attributes raise."""

    class Proxy:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("unbound")

    async with make(sync_in_thread=in_thread) as m:
        assert type(await m.queue_task(lambda ctx, resource: Proxy())) is Proxy


@pytest.mark.parametrize("given_up", ["while the function ran", "while the coroutine ran"])
async def test_one_whose_task_was_given_up(make: Any, in_thread: bool, given_up: str) -> None:
    """The task is counted once, the worker serves again, and a coroutine that has not begun never does."""
    if not in_thread and given_up == "while the function ran":
        pytest.skip("a function in the loop holds up whatever would give it up")
    release, begun = threading.Event(), asyncio.Event()

    async def goes_on() -> None:
        begun.set()
        while not release.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    def task(ctx: Context, resource: Any) -> Any:
        if given_up == "while the function ran":
            assert release.wait(20)
        return goes_on()

    async with make(sync_in_thread=in_thread, cancel_grace=0.02, burst_interval=0.02) as m:
        with pytest.raises(TaskTimeout):
            await m.submit(task, timeout=0.02)
        release.set()
        await eventually(lambda: m.stats().stuck_workers == 0)
        assert await m.queue_task(spoils) == ("nobody", "spoiled")
        stats = m.stats()
        assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks) == (2, 2, 0)
        assert (m.metrics().total_tasks_failed, stats.timed_out_tasks) == (1, 1)
        assert begun.is_set() is (given_up == "while the coroutine ran")
        assert await m.pause(timeout=10)
        m.resume()
