"""contextvars are copied at submit; the task runs in the copy."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def look(ctx: Any, resource: Any, *args: Any) -> str:
    """The value as the task sees it."""
    return user.get()


def spoil(ctx: Any, resource: Any) -> str:
    """The value, before it is set to another."""
    before = user.get()
    user.set("spoiled")
    return before


async def test_the_task_sees_the_submitters_value(engine: Any, kit: Any) -> None:
    """Each task sees the value of the moment of its submit, not a later one."""
    gate = engine.gate()
    async with engine.manager() as m:
        await m.submit(kit.holds(gate))
        futures = []
        for name in ("ann", "bob", "cid"):
            user.set(name)
            futures.append(await m.submit(kit.calls(look)))
        user.set("later")
        gate.open()
        assert [await future.result() for future in futures] == ["ann", "bob", "cid"]


async def test_every_way_in_carries_them(engine: Any, kit: Any) -> None:
    """queue_task, run_task and map run the task with the caller's values."""
    user.set("dora")
    async with engine.manager(resource_pool_size=1) as m:
        assert await m.queue_task(kit.calls(look)) == "dora"
        assert await m.run_task(kit.calls(look)) == "dora"
        assert [value async for value in m.map(kit.calls(look), range(3))] == ["dora"] * 3


async def test_what_a_task_sets_stays_in_it(engine: Any, kit: Any) -> None:
    """A value set by a task reaches neither the submitter nor the next task."""
    user.set("eve")
    async with engine.manager() as m:
        assert [await m.queue_task(kit.calls(spoil)) for _ in range(3)] == ["eve"] * 3
    assert user.get() == "eve"


async def test_what_a_task_sets_where_its_submitter_set_nothing(engine: Any, kit: Any) -> None:
    """It stays in that task too, whether the task succeeds or fails: the next one finds nothing."""

    def spoil_and_fail(ctx: Any, resource: Any) -> str:
        raise ValueError(spoil(ctx, resource))

    async with engine.manager(worker_count=1) as m:
        for body in (spoil, spoil_and_fail, look, spoil, look):
            future = await contextvars.Context().run(lambda body=body: m.submit(kit.calls(body)))
            if body is spoil_and_fail:
                with pytest.raises(ValueError, match="nobody"):
                    await future.result()
            else:
                assert await future.result() == "nobody"


async def test_a_retry_sees_the_submitters_value(engine: Any, kit: Any) -> None:
    """The second attempt still has the submitter's value."""
    seen: list[str] = []

    def body(ctx: Any, resource: Any) -> None:
        seen.append(look(ctx, resource))
        if len(seen) == 1:
            raise OSError("sick")

    user.set("fay")
    async with engine.manager(check_health=kit.hook(lambda error: False)) as m:
        future = await m.submit(kit.calls(body))
        user.set("gus")
        await future.result()
    assert seen == ["fay", "fay"]
