"""idle_timeout: burst workers that are idle for so long give their resources back."""

from __future__ import annotations

from typing import Any

from support.resources import ScriptedResources
from support.waiting import eventually
from tasker import RatePolicy

LIMIT = 0.3
CLINGS = RatePolicy(hold=1000.0, hold_most=1000.0)
"""Lets no worker go for long."""


async def test_idle_burst_workers_go(engine: Any, kit: Any) -> None:
    """They end although the policy would hold them; the base stays, and the explanation says why."""
    gate = engine.gate()
    async with engine.manager(
        resources=ScriptedResources(),
        worker_count=1,
        max_worker_count=3,
        burst_interval=0.02,
        scaling=CLINGS,
        idle_timeout=LIMIT,
    ) as m:
        futures = [await m.submit(kit.holds(gate)) for _ in range(3)]
        await gate.arrivals(3)
        gate.open()
        for future in futures:
            await future
        assert m.stats().active_workers == 3
        await eventually(lambda: m.stats().active_workers == 1)
        assert "the idle_timeout" in str(m.explain())
        assert (m.stats().replaced_workers, m.stats().lost_workers) == (0, 0)
        assert await m.queue_task(kit.returns("served")) == "served"
