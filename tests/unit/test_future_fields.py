"""``submit`` makes its futures without a call of ``TaskFuture._accepted``; this test keeps the two the same."""

from __future__ import annotations

from typing import Any

import pytest

from support.gates import Gate
from tasker import Config, TaskManager
from tasker.threads.future import TaskFuture


def fields(future: TaskFuture[Any]) -> dict[str, Any]:
    """Returns the fields of a future that are set, except the time and the manager."""
    names = [*TaskFuture.__slots__, *vars(future)]
    return {name: getattr(future, name) for name in names if hasattr(future, name) and name != "_queued_at"}


@pytest.mark.parametrize("once", [False, True])
def test_submit_sets_what_accepted_sets(once: bool) -> None:
    """submit() and _accepted() set the same fields to the same values."""
    gate = Gate()
    config = Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0)
    with TaskManager(config) as manager:
        manager.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)

        def task(ctx: object, resource: object, *args: int) -> None:
            pass

        submitted = manager.submit(task, 1, 2, once=once)
        made: TaskFuture[Any] = TaskFuture._accepted(manager._engine, submitted.id, task, (1, 2), queued_at=0.0)
        expected = fields(made) | ({"_once": True} if once else {})
        assert fields(submitted) == expected
        gate.open()
