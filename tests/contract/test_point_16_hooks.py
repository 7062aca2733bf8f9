"""Point 16 in hooks and callbacks: they run where tasks run, and may not wait for their own manager either."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually
from tasker import DeadlockError


@pytest.mark.parametrize("hook", ["on_create", "on_destroy"])
async def test_point_16_a_hook_that_waits_for_its_own_manager(engine: Any, kit: Any, hook: str) -> None:
    """on_create or on_destroy of a worker that waits for a task of its own manager gets DeadlockError, although another
    worker could run that task; and the manager works on."""
    errors: list[BaseException] = []
    managers: list[Any] = []
    entered = engine.gate()

    async def waits(own: Any) -> object:
        await own.pass_through(entered)
        if not errors:
            try:
                await own.queue_task(kit.returns())
            except DeadlockError as error:
                errors.append(error)
        return object()

    hooks = {"on_create": kit.hook(object), "on_destroy": None, hook: engine.inside_hook(managers, waits)}
    async with engine.manager(worker_count=2, creation_backoff=0.001, **hooks) as m:
        managers.append(m)
        entered.open()
        future = await m.submit(kit.returns(7))
        await eventually(lambda: errors or m.stats().active_workers == 2)
        m.resize(worker_count=1, max_worker_count=1)
        await eventually(lambda: errors)
        assert hook in str(errors[0])
        assert await future.result() == 7
        assert (await m.stop()).killed is False
        assert m.stats().done_tasks == m.stats().accepted_tasks


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_point_08_stop_inside_a_callback_raises(engine: Any, kit: Any, end: str) -> None:
    """stop() and kill() inside a callback raise DeadlockError, and the manager works on."""
    errors: list[BaseException] = []
    managers: list[Any] = []

    async def ends(own: Any) -> None:
        try:
            await own.end(end)
        except DeadlockError as error:
            errors.append(error)

    async with engine.manager() as m:
        managers.append(m)
        await (await m.submit(kit.returns(), callback=engine.inside_hook(managers, ends))).result()
        await eventually(lambda: errors)
        assert not m.closed
        assert await m.queue_task(kit.returns("next")) == "next"
