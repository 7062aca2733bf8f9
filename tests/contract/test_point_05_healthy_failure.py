"""Point 5: a healthy failure is the task's own."""

from __future__ import annotations

from typing import Any

import pytest


async def test_point_05_the_error_itself_reaches_the_caller(engine: Any, kit: Any) -> None:
    """queue_task and a future raise the very error the task raised."""
    error = KeyError("mine")
    async with engine.manager() as m:
        with pytest.raises(KeyError) as caught:
            await m.queue_task(kit.raises(error))
        assert engine.same(caught.value, error)
        future = await m.submit(kit.raises(error))
        assert engine.same(await future.exception(), error)


@pytest.mark.parametrize("judge", [None, lambda error: True], ids=["no check", "healthy"])
async def test_point_05_no_retry_and_the_resource_stays(engine: Any, kit: Any, judge: Any) -> None:
    """A healthy failure costs one attempt and no resource."""
    async with engine.manager(check_health=judge) as m:
        future = await m.submit(kit.script(ValueError("first"), "second"))
        assert isinstance(await future.exception(), ValueError)
        assert future.attempts == 1
        assert await m.queue_task(kit.resource()) is m.resources.created[0]
        assert m.resources.destroyed == []
        assert m.stats().replaced_workers == 0


async def test_point_05_the_traceback_shows_the_task(engine: Any, kit: Any) -> None:
    """The error keeps the traceback into the task's code."""
    import traceback

    async with engine.manager() as m:
        future = await m.submit(kit.raises(ValueError("where")))
        error = await future.exception()
        text = "".join(traceback.format_exception(error))
        assert "in raising" in text


async def test_point_05_one_failure_does_not_touch_the_others(engine: Any, kit: Any) -> None:
    """Tasks round a failing one all get their results."""
    async with engine.manager(worker_count=2) as m:
        futures = []
        for number in range(60):
            body = kit.raises(ValueError(number)) if number % 3 == 0 else kit.returns(number)
            futures.append(await m.submit(body))
        for number, future in enumerate(futures):
            error = await future.exception()
            assert (error is not None) == (number % 3 == 0)
            if error is None:
                assert await future.result() == number
