"""Tasks that are cancelled in a long queue leave it, although no worker gets to them."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually
from tasker import Priority
from tasker.core import tombstones

LONG = 100
"""The length of a queue in which a cancelled task is not searched for."""


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "LONG", LONG)
    monkeypatch.setattr("tasker.threads.queue._FRONT", 10)


async def test_cancelled_tasks_leave_a_long_queue(engine: Any, kit: Any) -> None:
    """With far more tasks cancelled than remain, the queue holds about those that remain, and these are run in order."""
    gate, log = engine.gate(), []
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        futures = [await m.submit(kit.records(log, number)) for number in range(5 * LONG)]
        kept = futures[::LONG]
        for future in futures:
            assert future in kept or future.cancel()
        levels = m.raw._engine.levels
        await eventually(lambda: sum(map(len, levels)) <= LONG + len(kept))
        assert m.stats().queued_tasks == len(kept)
        gate.open()
        for future in kept:
            await future
    assert log == list(range(0, 5 * LONG, LONG))


async def test_cancelled_tasks_that_remain_are_not_shown_as_urgent(engine: Any, kit: Any) -> None:
    """stats() shows as urgent only tasks that wait, whatever lies in the level of high priority."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        await gate.arrivals(1)
        urgent = [await m.submit(kit.returns(), priority=Priority.HIGH) for _ in range(LONG // 4)]
        others = [await m.submit(kit.returns()) for _ in range(LONG)]
        for future in urgent:
            assert future.cancel()
        stats = m.stats()
        assert (stats.priority_tasks, stats.queued_tasks) == (0, len(others))
        gate.open()
