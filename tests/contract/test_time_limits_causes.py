"""What has led to the TaskTimeout of a task that answers its cancellation with an error of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import TaskTimeout


def chain_of(error: BaseException | None) -> list[BaseException]:
    """An error and what led to it, as a caller may walk along it."""
    found: list[BaseException] = []
    while error is not None:
        assert error not in found, "the chain has an end"
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


@pytest.mark.parametrize("inline", [False, True], ids=["queued", "run_task"])
@pytest.mark.parametrize("link", ["__cause__", "__context__"])
async def test_an_error_that_the_timeout_has_led_to(engine: Any, kit: Any, link: str, inline: bool) -> None:
    """The error that the task has raised from the timeout is its cause, once."""
    gate, error = engine.gate(), OSError("closed")

    def begin(ctx: Any, resource: Any) -> None:
        def cancelled() -> None:
            setattr(error, link, ctx.cause)
            gate.open()

        ctx.on_cancel(cancelled)

    async with engine.manager(worker_count=1, max_worker_count=1, cancel_grace=60.0, resource_pool_size=1) as m:
        call = m.run_task if inline else m.queue_task
        with pytest.raises(TaskTimeout) as caught:
            await call(kit.both(begin, kit.fails_at(gate, error)), timeout=0.2)
        assert type(chain_of(caught.value)[1]) is OSError
