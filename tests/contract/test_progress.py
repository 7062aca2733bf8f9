"""``ctx.progress``: how far a task is, as ``workers()`` shows it."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually


async def test_progress_is_shown_while_the_attempt_runs(engine: Any, kit: Any) -> None:
    """The last that was said, until the attempt ends; the next task of the worker has said nothing yet."""
    if not engine.tells_progress:
        pytest.skip("this backend has no way for it")
    gate, second = engine.gate(), engine.gate()
    async with engine.manager(worker_count=1) as m:

        def tell(ctx: Any, resource: Any, *args: Any) -> None:
            ctx.progress(1, 4)
            ctx.with_value("key", "value").progress(2, 4)

        future = await m.submit(kit.both(tell, kit.holds(gate)))
        await gate.arrivals(1)
        await eventually(lambda: [one.progress for one in m.raw.workers()] == [(2, 4)])
        gate.open()
        await future
        await eventually(lambda: [one.progress for one in m.raw.workers()] == [None])
        future = await m.submit(kit.holds(second))
        await second.arrivals(1)
        assert [one.progress for one in m.raw.workers()] == [None]
        second.open()
        await future


async def test_run_task_takes_it_as_well(engine: Any, kit: Any) -> None:
    """Though no worker shows it."""
    async with engine.manager(worker_count=1) as m:
        assert await m.run_task(kit.calls(lambda ctx, resource: ctx.progress(1, 2))) is None
