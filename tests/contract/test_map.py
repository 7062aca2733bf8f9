"""map: lazy, bounded, ordered or not."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from support.waiting import eventually, throughout, wait_until
from tasker import Priority


class Source:
    """A counter without end that records how far it was read."""

    def __init__(self, end: int | None = None) -> None:
        self.pulled = 0
        self._end = end

    def __iter__(self) -> Iterator[int]:
        while self._end is None or self.pulled < self._end:
            self.pulled += 1
            yield self.pulled - 1


async def collect(results: Any) -> list[Any]:
    """Everything a map yields."""
    return [value async for value in results]


async def test_map_yields_in_input_order(engine: Any, kit: Any) -> None:
    """Results come in the order of the inputs, whatever order they were made in."""
    async with engine.manager(worker_count=4) as m:
        delays = [0.02, 0.0, 0.01, 0.0] * 10
        assert await collect(m.map(kit.pauses(), delays)) == delays


async def test_map_unordered_yields_in_order_of_completion(engine: Any, kit: Any) -> None:
    """With ordered=False a slow first item does not hold the others back."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        results = m.map(kit.holds_if(gate, 0), range(6), ordered=False, look_ahead=6)
        first = [await anext(results) for _ in range(5)]
        assert sorted(first) == [1, 2, 3, 4, 5]
        gate.open()
        assert await collect(results) == [0]


async def test_map_ordered_waits_for_the_first(engine: Any, kit: Any) -> None:
    """With ordered=True nothing is yielded before the first item is done."""
    gate = engine.gate()
    async with engine.manager(worker_count=2) as m:
        results = m.map(kit.holds_if(gate, 0), range(6), look_ahead=6)
        head = asyncio.create_task(anext(results))
        await eventually(lambda: m.stats().done_tasks == 5)
        await throughout(lambda: not head.done(), 0.1)
        gate.open()
        assert await head == 0
        assert await collect(results) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("look_ahead", [1, 3, None])
async def test_map_over_an_infinite_input(engine: Any, kit: Any, ordered: bool, look_ahead: int | None) -> None:
    """An input without end is read as far as it is needed, and closing ends it."""
    source = Source()
    async with engine.manager(worker_count=2) as m:
        results = m.map(kit.echo(), source, ordered=ordered, look_ahead=look_ahead)
        got = [await anext(results) for _ in range(200)]
        assert len(set(got)) == 200
        await results.aclose()
        assert source.pulled < 2000


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_looks_no_further_than_look_ahead(engine: Any, kit: Any, ordered: bool) -> None:
    """At most look_ahead items beyond those yielded are submitted at any moment."""
    source = Source()
    async with engine.manager(worker_count=2) as m:
        results = m.map(kit.echo(), source, look_ahead=5, ordered=ordered)
        for yielded in range(1, 60):
            await anext(results)
            assert m.stats().accepted_tasks <= yielded + 5
            assert source.pulled <= yielded + 6
        await throughout(lambda: source.pulled <= 59 + 6, 0.1)
        await results.aclose()


async def test_map_keeps_the_workers_busy(engine: Any, kit: Any) -> None:
    """With look_ahead of the number of workers all of them work at once."""
    gate = engine.gate()
    async with engine.manager(worker_count=3) as m:
        results = m.map(kit.holds(gate), range(10), look_ahead=3)
        head = asyncio.create_task(anext(results))
        await gate.arrivals(3)
        gate.open()
        await head
        assert len(await collect(results)) == 9


async def test_map_by_default_keeps_every_worker_busy(engine: Any, kit: Any) -> None:
    """Without look_ahead at least as many items are ahead as there are workers."""
    gate = engine.gate()
    async with engine.manager(worker_count=4) as m:
        results = m.map(kit.holds(gate), range(10))
        head = asyncio.create_task(anext(results))
        await gate.arrivals(4)
        gate.open()
        await head
        await collect(results)


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_raises_the_first_error_at_its_place(engine: Any, kit: Any, ordered: bool) -> None:
    """Results before the failed item are yielded, then its own error is raised, then it is over."""
    error = KeyError("fourth")

    def body(ctx: Any, resource: Any, item: int) -> int:
        if item == 4:
            raise error
        return item

    async with engine.manager() as m:
        results = m.map(kit.calls(body), itertools.count(), look_ahead=2, ordered=ordered)
        assert [await anext(results) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(KeyError) as caught:
            await anext(results)
        assert engine.same(caught.value, error)
        with pytest.raises(StopAsyncIteration):
            await anext(results)


async def test_map_cancels_what_is_queued_after_an_error(engine: Any, kit: Any) -> None:
    """After an error the items that were submitted ahead and wait do not run."""
    gate, first = engine.gate(), engine.gate()
    steps = kit.script(first, ValueError("second"), gate, *range(20))
    async with engine.manager() as m:
        results = m.map(steps, range(10), look_ahead=10)
        head = asyncio.create_task(anext(results))
        await first.arrivals(1)
        await eventually(lambda: m.stats().queued_tasks == 9)
        first.open()
        await head
        with pytest.raises(ValueError, match="second"):
            await anext(results)
        await eventually(lambda: m.stats().queued_tasks == 0)  # those sent ahead to a child are on their way back
        gate.open()
        await eventually(lambda: m.stats().running_tasks == 0)
        assert m.metrics().total_tasks_completed <= 2


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_whose_tasks_raise_when_they_are_cancelled(engine: Any, kit: Any, ordered: bool) -> None:
    """What a callback of `on_cancel` raises is logged, as wherever a manager cancels, and all that was submitted ahead is cancelled."""
    gate = engine.gate()

    def closed() -> None:
        raise OSError("closed already")

    def register(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(closed)

    async with engine.manager(worker_count=1, max_worker_count=1) as m:
        results = m.map(kit.both(register, kit.holds_if(gate, 1)), range(50), look_ahead=8, ordered=ordered)
        assert await anext(results) == 0
        await gate.arrivals(1)
        await eventually(lambda: m.stats().queued_tasks >= 2)
        await results.aclose()
        await eventually(lambda: m.stats().queued_tasks == 0)  # those sent ahead to a child are on their way back
        gate.open()
        await eventually(lambda: m.stats().running_tasks == 0)
        assert m.metrics().total_tasks_completed <= 2
        if not engine.elsewhere:
            assert m.stats().user_errors == 1


async def test_map_closing_cancels_what_is_queued(engine: Any, kit: Any) -> None:
    """Closing the iterator cancels its queued items and leaves other tasks alone."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        first = m.map(kit.holds_if(gate, 1), range(50), look_ahead=8)
        assert await anext(first) == 0
        await gate.arrivals(1)
        other = await m.submit(kit.records(log, "other"))
        await eventually(lambda: m.stats().queued_tasks >= 2)
        await first.aclose()
        await eventually(lambda: m.stats().queued_tasks == 1)  # those sent ahead to a child are on their way back
        gate.open()
        await other.result()
    assert log == ["other"]
    assert m.stats().accepted_tasks <= 1 + 8 + 1


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_yields_what_is_due_before_the_next_input(engine: Any, kit: Any, ordered: bool) -> None:
    """A result that is there when an input comes is yielded before the next input is waited for."""
    got: list[int] = []
    held_back: list[int] = []

    def blocking_inputs() -> Iterator[int]:
        for number in range(5):
            yield number  # the next one is asked for; whatever was done when this one came has to be with the caller
            if len(got) < number:
                held_back.append(number)
            wait_until(lambda number=number: m.stats().done_tasks == number + 1)

    async def inputs() -> AsyncIterator[int]:
        for number in range(5):
            yield number
            if len(got) < number:
                held_back.append(number)
            await eventually(lambda number=number: m.stats().done_tasks == number + 1)
            await asyncio.sleep(0)  # the callbacks of a task are called a turn of the loop later

    async with engine.manager() as m:
        source = blocking_inputs() if engine.blocking else inputs()
        async for value in m.map(kit.echo(), source, ordered=ordered):
            got.append(value)
        assert got == list(range(5))
        assert held_back == []


async def test_map_of_nothing(engine: Any, kit: Any) -> None:
    """An empty input gives an empty iterator."""
    async with engine.manager() as m:
        assert await collect(m.map(kit.echo(), [])) == []


@pytest.mark.parametrize("ordered", [True, False])
async def test_map_input_that_raises(engine: Any, kit: Any, ordered: bool) -> None:
    """An error that the input raises reaches the caller."""

    def inputs() -> Iterator[int]:
        yield 0
        yield 1
        raise LookupError("the input broke")

    async with engine.manager() as m:
        got = []
        with pytest.raises(LookupError, match="the input broke"):
            async for value in m.map(kit.echo(), inputs(), look_ahead=1, ordered=ordered):
                got.append(value)
        assert got == [0, 1][: len(got)]


async def test_map_input_error_comes_after_the_results_before_it(engine: Any, kit: Any) -> None:
    """With ordered=True the items read before the input broke are yielded first."""

    def inputs() -> Iterator[int]:
        yield from range(3)
        raise LookupError("the input broke")

    async with engine.manager() as m:
        results = m.map(kit.echo(), inputs(), look_ahead=10)
        assert [await anext(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(LookupError):
            await anext(results)


async def test_map_takes_a_priority(engine: Any, kit: Any) -> None:
    """Items of map(priority=HIGH) go before normal tasks."""
    gate = engine.gate()
    log: list[Any] = []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        await m.submit(kit.records(log, "normal"))
        results = m.map(kit.records(log), ["a", "b"], priority=Priority.HIGH, look_ahead=2)
        head = asyncio.create_task(anext(results))
        await eventually(lambda: m.stats().priority_tasks == 2)
        gate.open()
        assert await head == "a"
        assert await collect(results) == ["b"]
    assert log == ["a", "b", "normal"]


async def test_map_takes_once(engine: Any, kit: Any) -> None:
    """Items of map(once=True) are not retried."""
    error = OSError("sick")
    async with engine.manager(check_health=kit.hook(lambda e: False)) as m:
        results = m.map(kit.script(error, "again"), [1], once=True)
        with pytest.raises(OSError, match="sick"):
            await anext(results)


async def test_map_on_a_small_bounded_queue(engine: Any, kit: Any) -> None:
    """A look_ahead beyond the queue's bound does not lock up."""
    async with engine.manager(worker_count=2, max_queue_size=1) as m:
        assert await collect(m.map(kit.echo(), range(100), look_ahead=20)) == list(range(100))


async def test_map_killed_in_the_middle(engine: Any, kit: Any) -> None:
    """A caller that iterates while the manager is killed gets an error and does not hang."""
    from tasker import TaskerError

    gate = engine.gate()
    async with engine.manager() as m:
        results = m.map(kit.until_cancelled(gate), range(10), look_ahead=3)
        head = asyncio.create_task(anext(results))
        await gate.arrivals(1)
        await m.kill()
        with pytest.raises(TaskerError):
            await head


@pytest.mark.parametrize("look_ahead", [0, -1])
async def test_map_refuses_a_look_ahead_below_one(engine: Any, kit: Any, look_ahead: int) -> None:
    """A look_ahead that could never make progress is a ValueError."""
    async with engine.manager() as m:
        with pytest.raises(ValueError, match="look_ahead"):
            await collect(m.map(kit.echo(), [1], look_ahead=look_ahead))
