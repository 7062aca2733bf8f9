"""Point 13: a result waits in its future for as long as it takes."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from support.waiting import eventually


async def test_point_13_results_are_held_for_a_late_caller(engine: Any, kit: Any) -> None:
    """Results that were not asked for when they came are still there later, after stop() too."""
    async with engine.manager(worker_count=2) as m:
        futures = [await m.submit(kit.returns(n)) for n in range(500)]
        await eventually(lambda: m.stats().done_tasks == 500)
        gc.collect()
        assert [await future.result() for future in futures[:250]] == list(range(250))
        await m.stop()
    assert [await future.result() for future in futures] == list(range(500))


async def test_point_13_a_result_can_be_taken_often(engine: Any, kit: Any) -> None:
    """result() after a timed-out result(), and again, gives the same object."""
    gate, value = engine.gate(), ["a value"]
    async with engine.manager() as m:
        future = await m.submit(kit.holds(gate, value))
        with pytest.raises(TimeoutError):
            await future.result(0.05)
        assert not future.done()
        gate.open()
        result = await future.result()
        assert engine.same(result, value)
        assert await future.result() is result


async def test_point_13_tasks_whose_futures_are_dropped_still_run(engine: Any, kit: Any) -> None:
    """A task runs although its future was dropped."""
    log: list[int] = []
    async with engine.manager() as m:
        for number in range(50):
            await m.submit(kit.records(log, number))
        gc.collect()
    assert log == list(range(50))
