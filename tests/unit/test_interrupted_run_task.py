"""Tests Ctrl-C in ``run_task``, at each moment of its own code: no resource is lost, and no call stays open."""

from __future__ import annotations

from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import Call, wait_until
from tasker import Config, MaxRetriesExceeded, RetryPolicy, TaskManager
from tasker.threads.run_task import RunTask
from tasker.threads.worker import this_thread
from unit.interrupts import each_moment
from unit.run_task import STEPS, TRIES, harms, returns


def fails(ctx: Any, resource: Any) -> None:
    """Fails with an error of its own."""
    raise LookupError


def run(manager: Any, task: Any) -> Any:
    """A call as any."""
    return manager.run_task(task)


def run_again(manager: Any, task: Any) -> Any:
    """A call that is tried again, once, after a pause."""
    return manager.run_task(task, retry=RetryPolicy(max_retries=1, retry_on=LookupError, backoff=1e-9), timeout=60.0)


CASES = [
    pytest.param(returns, 0, id="temporary"),
    pytest.param(returns, 1, id="pooled"),
    pytest.param(fails, 0, id="temporary, fails"),
    pytest.param(fails, 1, id="pooled, fails"),
    pytest.param(harms, 0, id="temporary, harmed"),
    pytest.param(
        harms,
        1,
        id="pooled, harmed",
    ),
]


@pytest.mark.parametrize("call", [run, run_again])
@pytest.mark.parametrize(("task", "pool_size"), CASES)
def test_nothing_is_lost(request: pytest.FixtureRequest, task: Any, pool_size: int, call: Any) -> None:
    """After each interrupt the call is closed and its resource is back or destroyed; in the end all are destroyed,
    once."""
    resources = ScriptedResources()
    manager: TaskManager[Any] = TaskManager(
        Config(
            worker_count=1,
            max_worker_count=1,
            resource_pool_size=pool_size,
            max_temporary_resources=1,
            on_create=resources.create,
            on_destroy=resources.destroy,
            check_health=lambda error: not isinstance(error, OSError),
            creation_backoff=0.001,
        )
    )
    request.addfinalizer(lambda: Call(manager.kill, 1).outcome())
    engine = manager._engine
    wait_until(lambda: manager.stats().active_workers == 1)
    struck = []
    for where, value, error in each_moment(lambda: call(manager, task), *STEPS, *TRIES):
        if where is not None:
            struck.append(where)
            # What strikes around a hook of the user is logged as the hook's error.
            assert isinstance(error, KeyboardInterrupt) or where.startswith("Maker.end"), (where, error)
        else:
            expected = OSError if call is run else MaxRetriesExceeded
            assert value == "value" if task is returns else isinstance(error, expected | LookupError)
        assert engine.counters.flow().outstanding == 0, where
        assert this_thread.inline == (), where
        assert engine.pool._temporary == 0, where
        wait_until(lambda: engine.pool.available == pool_size, timeout=3, what=f"the pool is full after {struck[-1:]}")
        wait_until(lambda: len(resources.alive) == 1 + pool_size, what=f"only those are alive, after {struck[-1:]}")
    reached = {where.split(":")[0] for where in struck}
    assert {"RunTask.run", "RunTask._close", "ResourcePool.acquire", "ResourcePool.release"} <= reached
    if call is run_again:
        assert {"run_tries", "_attempts", "AttemptCall.enter"} <= reached
    assert Call(manager.stop).outcome(20).killed is False
    resources.check_all_ended_once()
    ledger = manager.stats().resources
    assert (ledger.created, ledger.alive) == (ledger.destroyed, 0)


def build(request: pytest.FixtureRequest) -> tuple[TaskManager[Any], ScriptedResources]:
    """Makes a manager that is killed in the end."""
    resources = ScriptedResources()
    config = Config(worker_count=1, resource_pool_size=0, on_create=resources.create, on_destroy=resources.destroy)
    manager: TaskManager[Any] = TaskManager(config)
    request.addfinalizer(lambda: Call(manager.kill, 1).outcome())
    return manager, resources


def test_ctrl_c_again_and_again(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the end of a call is interrupted, and what is left of it once more, another thread completes it."""
    manager, resources = build(request)
    real, struck = RunTask._close, []

    def close(self: RunTask, call: Any) -> None:
        if len(struck) < 2:
            struck.append(call)
            raise KeyboardInterrupt
        real(self, call)

    monkeypatch.setattr(RunTask, "_close", close)
    with pytest.raises(KeyboardInterrupt):
        manager.run_task(returns)
    wait_until(lambda: manager._engine.counters.flow().outstanding == 0, what="the call is counted as ended")
    assert len(struck) == 2
    assert Call(manager.stop).outcome(20).killed is False
    resources.check_all_ended_once()
