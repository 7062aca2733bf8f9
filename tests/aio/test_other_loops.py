"""Event loops that are not asyncio's own."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tasker import Context, DeadlockError
from tasker.aio.timers import timed_by

from .tasks import quick

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
needs_uvloop = pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed")


class LoopOfFewTimers(asyncio.SelectorEventLoop):
    """Calls what is due soon in the next turn, as uvloop does: without a timer, and by a handle that knows no time."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if delay < 0.01:
            return self.call_soon(callback, *args, context=context)
        return super().call_later(delay, callback, *args, context=context)


class LoopOfEarlyTimers(asyncio.SelectorEventLoop):
    """Its timers come a little too early, as uvloop's do, which have whole milliseconds."""

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return super().call_later(delay - 0.002, callback, *args, context=context)


def new_uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, None]) -> None:
    """Runs it in such a loop, for 30 seconds at most."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.wait_for(main, 30))


@pytest.mark.parametrize("loop", [LoopOfFewTimers, pytest.param(new_uvloop, marks=needs_uvloop)])
def test_timers_of_no_time(make: Any, loop: Any) -> None:
    """Many attempts that fail, each of which has a worker replaced, while ticks are due: no task, worker or resource is lost."""
    gone: list[Any] = []
    calls = iter(range(1_000_000))

    async def sickens(ctx: Context, resource: Any, number: int) -> int:
        await asyncio.sleep(0)
        if next(calls) % 3 == 0:
            raise ValueError(number)
        return number

    async def main() -> None:
        async with make(
            on_destroy=gone.append,
            sync_in_thread=False,
            worker_count=2,
            check_health=lambda error: False,
            max_retries=1000,
            burst_interval=0.01,
        ) as m:
            assert await asyncio.gather(*[m.submit(sickens, number) for number in range(200)]) == [*range(200)]
            report = await m.stop()
            assert not report.killed
            assert m.stats().resources.created == len(gone) > 10

    run(loop, main())


async def cancelled_by_a_timer(m: Any) -> str:
    mine = m.submit(quick)
    asyncio.get_running_loop().call_later(0.1, mine.cancel)
    await asyncio.wait([mine])
    return "over"


async def as_completed_in_time(m: Any) -> str:
    with pytest.raises(TimeoutError):
        for one in asyncio.as_completed([m.submit(quick)], timeout=0.1):
            await one
    return "over"


async def in_a_timeout(m: Any) -> str:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await m.queue_task(quick)
    return "over"


@needs_uvloop
@pytest.mark.parametrize("wait", [cancelled_by_a_timer, as_completed_in_time, in_a_timeout])
def test_waits_that_end_by_a_timer_of_uvloop(make: Any, wait: Callable[[Any], Awaitable[str]]) -> None:
    """None is taken for a deadlock."""

    async def outer(ctx: Context, resource: Any) -> str:
        return await wait(m)

    async def main() -> None:
        nonlocal m
        async with make(burst_interval=0.01) as m:
            assert await m.submit(outer) == "over"

    m: Any = None
    run(new_uvloop, main())


@needs_uvloop
def test_a_deadlock_in_uvloop(make: Any) -> None:
    """It is found, while timers run that have nothing to do with it."""

    async def outer(ctx: Context, resource: Any) -> Any:
        return await asyncio.gather(m.submit(quick))

    async def main() -> None:
        nonlocal m
        other = asyncio.create_task(asyncio.sleep(20))
        async with make(burst_interval=0.01) as m:
            with pytest.raises(DeadlockError):
                await m.submit(outer)
        other.cancel()

    m: Any = None
    run(new_uvloop, main())


def test_a_loop_whose_handles_are_not_found() -> None:
    """Nothing is said of its timers."""

    class Hidden(asyncio.AbstractEventLoop):
        def call_later(self, *args: Any, **options: Any) -> Any:
            return loop.call_later(*args, **options)

        def call_soon(self, *args: Any, **options: Any) -> Any:
            return loop.call_soon(*args, **options)

    loop = asyncio.new_event_loop()
    assert timed_by(Hidden()) is None
    loop.close()


@pytest.mark.parametrize("loop", [LoopOfEarlyTimers, pytest.param(new_uvloop, marks=needs_uvloop)])
def test_a_wait_in_a_context(loop: Any) -> None:
    """It lasts until the context is cancelled, or its time has passed by the clock."""

    async def main() -> None:
        for _ in range(20):
            assert await Context().with_timeout(0.01).wait_async(60) is True
            begun = time.monotonic()
            assert await Context().with_timeout(60).wait_async(0.01) is False
            assert time.monotonic() - begun >= 0.01
        assert await Context().wait_async(0) is False

    run(loop, main())
