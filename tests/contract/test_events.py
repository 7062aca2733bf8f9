"""manager.events(): what happens to workers, to tasks that fail and to the manager, told to those who want to know, and at no
cost for the pool."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import eventually, in_thread
from tasker import RetryPolicy
from tasker import events as say

BOOM = ConnectionError("database is away")


class Told:
    """Keeps what a subscriber is told. To be called from any thread."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.all.append(event)

    def of(self, *kinds: type) -> list[Any]:
        """Those of some kinds."""
        return [event for event in self.all if isinstance(event, kinds)]

    def kinds(self, *kinds: type) -> list[str]:
        """The names of their kinds."""
        return [type(event).__name__ for event in self.of(*(kinds or (say.ManagerEvent,)))]


@asynccontextmanager
async def watched(engine: Any, **config: Any) -> AsyncIterator[tuple[Any, Told]]:
    """A manager and what is told of it; at the end, the last event has come."""
    told = Told()
    async with engine.manager(**config) as m:
        m.raw.events(told)
        yield m, told
    await eventually(lambda: told.all and isinstance(told.all[-1], say.StopEnded), what="the last event is the end")
    assert len(told.of(say.StopEnded)) == 1


async def test_an_attempt_that_costs_its_worker(engine: Any, kit: Any) -> None:
    """The worker is replaced, the task is tried again and fails in the end; then the stop, with what it does."""
    async with watched(engine, max_retries=1, check_health=kit.hook(lambda error: False)) as (m, told):
        await eventually(lambda: m.stats().active_workers == 1)
        with pytest.raises(Exception, match="database is away"):
            await m.queue_task(kit.raises(BOOM))
        await eventually(lambda: len(told.of(say.WorkerStarting)) == 2 and m.stats().active_workers == 1)
    (retried,) = told.of(say.TaskRetried)
    (failed,) = told.of(say.TaskFailed)
    replaced = told.of(say.WorkerReplaced)
    assert [(one.why, one.error) for one in replaced] == [("unhealthy", "ConnectionError: database is away")] * 2
    assert len({one.generation for one in replaced}) == 2
    assert (retried.id, retried.attempts, retried.worker) == (1, 1, replaced[0].worker)
    assert retried.task.startswith("task #1 ")
    assert retried.error == "ConnectionError: database is away"
    assert (failed.id, failed.attempts) == (1, 2)
    assert failed.error.startswith("MaxRetriesExceeded: ")
    assert told.kinds(say.StopBegun, say.StopEnded) == ["StopBegun", "StopEnded"]
    assert told.of(say.StopBegun)[0].kill is told.of(say.StopEnded)[0].kill is False
    assert len(told.of(say.WorkerGone)) == 3
    assert [event.at for event in told.of(say.WorkerEvent)] == sorted(event.at for event in told.of(say.WorkerEvent))


async def test_a_retry_with_a_pause(engine: Any, kit: Any) -> None:
    """The task alone is told of; its worker serves on."""
    policy = RetryPolicy(retry_on=ConnectionError, backoff=0.01)
    async with watched(engine, retry=policy) as (m, told):
        assert await m.queue_task(kit.script(BOOM, 7)) == 7
    (retried,) = told.of(say.TaskEvent)
    assert isinstance(retried, say.TaskRetried)
    assert 0 < retried.pause <= 0.01
    assert not told.of(say.WorkerReplaced)


async def test_tasks_that_end_with_an_error(engine: Any, kit: Any) -> None:
    """By the kind of their error: an error of their own, a time limit, a quarantine. A cancellation is none."""
    gate = engine.gate()
    blamed = kit.hook(lambda error: not isinstance(error, ConnectionError))
    async with watched(engine, quarantine_after=2, check_health=blamed) as (m, told):
        with pytest.raises(ValueError):
            await m.queue_task(kit.raises(ValueError("no")))
        with pytest.raises(Exception, match="database is away"):
            await m.queue_task(kit.raises(BOOM))
        held = await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        late = await m.submit(kit.returns(), deadline=0.01)
        cancelled = await m.submit(kit.returns())
        cancelled.cancel()
        with pytest.raises(TimeoutError):
            await late
        gate.open()
        await held
    assert told.kinds(say.TaskEvent) == ["TaskFailed", "TaskRetried", "TaskQuarantined", "TaskTimedOut"]
    assert [one.error.partition(":")[0] for one in told.of(say.TaskEvent)] == [
        "ValueError",
        "ConnectionError",
        "PoisonTask",
        "TaskTimeout",
    ]


async def test_an_outage(engine: Any, kit: Any) -> None:
    """Creations fail in rounds, the breaker opens and closes, and it is told that they succeed again."""
    resources = ScriptedResources(BOOM, BOOM)
    async with watched(engine, resources=resources, creation_backoff=0.2) as (m, told):
        assert await m.queue_task(kit.returns(1)) == 1
        await eventually(lambda: told.of(say.CreationsRecovered), what="it was told")
    assert told.of(say.CreationsFailing)[-1].failures == 2 == told.of(say.CreationsRecovered)[0].failures
    assert told.of(say.CreationsFailing)[-1].error == "ConnectionError: database is away"
    assert told.of(say.WorkerFailed)[-1].error == "ConnectionError: database is away"
    changes = [(one.before, one.after) for one in told.of(say.BreakerChanged)]
    assert changes[-3:] == [("half-open", "open"), ("open", "half-open"), ("half-open", "closed")]


async def test_other_sizes(engine: Any, kit: Any) -> None:
    """As explain() has them; the workers that follow."""
    async with watched(engine, burst_interval=0, max_worker_count=3) as (m, told):
        await eventually(lambda: m.stats().active_workers == 1)
        m.resize(worker_count=2)
        await eventually(lambda: len(told.of(say.WorkerStarted)) >= 1 and m.stats().active_workers == 2)
        m.resize(worker_count=1)
        await eventually(lambda: told.of(say.WorkerGone))
        assert m.stats().active_workers == 1
    resized = [one for one in told.of(say.Scaled) if one.cause == "resize"]
    assert [(one.before, one.target) for one in resized] == [(1, 2), (2, 1)]
    assert told.kinds(say.WorkerRetired, say.WorkerGone)[:2] == ["WorkerRetired", "WorkerGone"]


async def test_a_pause_and_a_kill(engine: Any, kit: Any) -> None:
    """Paused, resumed, and a kill in place of a stop."""
    async with watched(engine) as (m, told):
        assert await m.pause()
        m.resume()
        await m.kill()
    assert told.kinds(say.Paused, say.Resumed) == ["Paused", "Resumed"]
    assert told.of(say.StopBegun)[-1].kill
    assert told.of(say.StopEnded)[0].kill


async def test_a_slow_subscriber_slows_nothing(engine: Any, kit: Any) -> None:
    """While it is stuck in its first event, tasks fail and workers are replaced as ever, another subscriber gets all, and a
    stop does not wait for it. It gets the latest events, and knows how many it has missed."""
    gate, told, other = threading.Event(), Told(), Told()

    def slow(event: Any) -> None:
        told(event)
        gate.wait(60)

    try:
        async with engine.manager() as m:
            subscription = m.raw.events(slow, most=5, kinds=say.TaskFailed)
            m.raw.events(other, kinds=say.TaskFailed)
            for _ in range(20):
                with pytest.raises(ValueError):
                    await m.queue_task(kit.raises(ValueError("no")))
        await eventually(lambda: len(other.all) == 21)
        assert [one.id for one in other.of(say.TaskFailed)] == list(range(1, 21))
        assert len(told.all) <= 1
    finally:
        gate.set()
    await eventually(lambda: told.all and isinstance(told.all[-1], say.StopEnded))
    # The first one; or, if it was later than five others, none of them. The end takes one of the five places.
    assert len(told.all) + subscription.dropped == 21
    assert [one.id for one in told.of(say.TaskFailed)][-4:] == [17, 18, 19, 20]
    assert len(told.all) <= 6


@pytest.mark.parametrize(
    "error", [ZeroDivisionError, StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
async def test_a_subscriber_that_raises(engine: Any, kit: Any, error: type[BaseException]) -> None:
    """Whatever it is: it is counted, and the subscriber gets the next event."""
    seen = Told()

    def broken(event: Any) -> None:
        seen(event)
        raise error

    async with engine.manager() as m:
        m.raw.events(kit.hook(broken))
        with pytest.raises(ValueError):
            await m.queue_task(kit.raises(ValueError("no")))
        await eventually(lambda: seen.of(say.TaskFailed) and m.stats().user_errors >= 1)
    await eventually(lambda: seen.of(say.StopEnded))
    await eventually(lambda: m.stats().user_errors == len(seen.all))


async def test_iteration(engine: Any, kit: Any) -> None:
    """It waits for each event, and ends after the last one. So does one that was closed, and one of a manager that has ended."""
    async with engine.manager() as m:
        iterator, closed = m.raw.events(), m.raw.events()
        ahead = asyncio.ensure_future(everything(iterator))
        behind = asyncio.ensure_future(everything(closed))
        with pytest.raises(ValueError):
            await m.queue_task(kit.raises(ValueError("no")))
        closed.close()
        kinds = [type(event) for event in await asyncio.wait_for(behind, 20)]
        assert say.StopEnded not in kinds
    found = await asyncio.wait_for(ahead, 20)
    assert say.TaskFailed in [type(event) for event in found]
    assert isinstance(found[-1], say.StopEnded)
    assert iterator.closed
    assert await asyncio.wait_for(everything(m.raw.events()), 20) == []


async def test_a_subscription_that_is_forgotten(engine: Any) -> None:
    """It is over, and the manager does not keep it. A block closes it as well."""
    async with engine.manager() as m:
        raw: Any = m.raw
        forgotten = weakref.ref(raw.events())
        gc.collect()
        assert forgotten() is None
        with raw.events() as subscription:
            assert not subscription.closed
            assert raw._engine.hooks.teller is not None
        assert subscription.closed
        m.resize(worker_count=1, max_worker_count=1)
        m.resize(worker_count=1, max_worker_count=2)
        await eventually(lambda: raw._engine.hooks.teller is None)


async def test_misuse(engine: Any) -> None:
    """Each is refused at once."""
    async with engine.manager() as m:
        with pytest.raises(TypeError, match="callback must be callable or None, got 7"):
            m.raw.events(7)
        with pytest.raises(ValueError, match="most must be at least 1, got 0"):
            m.raw.events(most=0)
        with pytest.raises(TypeError, match="kinds must be a class of tasker"):
            m.raw.events(kinds=ValueError)
        with m.raw.events(print, kinds=say.Paused) as called, pytest.raises(RuntimeError, match="has a callback"):
            await everything(called)
        with m.raw.events() as iterator, pytest.raises(RuntimeError, match="iterate over it"):
            await waited(iterator)


async def everything(subscription: Any) -> list[Any]:
    """Iterates to the end."""
    if hasattr(subscription, "__aiter__"):
        return [event async for event in subscription]
    return await in_thread(list, subscription)  # type: ignore[no-any-return]


async def waited(subscription: Any) -> None:
    """Waits for the end of a callback."""
    wait: Callable[[], Any] = subscription.wait
    await wait() if hasattr(subscription, "__aiter__") else await in_thread(wait)
