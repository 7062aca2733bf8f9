"""What a worker measures does not pile up, however long it is never idle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.gates import Gate

BATCH, TASKS = 8, 100


async def nothing(resource: object) -> None:
    """Does nothing to it."""


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        pytest.param({}, "plain", id="plain functions"),
        pytest.param({"sync_in_thread": False}, "plain", id="plain functions in the loop"),
        pytest.param({"on_return": nothing}, "coroutine", id="a hook between two tasks"),
        pytest.param({}, "fails", id="tasks that fail"),
    ],
)
async def test_a_lasting_backlog(make: Any, monkeypatch: pytest.MonkeyPatch, config: Any, kind: str) -> None:
    """A worker that is never idle keeps as many measurements as a batch has, and loses none."""
    monkeypatch.setattr("tasker.aio.counters._BATCH", BATCH)
    kept: list[int] = []

    def look(ctx: Any, resource: object) -> None:
        (shard,) = m._engine.counters.shards.values()
        kept.append(len(shard.meter.execution))

    async def alook(ctx: Any, resource: object) -> None:
        look(ctx, resource)

    async def fails(ctx: Any, resource: object) -> None:
        look(ctx, resource)
        raise ValueError

    gate = Gate()
    async with make(max_retries=0, **config) as m:
        held = m.submit(lambda ctx, resource: gate.apass_through())
        await gate.arrivals(1)
        tasks = [m.submit({"plain": look, "coroutine": alook, "fails": fails}[kind]) for _ in range(TASKS)]
        gate.open()
        await held
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(kept) == TASKS
        assert max(kept) <= BATCH + 1
        shard = m._engine.counters.shards[1]
        shard.meter.flush()
        assert shard.meter.executions.count == TASKS + 1
