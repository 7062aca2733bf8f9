"""Ctrl-C in a view of a manager, at each moment at which it can strike."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import pytest

from support.waiting import Call
from tasker import Config, TaskManager
from tasker.threads.executor import ManagerExecutor
from unit.interrupts import each_moment

STEPS = (
    ManagerExecutor.submit,
    ManagerExecutor._submitted,
    ManagerExecutor._forget,
    ManagerExecutor._wake_shutdown,
    ManagerExecutor._is_idle,
    ManagerExecutor._done,
    ManagerExecutor.shutdown,
    ManagerExecutor._wait,
)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("interrupted", ["submit", "shutdown"])
def test_at_each_moment(request: pytest.FixtureRequest, interrupted: str) -> None:
    """The workers go on, and a shutdown ends."""
    manager: TaskManager[Any] = TaskManager(Config(on_create=object, worker_count=2, max_worker_count=2))
    request.addfinalizer(lambda: Call(manager.kill, 1).outcome())
    views: list[Executor] = []

    def submits() -> None:
        views.append(manager.as_executor())
        views[-1].submit(int)

    def shuts_down() -> None:
        views.append(manager.as_executor())
        for _ in range(3):
            views[-1].submit(int)
        views[-1].shutdown(cancel_futures=True)

    steps = STEPS if interrupted == "submit" else STEPS[2:]
    struck = []
    for where, _, _ in each_moment(submits if interrupted == "submit" else shuts_down, *steps):
        struck.append(where)
        late = views[-1]._pending.copy()  # type: ignore[attr-defined]
        Call(views[-1].shutdown).outcome(10)
        assert all(future.done() for future in late), where
        assert manager.submit(lambda ctx, resource: "value").result(10) == "value", where
    assert len(struck) > 10
    assert Call(manager.stop).outcome(20).killed is False
