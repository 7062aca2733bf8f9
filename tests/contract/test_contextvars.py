"""contextvars are copied at submit; the task runs in the copy."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from support.observers import RecordingCollector
from support.waiting import eventually

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
            future = await asyncio.create_task(m.submit(kit.calls(body)), context=contextvars.Context())
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


class Looking(RecordingCollector):
    """A collector that records the value it sees."""

    def __init__(self, seen: list[str]) -> None:
        super().__init__()
        self.seen = seen

    def record_completion(self, stamps: Any) -> None:
        self.seen.append(user.get())

    def record_failure(self, stamps: Any) -> None:
        self.seen.append(user.get())


@pytest.mark.parametrize("sets_one", [False, True], ids=["the submitter set none", "the submitter set one"])
@pytest.mark.parametrize("fails", [False, True], ids=["it succeeds", "it fails"])
async def test_what_runs_after_the_task_does_not_see_it(engine: Any, kit: Any, fails: bool, sets_one: bool) -> None:
    """What a task sets is not seen by its callback, by check_health or by the collector."""
    spoiled: list[str] = []
    seen: list[str] = []

    def set_user(ctx: Any, resource: Any) -> None:
        spoiled.append(user.get())
        user.set("spoiled")
        if fails:
            raise ValueError

    def healthy(error: BaseException) -> bool:
        seen.append(user.get())
        return True

    async with engine.manager(check_health=kit.hook(healthy), collector=Looking(seen)) as m:
        variables = contextvars.Context()
        if sets_one:
            variables.run(user.set, "the submitter's")
        for _ in range(3):
            submit = m.submit(kit.calls(set_user), callback=lambda result, error: seen.append(user.get()))
            await asyncio.create_task(submit, context=variables)
        await eventually(lambda: len(spoiled) == 3)
    assert len(seen) == (9 if fails else 6)
    assert "spoiled" not in seen
    assert spoiled == ["the submitter's" if sets_one else "nobody"] * 3


async def test_a_task_may_enter_a_context_of_its_own(engine: Any, kit: Any) -> None:
    """What a task runs in a copy of its context stays in that copy."""

    def task(ctx: Any, resource: Any) -> list[str]:
        user.set("outer")
        inner = contextvars.copy_context()
        inner.run(user.set, "inner")
        return [user.get(), inner[user]]

    async with engine.manager() as m:
        future = await asyncio.create_task(m.submit(kit.calls(task)), context=contextvars.Context())
        assert await future.result() == ["outer", "inner"]
        future = await asyncio.create_task(m.submit(kit.calls(look)), context=contextvars.Context())
        assert await future.result() == "nobody"
