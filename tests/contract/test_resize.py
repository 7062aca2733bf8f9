"""resize(): what is not given stays, and a refused call changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import SLOWER, eventually


async def test_several_resizes_in_a_row_all_count(engine: Any) -> None:
    """Each resize keeps what the ones before it have set, also while the supervisor has handled none of them."""
    async with engine.manager(worker_count=1, max_worker_count=4) as m:
        m.resize(worker_count=8, max_worker_count=8)
        m.resize(max_worker_count=20)
        m.resize(worker_count=9)
        await eventually(lambda: (m.explain().worker_count, m.explain().max_worker_count) == (9, 20))
        await eventually(lambda: m.stats().active_workers == 9)


async def test_a_refused_resize_changes_nothing(engine: Any) -> None:
    """After a ConfigError the bounds are as before."""
    async with engine.manager(worker_count=2, max_worker_count=4) as m:
        for bad in ({"worker_count": 5}, {"max_worker_count": 1}, {"worker_count": -1}, {"worker_count": True}):
            with pytest.raises(ValueError, match="worker_count"):
                m.resize(**bad)
        m.resize(worker_count=3)
        await eventually(lambda: m.stats().active_workers == 3)
        assert (m.explain().worker_count, m.explain().max_worker_count) == (3, 4)


def ready(m: Any) -> int:
    """How many workers have a resource, and serve."""
    return [worker.state for worker in m.raw.workers()].count("ready")


async def test_a_worker_that_is_to_retire_and_ends_for_another_reason(engine: Any) -> None:
    """The order is for another idle one then; else a stop would wait for it in vain."""
    gate, lifetime = engine.gate(), 0.2 * SLOWER
    resources = ScriptedResources(None, None, then=gate)
    async with engine.manager(
        resources=resources, worker_count=2, max_worker_count=2, max_resource_lifetime=lifetime, burst_interval=0
    ) as m:
        await eventually(lambda: ready(m) == 2)
        await asyncio.sleep(1.5 * lifetime)  # until the resources are worn
        m.resize(worker_count=1)
        await eventually(lambda: ready(m) < 2)
        stopping = asyncio.ensure_future(m.stop())
        await asyncio.sleep(0)
        gate.open()
        assert not (await asyncio.wait_for(stopping, 30)).killed
