"""Promises 1 to 4: one outcome each, once means once, every resource ends once, none is reused."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import FEWER, eventually
from tasker import Context, Priority, ResourceError, TaskCancelled, TaskKilled


class Sick(Exception):
    """The error that makes a resource unhealthy."""


def healthy(error: BaseException) -> bool:
    """Whether the resource survives the error."""
    return not isinstance(error, Sick)


class Tally:
    """Counts how often each future called back."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def watch(self, future: Any) -> None:
        """Count the callbacks of a future."""
        self.counts[future.id] = 0
        future.add_done_callback(self._count)

    def _count(self, future: Any) -> None:
        self.counts[future.id] += 1

    def once_each(self) -> bool:
        """Whether each was called exactly once."""
        return set(self.counts.values()) <= {1}


async def outcome(future: Any) -> Any:
    """The result or the error that result() raises."""
    try:
        return await future.result()
    except BaseException as error:
        return error


async def submit_mix(m: Any, kit: Any, tally: Tally, count: int) -> list[Any]:
    """Tasks of all kinds, each counted."""
    rng = random.Random(count)
    futures = []
    for number in range(count):
        body = rng.choice(
            [
                kit.returns(number),
                kit.raises(ValueError(number)),
                kit.script(Sick(), number),
                kit.raises(Sick()),
                kit.pauses(0.001),
            ]
        )
        future = await m.submit(body, priority=rng.choice(list(Priority)), once=rng.random() < 0.3)
        tally.watch(future)
        futures.append(future)
    return futures


@pytest.mark.parametrize("end", ["stop", "kill", "stop(timeout)", "parent", "cancel all"])
async def test_promise_1_one_outcome_each_however_it_ends(engine: Any, kit: Any, end: str) -> None:
    """Each accepted task of a mixed load has exactly one outcome, delivered once."""
    parent, tally = Context(), Tally()
    async with engine.manager(worker_count=3, ctx=parent, check_health=kit.hook(healthy)) as m:
        futures = await submit_mix(m, kit, tally, 150 // FEWER)
        if end == "parent":
            parent.cancel()
        elif end == "cancel all":
            for future in futures:
                future.cancel()
        elif end == "stop(timeout)":
            await m.stop(0.01)
        else:
            await getattr(m, end)()
        for future in futures:
            await outcome(future)
        await eventually(tally.once_each)
        assert len(tally.counts) == 150 // FEWER


async def test_promise_1_when_every_worker_is_lost_at_once(engine: Any, kit: Any) -> None:
    """When all workers go bad together every waiting task still gets its result."""
    gates = [engine.gate() for _ in range(4)]
    async with engine.manager(worker_count=4, check_health=kit.hook(healthy)) as m:
        bad = [await m.submit(kit.fails_at(gate, Sick()), once=True) for gate in gates]
        for gate in gates:
            await gate.arrivals(1)
        waiting = [await m.submit(kit.returns(n)) for n in range(20)]
        for gate in gates:
            gate.open()
        assert [await future.result() for future in waiting] == list(range(20))
        for future in bad:
            assert isinstance(await future.exception(), Sick)


async def test_promise_1_when_replacements_cannot_be_made(engine: Any, kit: Any) -> None:
    """With ready_timeout no task waits for ever when the last worker can't be replaced."""
    resources = ScriptedResources(None, then=OSError("no more"))
    async with engine.manager(resources=resources, ready_timeout=0.3, check_health=kit.hook(healthy)) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        assert isinstance(await (await m.submit(kit.raises(Sick()), once=True)).exception(), Sick)
        waiting = [await m.submit(kit.returns()) for _ in range(3)]
        retried = await m.submit(kit.returns(), priority=Priority.HIGH)
        for future in [*waiting, retried]:
            assert isinstance(await future.exception(), ResourceError)


async def test_promise_1_a_retry_whose_worker_cannot_come_back(engine: Any, kit: Any) -> None:
    """A task that waits for its retry is covered by ready_timeout too."""
    resources = ScriptedResources(None, then=OSError("no more"))
    async with engine.manager(resources=resources, ready_timeout=0.3, check_health=kit.hook(healthy)) as m:
        await eventually(lambda: m.stats().active_workers == 1)
        future = await m.submit(kit.raises(Sick("first")))
        assert isinstance(await future.exception(), ResourceError)
        assert future.attempts == 1


async def test_promise_1_kill_while_creation_fails(engine: Any, kit: Any) -> None:
    """Without any worker, kill still gives each queued task its outcome."""
    tally = Tally()
    async with engine.manager(resources=ScriptedResources(then=OSError("never"))) as m:
        futures = [await m.submit(kit.returns()) for _ in range(20)]
        for future in futures:
            tally.watch(future)
        await m.kill()
        for future in futures:
            assert isinstance(await outcome(future), TaskKilled)
        await eventually(tally.once_each)


@pytest.mark.parametrize("timeout", [None, 0.3])
async def test_promise_1_stop_while_creation_fails(engine: Any, kit: Any, timeout: float | None) -> None:
    """stop() ends tasks that no worker can run: with ResourceError, or TaskKilled if it killed."""
    async with engine.manager(resources=ScriptedResources(then=OSError("never"))) as m:
        futures = [await m.submit(kit.returns()) for _ in range(5)]
        report = await m.stop(timeout)
        errors = [await outcome(future) for future in futures]
        assert all(isinstance(error, ResourceError | TaskKilled) for error in errors)
        # A stop does not wait for longer than half a second for a supervisor that a busy machine keeps from its work.
        given_up = timeout is not None and report.seconds > timeout + 0.5
        assert given_up or report.killed_tasks == sum(isinstance(error, TaskKilled) for error in errors)


async def test_promise_1_a_cancellation_says_why(engine: Any, kit: Any) -> None:
    """The error of a killed task says that it was killed, that of a cancelled one that it was cancelled."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.until_cancelled(gate))
        await gate.arrivals(1)
        cancelled, killed = [await m.submit(kit.returns()) for _ in range(2)]
        cancelled.cancel()
        await m.kill()
        assert type(await outcome(cancelled)) is TaskCancelled
        assert type(await outcome(killed)) is TaskKilled
        assert str(await outcome(killed))


@pytest.mark.parametrize("end", ["stop", "kill", "cancel"])
async def test_promise_2_once_starts_at_most_once(engine: Any, kit: Any, end: str) -> None:
    """A once task starts at most once under sick errors, cancels, kill and stop."""
    starts: list[int] = []

    def body(ctx: Any, resource: Any, number: int) -> int:
        starts.append(number)
        if number % 2 == 0:
            raise Sick
        return number

    async with engine.manager(worker_count=3, check_health=kit.hook(healthy)) as m:
        futures = [await m.submit(kit.calls(body), n, once=True) for n in range(120 // FEWER)]
        if end == "cancel":
            for future in futures[::3]:
                future.cancel()
            await m.stop()
        else:
            await getattr(m, end)()
        for future in futures:
            await outcome(future)
            assert future.attempts <= 1
    assert len(starts) == len(set(starts))
    if end == "stop":
        assert len(starts) == 120 // FEWER


async def test_promise_2_once_sees_its_own_error(engine: Any, kit: Any) -> None:
    """A once task whose resource went bad ends with its own error and not a retry's."""
    async with engine.manager(worker_count=2, check_health=kit.hook(healthy)) as m:
        errors = [Sick(str(n)) for n in range(10)]
        futures = [await m.submit(kit.raises(error), once=True) for error in errors]
        for future, error in zip(futures, errors, strict=True):
            assert engine.same(await future.exception(), error)


@pytest.mark.parametrize("end", ["stop", "kill", "stop(timeout)"])
async def test_promise_3_every_resource_ends_once(engine: Any, kit: Any, end: str) -> None:
    """After churn of all kinds each resource was destroyed once, and the ledger agrees."""
    resources = ScriptedResources(*[None, OSError("flaky")] * 30)
    resources.script.insert(0, None)
    tally = Tally()
    async with engine.manager(
        resources=resources,
        worker_count=3,
        max_worker_count=6,
        burst_interval=0.01,
        resource_pool_size=1,
        check_health=kit.hook(healthy),
    ) as m:
        await submit_mix(m, kit, tally, 120 // FEWER)
        calls = [asyncio.create_task(m.run_task(kit.pauses(0.01))) for _ in range(4)]
        await asyncio.gather(*calls, return_exceptions=True)
        if end == "stop(timeout)":
            await m.stop(0.05)  # a worker that is still busy then is abandoned, and ends its resource later
            await eventually(lambda: m.stats().resources.alive == 0)
            # A creation that is given up may end later, and is counted then.
            await eventually(lambda: engine.ledger_is_complete(m.raw, resources, killed=True))
            await eventually(lambda: m.stats().resources.alive == 0)
        else:
            await getattr(m, end)()
        ledger = m.stats().resources
        assert ledger.alive == 0
        engine.check_ledger(ledger, resources, end != "stop")


async def test_promise_3_the_ledger_at_rest(engine: Any, kit: Any) -> None:
    """The ledger counts what is alive: workers and pool."""
    async with engine.manager(worker_count=2, resource_pool_size=3) as m:
        await eventually(lambda: len(m.resources.created) == 5)
        await eventually(lambda: m.stats().resources.alive == 5)
        await m.run_task(kit.returns())
        ledger = m.stats().resources
        assert (ledger.created, ledger.destroyed, ledger.alive, ledger.lost) == (5, 0, 5, 0)


async def test_promise_4_a_sick_resource_reaches_no_other_task(engine: Any, kit: Any) -> None:
    """Under a load with many sick errors no task is lent a resource judged unhealthy."""
    reused: list[Any] = []

    def body(ctx: Any, resource: Any, number: int) -> int:
        if resource.bad or resource.destroyed_in:
            reused.append(resource)
        if number % 4 == 0:
            resource.bad = True
            raise Sick
        return number

    async with engine.manager(worker_count=3, resource_pool_size=2, max_retries=1, check_health=kit.hook(healthy)) as m:
        futures = [await m.submit(kit.calls(body), n) for n in range(120 // FEWER)]
        for number in range(40 // FEWER):
            try:
                await m.run_task(kit.calls(body), number)
            except Sick:
                pass
        for future in futures:
            await outcome(future)
        await eventually(lambda: m.stats().available_resources == 2)
    assert reused == []


async def test_promise_4_a_resource_serves_one_task_at_a_time(engine: Any, kit: Any) -> None:
    """Tasks and run_task at once never share a resource."""

    def body(ctx: Any, resource: Any) -> Any:
        with resource.use():
            sum(range(2000))
            return resource

    async with engine.manager(worker_count=3, resource_pool_size=2) as m:
        futures = [await m.submit(kit.calls(body)) for _ in range(200)]
        await asyncio.gather(*[m.run_task(kit.calls(body)) for _ in range(50)])
        for future in futures:
            await future.result()
