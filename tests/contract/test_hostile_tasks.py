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


class Classless:
    """An object that raises where it is asked for its class, as a proxy does whose object is gone."""

    def __init__(self, error: BaseException) -> None:
        self.__dict__["error"] = error

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise self.__dict__["error"]

    @__class__.setter
    def __class__(self, kind: Any) -> None:
        pass


@pytest.mark.parametrize(
    "raised", [ReferenceError("gone"), SystemExit("gone"), Frozen("gone")], ids=lambda e: type(e).__name__
)
async def test_a_result_that_can_not_be_asked_for_its_class(engine: Any, kit: Any, raised: BaseException) -> None:
    """It is a result as any other (where it can be pickled), in a worker and in run_task; the worker goes on."""
    async with engine.manager(check_health=kit.hook(lambda error: False), max_retries=0) as m:
        odd = kit.calls(lambda ctx, resource: Classless(raised))
        for submitted in (await m.submit(odd), await m.submit(odd)):
            error = await submitted.exception(20)
            assert error is None or (engine.pickles and type(error) is TravelError)
            if error is None:
                assert type(await submitted.result()) is Classless
        assert await m.queue_task(kit.returns("next")) == "next"
        stats = m.stats()
        assert (stats.resources.created, stats.lost_workers, stats.user_errors) == (1, 0, 0)
        assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks) == (3, 3, 0)
        if not engine.pickles:
            assert m.metrics().total_tasks_completed == 3
            assert type(await m.run_task(odd)) is Classless


class Headless(Exception):
    """An error that raises where it is asked for its class."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise SystemExit("class")


class Closed(Exception):
    """An error that raises whenever it is asked for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


@pytest.mark.parametrize("kind", [Headless, Closed])
async def test_an_error_that_can_not_be_asked(engine: Any, kit: Any, kind: type[Exception]) -> None:
    """It reaches its caller as any other (where it can be pickled), from a worker and from run_task; the worker goes on."""

    def fails(ctx: Any, resource: Any) -> None:
        raise kind("odd")

    odd = kit.calls(fails)
    async with engine.manager() as m:
        future = await m.submit(odd)
        error = await future.exception(20)
        assert type(error) is kind or (engine.pickles and type(error) is TravelError)
        assert await m.queue_task(kit.returns("next")) == "next"
        stats = m.stats()
        assert (stats.resources.created, stats.lost_workers, stats.replaced_workers) == (1, 0, 0)
        assert (stats.accepted_tasks, stats.done_tasks, stats.running_tasks) == (2, 2, 0)
        if not engine.pickles:
            with pytest.raises(kind):
                await m.run_task(odd)
        assert m.stats().running_tasks == 0


async def test_a_task_that_raises_stop_iteration(engine: Any, kit: Any) -> None:
    """The future has a RuntimeError in its place, as generators and coroutines have; so each way to await it ends."""
    async with engine.manager(check_health=kit.hook(lambda error: "stop" not in str(error)), max_retries=0) as m:
        future = await m.submit(kit.raises(StopIteration("over")))
        error = await future.exception(20)
        assert type(error) is RuntimeError
        assert "StopIteration" in str(error)
        unhealthy = await m.submit(kit.raises(StopIteration("stop")), once=True)
        assert type(await unhealthy.exception(20)) is RuntimeError
        assert await m.queue_task(kit.returns("next")) == "next"


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
            with pytest.raises(TypeError, match=r"fetch is an async task: it needs an AsyncTaskManager"):
                await m.run_task(fetch)
            assert await m.queue_task(kit.returns("next")) == "next"
            gc.collect()
    assert not [str(warning.message) for warning in caught if "never awaited" in str(warning.message)]


@pytest.mark.parametrize("callback", [5, "print", object()], ids=lambda value: type(value).__name__)
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
