"""The with statement: leaving stops, leaving on an exception kills."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import ShutdownError, TaskKilled


async def test_leaving_stops_gracefully(engine: Any, kit: Any) -> None:
    """What was accepted inside runs before the with statement ends."""
    log: list[int] = []
    async with engine.manager() as m:
        for number in range(50):
            await m.submit(kit.records(log, number))
    assert log == list(range(50))
    assert m.closed
    with pytest.raises(ShutdownError):
        await m.submit(kit.returns())


async def test_leaving_on_an_exception_kills(engine: Any, kit: Any) -> None:
    """An exception inside reaches the outside, running tasks are cancelled, queued ones killed."""
    gate = engine.gate()
    with pytest.raises(LookupError, match="inside"):
        async with engine.manager() as m:
            running = await m.submit(kit.until_cancelled(gate))
            await gate.arrivals(1)
            queued = await m.submit(kit.returns())
            raise LookupError("inside")
    for future in (running, queued):
        with pytest.raises(TaskKilled):
            await future.result()


async def test_leaving_after_stop_does_no_harm(engine: Any, kit: Any) -> None:
    """stop() or kill() inside the with statement is fine."""
    for end in ("stop", "kill"):
        async with engine.manager() as m:
            await m.queue_task(kit.returns())
            await getattr(m, end)()


async def test_facts_of_a_manager(engine: Any) -> None:
    """name and config are those of the Config, and closed is true after the end."""
    async with engine.manager(name="facts", worker_count=2) as m:
        assert m.name == "facts"
        assert m.config.worker_count == 2
        assert m.closed is False
    assert m.closed is True
