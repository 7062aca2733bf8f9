"""What a task registers with Context.on_cancel ends with the task."""

from __future__ import annotations

from typing import Any

from tasker import TaskCancelled


async def test_a_kill_calls_the_callbacks_of_running_tasks_alone(engine: Any, kit: Any) -> None:
    """The callback of a task that has ended is not called by a later kill; that of the running one is, once."""
    gate = engine.gate()
    called: list[Any] = []
    ended = kit.calls(lambda ctx, resource: ctx.on_cancel(lambda: called.append("ended")) and None)
    async with engine.manager() as m:
        for _ in range(20):
            await (await m.submit(ended)).result()
        running = await m.submit(
            kit.both(lambda ctx, resource: ctx.on_cancel(lambda: called.append("running")), kit.until_cancelled(gate))
        )
        await gate.arrivals(1)
        await m.kill()
        assert running.done()
    assert called == ["running"]


async def test_callbacks_of_ended_tasks_are_not_kept(engine: Any, kit: Any) -> None:
    """However many tasks have registered one, none is left when they have ended, run_task included."""

    def register(ctx: Any, resource: Any) -> int:
        kept = len(ctx._parent._watchers)
        ctx.on_cancel(lambda: None)
        return kept

    body = kit.calls(register)
    async with engine.manager(resource_pool_size=1) as m:
        assert [await (await m.submit(body)).result() for _ in range(20)] == [0] * 20
        assert [await m.run_task(body) for _ in range(20)] == [0] * 20


async def test_a_cancelled_task_calls_its_callback_once(engine: Any, kit: Any) -> None:
    """cancel() of the future calls it, and the kill that follows does not call it again."""
    gate = engine.gate()
    called: list[Any] = []
    body = kit.both(lambda ctx, resource: ctx.on_cancel(lambda: called.append(1)), kit.until_cancelled(gate))
    async with engine.manager() as m:
        future = await m.submit(body)
        await gate.arrivals(1)
        assert future.cancel() is False
        try:
            await future.result()
        except TaskCancelled:
            pass
        await m.kill()
    assert called == [1]
