"""With debug=True, what was not destroyed is named: whose it was, and where it was made."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contract.test_stuck_callbacks import Clinging
from support.observers import RecordingLogger
from tasker import Config, TaskManager

LATE = 30.0


async def test_a_worker_that_does_not_get_rid_of_its_resource(engine: Any, kit: Any) -> None:
    """on_destroy hangs until the end of the kill: the report and the log name the worker and the function that has made the
    resource. A child process is ended with what is in it."""
    gate, logger = engine.gate(), RecordingLogger()
    async with engine.manager(resources=Clinging(gate, 1), logger=logger, name="crew", debug=True) as m:
        assert await m.queue_task(kit.returns(1)) == 1
        in_this_process = m.raw.config.backend is None
        report = await asyncio.wait_for(m.kill(0.5), LATE)
        assert len(report.leaked) == (m.stats().resources.alive if in_this_process else 0)
        if report.leaked:
            assert report.leaked[0].startswith("the resource of crew-1, made by ")
            assert "create (" in report.leaked[0]
            assert logger.text("warning").count("not destroyed: the resource of crew-1") == 1
        gate.open()


async def test_a_clean_end(engine: Any, kit: Any) -> None:
    """Nothing is named where each resource was destroyed, those of run_task included."""
    logger = RecordingLogger()
    async with engine.manager(logger=logger, resource_pool_size=1, debug=True) as m:
        assert await m.run_task(kit.returns(1)) == 1
        assert await asyncio.gather(*(m.run_task(kit.returns(n)) for n in range(3))) == [0, 1, 2]
        report = await m.stop()
        assert (report.leaked, m.stats().resources.alive) == ((), 0)
        assert "not destroyed" not in logger.text("warning")


async def test_a_call_of_run_task_that_never_comes_back(engine: Any, kit: Any) -> None:
    """Its resource is named at the end of a kill, with the lines of its caller."""
    gate = engine.gate()
    async with engine.manager(resource_pool_size=0, debug=True) as m:
        if m.raw.config.backend is not None:
            pytest.skip("the resource is ended with its process")

        async def calls_from_here() -> Any:
            return await m.run_task(kit.holds(gate))

        call = asyncio.create_task(calls_from_here())
        await gate.arrivals(1)
        report = await asyncio.wait_for(m.kill(0.3), LATE)
        if report.leaked:  # a coroutine is cancelled, and its resource destroyed
            (text,) = report.leaked
            assert text.startswith("the resource of run_task, made by ")
            assert "  File " in text, "the stack of the caller"
        gate.open()
        await asyncio.wait([call])
        call.exception()


def test_without_debug_nothing_is_kept() -> None:
    """The report has no resources then."""
    with TaskManager(Config(on_create=object, worker_count=1)) as manager:
        assert manager._engine.counters.origins is None
        assert manager.stop().leaked == ()
