"""What the supervisor decides by what it knows, when a worker is further by then: nothing stays wrong for that."""

from __future__ import annotations

import threading

import pytest

from support.gates import Gate
from support.waiting import WAIT, Call, wait_until
from tasker import Config, DeadlockError, TaskManager, TaskTimeout
from tasker.control import events as ev


def test_a_worker_that_is_stuck_before_it_is_known_to_be_ready() -> None:
    """Another one takes its place, and it serves again when it returns."""
    supervisor, task, known, managers = Gate(), Gate(), threading.Event(), []

    def create() -> object:
        assert known.wait(WAIT)
        if not supervisor.arrived:
            engine = managers[0]._engine
            engine.soon(supervisor.pass_through)  # what was reported before its ``WorkerReady``, and takes its time
            for _ in range(3):
                engine.report(ev.Wakeup())
        return object()

    managers.append(
        TaskManager(
            Config(on_create=create, worker_count=1, max_worker_count=1, cancel_grace=0.01, resource_pool_size=0)
        )
    )
    (manager,) = managers
    known.set()
    stuck = manager.submit(lambda ctx, resource: task.pass_through(), timeout=0.01)
    task.wait_arrivals(1)
    supervisor.wait_arrivals(1)
    threading.Event().wait(0.1)  # the timeout and the grace
    supervisor.open()
    assert isinstance(stuck.exception(WAIT), TaskTimeout)
    assert manager.submit(lambda ctx, resource: "served").result(WAIT) == "served"
    assert manager.stats().stuck_workers == 1
    task.open()
    wait_until(lambda: manager.stats().stuck_workers == 0)
    assert manager.stats().user_errors == 0
    assert Call(manager.stop).outcome(WAIT).killed is False


def test_a_check_that_ends_while_it_is_given_up() -> None:
    """The next check is struck in its place, so the worker ends; the supervisor knows, and another one takes its place."""
    first, second, checks = Gate(), Gate(), []

    def check(resource: object) -> None:
        checks.append(resource)
        if len(checks) <= 2:
            (first, second)[len(checks) - 1].pass_through()

    manager = TaskManager(
        Config(
            on_create=object,
            check_resource=check,
            check_after_idle=0,
            check_timeout=0.5,
            worker_count=1,
            max_worker_count=1,
            resource_pool_size=0,
        )
    )
    engine = manager._engine
    wait_until(lambda: manager.stats().active_workers == 1)
    (worker,) = engine.workers.values()

    def where(patience: float = 0.0) -> str:
        first.open()
        second.wait_arrivals(1)
        return ""

    worker.where = where  # type: ignore[method-assign]
    futures = [manager.submit(lambda ctx, resource: resource) for _ in range(2)]
    wait_until(lambda: worker.state.value == "stuck")
    second.open()
    assert futures[0].result(WAIT) is not futures[1].result(WAIT)
    worker.thread.join(WAIT)
    wait_until(lambda: worker.seat not in engine.workers)
    assert len(engine.supervisor.table.states) == 1
    assert (manager.stats().user_errors, manager.stats().stuck_workers) == (0, 0)
    assert Call(manager.stop).outcome(WAIT).killed is False


def test_the_end_in_a_signal_handler_that_has_interrupted_a_method() -> None:
    """It is refused: the supervisor would wait for the lock that the method below it has."""
    with TaskManager(Config(on_create=object, worker_count=1)) as manager:
        for end in (manager.stop, manager.kill, manager.pause):
            with manager._engine.counters.lock, pytest.raises(DeadlockError, match="stop_on_signals"):
                end()
        assert manager.queue_task(lambda ctx, resource: 7) == 7
