"""Time limits on an inline manager: they pass with its clock."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import Config, Context, RetryPolicy, TaskTimeout
from tasker.testing import InlineTaskManager


def manager(**options: Any) -> InlineTaskManager[str]:
    """One worker, without a pool."""
    return InlineTaskManager(Config(**{"on_create": str, "worker_count": 1, "resource_pool_size": 0, **options}))


def sleep(ctx: Context, resource: str, seconds: float) -> str:
    """A task that looks at its context."""
    if ctx.wait(seconds):
        ctx.raise_if_cancelled()
    return "done"


@pytest.mark.parametrize("limit", ["timeout", "deadline"])
def test_a_limit_passes_with_the_clock(limit: str) -> None:
    """At its moment, and not a second of real time later."""
    with manager() as m:
        start = m.clock.now()
        future = m.submit(sleep, 1e6, **{limit: 3600.0})
        with pytest.raises(TaskTimeout, match=f"{limit}=3600"):
            future.result()
        assert m.clock.now() == start + 3600.0
        assert m.queue_task(sleep, 10.0, timeout=20.0) == "done"
        assert m.stats().timed_out_tasks == 1


def test_a_task_that_is_late_never_starts() -> None:
    """It ends when the clock has moved to its deadline."""
    with manager() as m:
        future = m.submit(sleep, 1.0, deadline=5.0)
        m.clock.advance(4.9)
        assert m.pending == (future,)
        m.clock.advance(0.1)
        assert m.pending == ()
        with pytest.raises(TaskTimeout, match="has not started"):
            future.result()
        assert future.attempts == 0


@pytest.mark.parametrize(("took", "ends"), [(1.9, True), (3.0, True), (3.1, False)])
def test_a_task_that_does_not_look(took: float, ends: bool) -> None:
    """Its result stands up to the end of the grace, and comes too late after that. Callbacks are called in time."""
    called: list[float] = []
    with manager(task_timeout=1.0, cancel_grace=2.1) as m:
        start = m.clock.now()

        def busy(ctx: Context, resource: str) -> str:
            ctx.on_cancel(lambda: called.append(m.clock.now() - start))
            m.clock.advance(took)
            return "done"

        future = m.submit(busy)
        if ends:
            assert future.result() == "done"
        else:
            with pytest.raises(TaskTimeout):
                future.result()
        assert called == [pytest.approx(1.0)]
        m.clock.advance(100.0)
        assert m.stats().stuck_workers == 0


def test_another_attempt() -> None:
    """With a new timeout, if the policy names the error; a deadline that passes during the pause ends the task."""
    lengths = iter([9.0, 1.0])

    def task(ctx: Context, resource: str) -> str:
        return sleep(ctx, resource, next(lengths))

    with manager(retry=RetryPolicy(retry_on=TaskTimeout)) as m:
        future = m.submit(task, timeout=2.0)
        assert future.result() == "done"
        assert future.attempts == 2
    lengths = iter([9.0, 1.0])
    with manager(retry=RetryPolicy(retry_on=TaskTimeout, backoff=1e9, max_backoff=1e9)) as m:
        future = m.submit(task, timeout=2.0, deadline=5.0)
        with pytest.raises(TaskTimeout, match="has not started within deadline"):
            future.result()
        assert future.attempts == 1


@pytest.mark.parametrize("value", [0, -1.0, True])
def test_wrong_limits(value: Any) -> None:
    """They leave nothing behind."""
    with manager(max_queue_size=1) as m:
        for _ in range(3):
            with pytest.raises((TypeError, ValueError), match="timeout must be"):
                m.submit(sleep, 1.0, timeout=value)
        assert m.queue_task(sleep, 1.0) == "done"
        assert m.stats().accepted_tasks == 1
