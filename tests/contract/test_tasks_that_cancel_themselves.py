"""A task that cancels its own context and obeys is a cancelled one, whether or not it has a time limit."""

from __future__ import annotations

from typing import Any

import pytest

from support.waiting import eventually
from tasker import RetryPolicy, TaskCancelled, TaskTimeout

LIMITS = [{}, {"timeout": 60.0}, {"deadline": 60.0}]
AGAIN = RetryPolicy(max_retries=3, retry_on=TaskCancelled, backoff=0.0)


def cancels(ctx: Any, resource: Any) -> None:
    ctx.cancel("not needed any more")


@pytest.mark.parametrize("limits", LIMITS, ids=["no limit", "timeout", "deadline"])
async def test_a_queued_task(engine: Any, kit: Any, limits: dict[str, float]) -> None:
    """It ends as cancelled after one attempt."""
    async with engine.manager(retry=AGAIN) as m:
        future = await m.submit(kit.both(cancels, kit.until_cancelled(engine.gate())), **limits)
        await eventually(future.done)
        assert future.cancelled()
        assert [attempt.verdict for attempt in future.attempts_made] == ["cancelled"]
        metrics = m.metrics()
        assert (metrics.total_tasks_cancelled, metrics.total_tasks_failed, metrics.total_tasks_retried) == (1, 0, 0)


@pytest.mark.parametrize("limits", LIMITS, ids=["no limit", "timeout", "deadline"])
async def test_a_call_of_run_task(engine: Any, kit: Any, limits: dict[str, float]) -> None:
    """The caller has the same error, and it counts as cancelled."""
    async with engine.manager(resource_pool_size=1) as m:
        with pytest.raises(TaskCancelled, match="not needed any more"):
            await m.run_task(kit.both(cancels, kit.until_cancelled(engine.gate())), retry=AGAIN, **limits)
        metrics = m.metrics()
        assert (metrics.total_tasks_cancelled, metrics.total_tasks_failed, metrics.total_tasks_retried) == (1, 0, 0)


@pytest.mark.parametrize("inline", [False, True], ids=["queued", "run_task"])
async def test_one_that_cancels_itself_after_its_limit(engine: Any, kit: Any, inline: bool) -> None:
    """The limit came first: it has missed that."""

    def late(ctx: Any, resource: Any) -> None:
        ctx.wait(60)
        ctx.cancel("too late")

    async with engine.manager(cancel_grace=60.0, resource_pool_size=1) as m:
        call = m.run_task if inline else m.queue_task
        with pytest.raises(TaskTimeout, match=r"timeout=0\.2"):
            await call(kit.both(late, kit.until_cancelled(engine.gate())), timeout=0.2)
        assert m.stats().timed_out_tasks == 1


async def test_the_callbacks_of_such_a_task(engine: Any, kit: Any) -> None:
    """They are called once, and find the context cancelled, with its cause."""
    called: list[str] = []

    def begin(ctx: Any, resource: Any) -> None:
        child = ctx.child()
        child.on_cancel(lambda: called.append(f"{ctx.cancelled} {child.cause}"))
        ctx.cancel("first")
        ctx.cancel("second")

    async with engine.manager() as m:
        future = await m.submit(kit.both(begin, kit.until_cancelled(engine.gate())), timeout=60.0)
        await eventually(future.done)
        assert future.cancelled()
    assert called == ["True first"]
