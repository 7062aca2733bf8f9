"""Tests ``run_task`` that a signal handler or a finalizer calls again in the middle of another call in the same thread."""

from __future__ import annotations

from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import Call, wait_until
from tasker import Config, DeadlockError, ShutdownError, TaskManager
from tasker.core.counters import Counters
from tasker.metrics.histogram import Histogram
from tasker.metrics.meter import BATCH, Meter
from tasker.threads.engine import Engine
from tasker.threads.queue_slots import QueueSlots
from tasker.threads.this_thread import this_thread
from unit.interrupts import each_moment
from unit.run_task import STEPS, harms, returns


@pytest.mark.timeout(170)
@pytest.mark.parametrize("inner", [returns, harms])
@pytest.mark.parametrize("outer", [returns, harms])
@pytest.mark.parametrize("pool_size", [0, 1])
def test_at_each_moment(request: pytest.FixtureRequest, outer: Any, inner: Any, pool_size: int) -> None:
    """Both calls end as they should, and tasks, resources and the pool are counted right."""
    resources = ScriptedResources()
    manager: TaskManager[Any] = TaskManager(
        Config(
            worker_count=1,
            max_worker_count=1,
            resource_pool_size=pool_size,
            on_create=resources.create,
            on_destroy=resources.destroy,
            check_health=lambda error: False,
            creation_backoff=0.001,
        )
    )
    request.addfinalizer(lambda: Call(manager.kill, 1).outcome())
    wait_until(lambda: manager.stats().active_workers == 1)
    answers: list[Any] = []

    def run(task: Any) -> Any:
        try:
            return manager.run_task(task)
        except OSError as error:
            return type(error)

    expected = {returns: "value", harms: OSError}
    calls = 0
    # Not in the hooks: those of the tests have locks of their own, which are not reentrant.
    steps = (*STEPS, Counters.resource)
    for where, value, error in each_moment(lambda: run(outer), *steps, reenter=lambda: answers.append(run(inner))):
        calls += 1
        assert (error, value) == (None, expected[outer]), where
        assert answers == ([] if where is None else [expected[inner]]), where
        answers.clear()
        assert this_thread.inline == ()
        assert manager._engine.counters.flow().outstanding == 0, where
        assert manager._engine.pool._temporary == 0, where
    assert calls > 10
    wait_until(lambda: manager.stats().available_resources == pool_size)
    ledger = manager.stats().resources
    assert (ledger.created, ledger.destroyed) == (len(resources.created), len(resources.destroyed))
    assert Call(manager.stop).outcome(20).killed is False
    resources.check_all_ended_once()


def test_while_measurements_are_moved(request: pytest.FixtureRequest) -> None:
    """A call that moves the measurements of many into the histograms returns its result, as does one in the middle of it, and each
    is counted once."""
    manager: TaskManager[int] = TaskManager(Config(worker_count=1, on_create=lambda: 0))
    request.addfinalizer(lambda: Call(manager.kill, 1).outcome())
    meter, calls, answers = manager._engine.run_task.meter, 0, []

    def run() -> str:
        return manager.run_task(returns)

    def run_and_move() -> str:
        missing = BATCH - 1 - len(meter.execution)
        meter.execution.extend([1.0] * missing)
        meter.wait.extend([1.0] * missing)
        return run()

    def reenter() -> None:
        answers.append(run_and_move())  # it would move them, too

    for where, value, error in each_moment(run_and_move, Meter.flush, Histogram.add_all, reenter=reenter):
        assert (error, value) == (None, "value"), where
        assert answers == ([] if where is None else ["value"]), where
        answers.clear()
        calls += 1
        assert meter.executions.count + len(meter.execution) == meter.waits.count + len(meter.wait), where
    assert calls > 10
    assert sum(meter.executions.counts) == meter.executions.count
    meter.flush()
    assert (meter.execution, meter.wait) == ([], [])


def submits(manager: TaskManager[Any]) -> Any:
    """Queues a task."""
    return manager.submit(returns)


def submits_with_limit(manager: TaskManager[Any]) -> Any:
    """Queues a task with a deadline."""
    return manager.submit(returns, deadline=60.0)


def reads(manager: TaskManager[Any]) -> Any:
    """Reads all numbers."""
    return manager.stats(), manager.metrics()


READS = (Counters.flow, Meter.flush, Meter.merge_into, TaskManager.metrics, TaskManager.stats)
SUBMITS = (
    TaskManager.submit,
    Engine.admit,
    Engine.limit,
    Engine.keep_deadline,
    QueueSlots.acquire,
    QueueSlots._take_or_line_up,
    QueueSlots._leave_line,
)


@pytest.mark.timeout(170)
@pytest.mark.parametrize(
    ("method", "functions", "bound"),
    [(submits, SUBMITS, None), (submits, SUBMITS, 5), (submits_with_limit, SUBMITS, 5), (reads, READS, None)],
)
def test_a_stop_in_the_middle_of_a_method(method: Any, functions: Any, bound: int | None) -> None:
    """A signal handler that calls stop() gets its report or, where it would wait for the method that it has interrupted, an error
    at once; the method goes on."""
    managers: list[TaskManager[Any]] = []
    answers: list[Any] = []

    def call() -> Any:
        config = Config(
            worker_count=1, max_worker_count=1, on_create=object, max_queue_size=bound, resource_pool_size=0
        )
        managers.append(TaskManager(config))
        managers[0].queue_task(returns)
        return method(managers[0])

    def stop() -> None:
        try:
            answers.append(managers[0].stop().killed)
        except DeadlockError as refused:
            answers.append(refused)

    refusals = 0
    for where, value, error in each_moment(call, *functions, reenter=stop):
        assert error is None or (isinstance(error, ShutdownError) and answers == [False]), (where, error)
        refusals += any(isinstance(answer, DeadlockError) for answer in answers)
        assert Call(managers.pop().stop).outcome(20).killed is False
        if method is not reads and error is None:
            assert value.result(20) == "value"
        answers.clear()
    assert refusals > 0
