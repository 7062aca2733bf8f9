"""run_task of an InlineTaskManager with limits and retries: on the clock."""

from __future__ import annotations

import pytest

from tasker import Config, Context, RetryPolicy, TaskTimeout
from tasker.testing import InlineTaskManager, ManualClock


def manager_on(clock: ManualClock) -> InlineTaskManager[str]:
    """One that makes a resource for each call."""
    return InlineTaskManager(Config(on_create=lambda: "resource", worker_count=1, cancel_grace=5.0), clock=clock)


def test_pauses_move_the_clock() -> None:
    """The task is tried again when its pause is over, and no time passes otherwise."""
    clock = ManualClock(100.0)
    moments: list[float] = []

    def busy(ctx: Context, resource: str) -> str:
        moments.append(clock.now())
        if len(moments) < 3:
            raise ConnectionError("busy")
        return resource

    with manager_on(clock) as manager:
        policy = RetryPolicy(retry_on=ConnectionError, backoff=60.0)
        assert manager.run_task(busy, retry=policy) == "resource"
        assert moments[0] == 100.0 < moments[1] < moments[2] == clock.now()
        assert manager.stats().accepted_tasks == 1


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
def test_a_limit_passes_on_the_clock(limit: str) -> None:
    """The context is cancelled at that moment, and the call ends with TaskTimeout."""
    clock = ManualClock()
    began = clock.now()

    def waits(ctx: Context, resource: str) -> None:
        ctx.wait()
        ctx.raise_if_cancelled()

    with manager_on(clock) as manager:
        with pytest.raises(TaskTimeout, match=rf"in run_task has not ended within {limit}=30"):
            manager.run_task(waits, **{limit: 30.0})
        assert clock.now() == pytest.approx(began + 30.0)
        assert manager.stats().timed_out_tasks == 1


def test_a_call_that_is_late() -> None:
    """A deadline that passes while the resource is made leaves the task uncalled."""
    clock = ManualClock()

    def makes() -> str:
        clock.advance(10.0)
        return "resource"

    def never(ctx: Context, resource: str) -> None:
        raise AssertionError

    with (
        InlineTaskManager(Config(on_create=makes, worker_count=1, resource_pool_size=0), clock=clock) as manager,
        pytest.raises(TaskTimeout, match="has not started within deadline"),
    ):
        manager.run_task(never, deadline=5.0)
