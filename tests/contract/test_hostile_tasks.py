"""Tasks and errors whose own attributes are broken harm no other task."""

from __future__ import annotations

import asyncio
import gc
import warnings
from dataclasses import dataclass
from typing import Any

import pytest

from tasker import MaxRetriesExceeded, TaskKilled, TravelError


class Unbound:
    """A callable whose every attribute raises, like a proxy outside of its context."""

    def __init__(self, error: BaseException | None = None, gate: Any = None) -> None:
        self.__dict__.update(error=error, gate=gate)

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__dict__"):
            return object.__getattribute__(self, name)
        raise RuntimeError(f"working outside of context: {name}")

    def __call__(self, ctx: Any, resource: Any) -> str:
        fields = object.__getattribute__(self, "__dict__")
        if fields["gate"] is not None:
            fields["gate"].pass_through()
        if fields["error"] is not None:
            raise fields["error"]
        return "value"


class Unnamed(Unbound):
    """A callable whose name alone raises SystemExit."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__qualname__":
            raise SystemExit
        return object.__getattribute__(self, name)


HOSTILE = pytest.mark.parametrize("kind", [Unbound, Unnamed])


async def held(engine: Any, m: Any) -> Any:
    """Return the gate at which the only worker is held."""
    gate = engine.gate()
    await m.submit(engine.kit.holds(gate))
    await gate.arrivals(1)
    return gate


@HOSTILE
async def test_a_kill_ends_every_task_behind_a_hostile_one(engine: Any, kit: Any, kind: Any) -> None:
    """A queued task that can't be named is killed, and so are those behind it."""
    async with engine.manager() as m:
        gate = await held(engine, m)
        futures = [await m.submit(task) for task in (kit.returns(), kind(), kit.returns(), kind(), kit.returns())]
        kill = asyncio.create_task(m.kill(10))
        for future in futures:
            with pytest.raises(TaskKilled):
                await future.result()
        gate.open()
        assert (await kill).killed_tasks == 5


@HOSTILE
async def test_a_hostile_task_can_be_shown_and_cancelled(engine: Any, kind: Any) -> None:
    """repr and cancel work; its name is that of its class."""
    async with engine.manager() as m:
        gate = await held(engine, m)
        future = await m.submit(kind())
        assert repr(future.raw) == f"<task #2 {kind.__name__}>"
        assert future.cancel()
        gate.open()


@HOSTILE
async def test_a_hostile_task_runs(engine: Any, kit: Any, kind: Any) -> None:
    """It runs as any other, in a worker and in run_task."""
    async with engine.manager() as m:
        future = await m.submit(kind())
        assert await future.result() == "value"
        assert await m.run_task(kind()) == "value"
        assert m.stats().lost_workers == 0


@HOSTILE
async def test_a_hostile_task_is_retried(engine: Any, kit: Any, kind: Any) -> None:
    """If it fails unhealthily, it is retried until its retries are used up."""
    async with engine.manager(check_health=kit.hook(lambda error: False), max_retries=1) as m:
        future = await m.submit(kind(OSError("sick")))
        assert isinstance(await future.exception(), MaxRetriesExceeded)
        assert future.attempts == 2
        assert await m.queue_task(kit.returns("next")) == "next"


@HOSTILE
async def test_an_abandoned_hostile_task_ends(engine: Any, kind: Any) -> None:
    """A kill that gives up on such a task ends it all the same, and names it in the report."""
    gate = engine.gate()
    async with engine.manager() as m:
        future = await m.submit(kind(gate=gate))
        await gate.arrivals(1)
        report = await asyncio.wait_for(m.kill(0.1), 20)
        assert (report.killed_tasks, len(report.abandoned)) == (1, 1)
        assert future.cancelled()
        gate.open()


@dataclass(frozen=True)
class Frozen(Exception):
    """An error that forbids every assignment, that of its traceback too."""

    key: str


class Sealed(Exception):
    """The same, written by hand."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("error", [Frozen("x"), Sealed("x")], ids=lambda error: type(error).__name__)
async def test_an_error_that_can_not_be_changed_reaches_its_caller(engine: Any, kit: Any, error: Exception) -> None:
    """The task's future has that very error (or, where it is pickled, one that says that it can't be), and the worker goes on
    with its resource."""
    async with engine.manager(max_retries=1) as m:
        for _ in range(3):
            future = await m.submit(kit.raises(error))
            got = await future.exception(5)
            assert engine.same(got, error) or (engine.pickles and isinstance(got, TravelError))
        assert await m.queue_task(kit.returns("next")) == "next"
        stats = m.stats()
        assert (stats.resources.created, stats.lost_workers, stats.replaced_workers) == (1, 0, 0)
        assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks) == (4, 4, 0)


async def test_an_async_task_is_refused_clearly(engine: Any, kit: Any) -> None:
    """A TaskManager fails a coroutine function with a TypeError that says what it needs; no coroutine is left over."""

    async def fetch(ctx: Any, resource: Any) -> None:
        """Never runs."""

    async with engine.manager() as m:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            future = await m.submit(fetch)
            with pytest.raises(TypeError, match=r"fetch is an async task: it needs an AsyncTaskManager"):
                await future.result()
            assert await m.queue_task(kit.returns("next")) == "next"
            gc.collect()
    assert not [str(warning.message) for warning in caught if "never awaited" in str(warning.message)]


@pytest.mark.parametrize("callback", [5, "print", object()], ids=repr)
async def test_a_callback_that_can_not_be_called_is_refused(engine: Any, kit: Any, callback: Any) -> None:
    """It is a TypeError of submit, and nothing is queued."""
    async with engine.manager() as m:
        with pytest.raises(TypeError, match="callback must be callable"):
            await m.submit(kit.returns(), callback=callback)
        assert m.stats().accepted_tasks == 0


@pytest.mark.parametrize("priority", [True, False, 2.0, "HIGH", None, 3, -1, [], float("nan")], ids=repr)
async def test_a_priority_that_does_not_exist_is_refused(engine: Any, kit: Any, priority: Any) -> None:
    """What only looks like a priority is a ValueError that names those there are, and nothing is queued."""
    async with engine.manager() as m:
        with pytest.raises(ValueError, match="priority must be one of"):
            await m.submit(kit.returns(), priority=priority)
        assert m.stats().accepted_tasks == 0
