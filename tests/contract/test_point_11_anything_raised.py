"""Point 11: nothing that user code raises ends a worker or the manager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.observers import RaisingCollector, RaisingLogger, RecordingLogger
from support.resources import ScriptedResources
from support.toy_engines import AsyncToyEngine
from support.waiting import eventually


class Odd(BaseException):
    """An error outside Exception."""


class Closed(Exception):
    """An error that raises whenever it is asked for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


ANYTHING: dict[str, Callable[[str], BaseException]] = {
    kind.__name__: kind for kind in (ValueError, SystemExit, KeyboardInterrupt, Odd, GeneratorExit, Closed)
}


@pytest.fixture(params=ANYTHING)
def error(request: pytest.FixtureRequest, engine: Any) -> BaseException:
    """What the user's code raises."""
    if request.param == "Closed" and (engine.pickles or isinstance(engine, AsyncToyEngine)):
        pytest.skip(
            "it can't be pickled on the test's way to a child; and asyncio asks for its class in run_until_complete"
        )
    return ANYTHING[request.param]("raised by the user's code")


async def test_point_11_a_task_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """The caller gets the error itself and the worker lives on with its resource."""
    async with engine.manager() as m:
        with pytest.raises(type(error)) as caught:
            await m.queue_task(kit.raises(error))
        assert engine.same(caught.value, error)
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert len(m.resources.created) == 1
        assert m.stats().lost_workers == 0


async def test_point_11_run_task_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """run_task gives its caller the error itself and the pool keeps its resource."""
    async with engine.manager(resource_pool_size=1) as m:
        with pytest.raises(type(error)) as caught:
            await m.run_task(kit.raises(error))
        assert engine.same(caught.value, error)
        assert m.stats().available_resources == 1


async def test_point_11_a_callback_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """The outcome stands, the worker lives, the error is logged and counted."""
    logger = RecordingLogger()

    def callback(result: Any, failure: Any) -> None:
        raise error

    async with engine.manager(logger=logger) as m:
        future = await m.submit(kit.returns("kept"), callback=callback)
        assert await future.result() == "kept"
        await eventually(lambda: m.stats().user_errors == 1)
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert len(m.resources.created) == 1
    assert type(error).__name__ in logger.text("warning", "error")


async def test_point_11_a_done_callback_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """The other done callbacks are called and the worker lives."""
    gate = engine.gate()
    called: list[Any] = []

    def bad(future: Any) -> None:
        raise error

    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate, "kept"))
        future.add_done_callback(bad)
        future.add_done_callback(lambda future: called.append(future.result()))
        gate.open()
        assert await future.result() == "kept"
        await eventually(lambda: called == ["kept"])
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert len(m.resources.created) == 1


async def test_point_11_check_health_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """The task's own error is delivered (or is the cause of what is) and the manager works on."""

    def check(failure: BaseException) -> bool:
        raise error

    own = LookupError("own")
    async with engine.manager(check_health=kit.hook(check)) as m:
        future = await m.submit(kit.raises(own))
        outcome = await future.exception()
        assert any(engine.same(one, own) for one in (outcome, getattr(outcome, "__cause__", None)))
        assert m.stats().user_errors >= 1
        assert await m.queue_task(kit.returns("alive")) == "alive"


async def test_point_11_on_create_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """A creation that raises anything counts as failed and is retried."""
    resources = ScriptedResources(error, error)
    async with engine.manager(resources=resources) as m:
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert resources.attempts == 3


async def test_point_11_on_destroy_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """Each resource is still destroyed exactly once, the error is logged and counted, stop ends."""
    resources = ScriptedResources(on_destroy_raise=error)
    logger = RecordingLogger()
    async with engine.manager(
        resources=resources,
        worker_count=2,
        resource_pool_size=1,
        logger=logger,
        check_health=kit.hook(lambda failure: False),
    ) as m:
        await m.submit(kit.raises(ValueError()), once=True)
        await eventually(lambda: len(resources.created) == 4)
        assert await m.run_task(kit.returns("alive")) == "alive"
        await m.stop()
        resources.check_all_ended_once()
        assert m.stats().user_errors >= 4
        ledger = m.stats().resources
        assert (ledger.destroyed, ledger.alive) == (4, 0)
    assert type(error).__name__ in logger.text("warning", "error")


async def test_point_11_a_logger_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """A broken logger stops nothing: creation is retried, tasks run, the manager stops."""
    resources = ScriptedResources(OSError("to be logged"), on_destroy_raise=OSError("and this"))

    def callback(result: Any, failure: Any) -> None:
        raise ValueError("to be logged too")

    async with engine.manager(
        resources=resources,
        logger=RaisingLogger(error),
        check_health=kit.hook(lambda failure: False),
    ) as m:
        assert await m.queue_task(kit.returns("alive")) == "alive"
        await m.submit(kit.returns(), callback=callback)
        await m.submit(kit.raises(ValueError()), once=True)
        assert await m.queue_task(kit.returns("alive")) == "alive"
        assert m.stats().user_errors >= 1


async def test_point_11_a_collector_that_raises_anything(engine: Any, kit: Any, error: Any) -> None:
    """A broken collector stops no task and is counted."""
    async with engine.manager(
        collector=RaisingCollector(error),
        check_health=kit.hook(lambda e: not isinstance(e, OSError)),
    ) as m:
        assert await m.queue_task(kit.returns("alive")) == "alive"
        with pytest.raises(ValueError, match="own"):
            await m.queue_task(kit.raises(ValueError("own")))
        assert await m.queue_task(kit.script(OSError(), "retried")) == "retried"
        assert m.stats().user_errors >= 3
        assert m.stats().done_tasks == 3


async def test_point_11_a_hook_on_the_context_that_raises(engine: Any, kit: Any) -> None:
    """An on_cancel hook that raises does not stop kill or the other hooks."""
    gate = engine.gate()
    called: list[Any] = []

    def bad() -> None:
        raise SystemExit(9)

    def watch(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(bad)
        ctx.on_cancel(lambda: called.append("second"))

    async with engine.manager() as m:
        await m.submit(kit.both(watch, kit.until_cancelled(gate)))
        await gate.arrivals(1)
        assert (await m.kill()).abandoned == ()
    assert called == ["second"]
