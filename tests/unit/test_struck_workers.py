"""An asynchronous exception that strikes a worker where it has no task of its own: no other task pays for it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import WAIT, Call, wait_until
from tasker import Config, TaskManager
from tasker.control import events as ev
from tasker.core import tombstones


class Struck(BaseException):
    """What strikes."""


def manager_of(workers: int = 1) -> TaskManager[Any]:
    """A manager whose workers are all there."""
    manager = TaskManager(
        Config(
            on_create=object,
            check_health=lambda error: not isinstance(error, OSError),
            worker_count=workers,
            max_worker_count=workers,
            max_retries=0,
        )
    )
    wait_until(lambda: manager.stats().active_workers == workers)
    return manager


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_task_that_was_cancelled_in_the_queue(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted once, by whoever has cancelled it, although its worker is lost while it drops it."""
    monkeypatch.setattr(tombstones, "LONG", 0)  # it stays in the queue, as in a long one
    manager, gate = manager_of(), Gate()
    engine = manager._engine
    (worker,) = engine.workers.values()
    skip = worker.skip

    def struck(future: Any) -> None:
        if when == "after":
            skip(future)
        raise Struck

    worker.skip = struck  # type: ignore[method-assign]
    held = manager.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    cancelled = manager.submit(lambda ctx, resource: None)
    assert cancelled.cancel()
    gate.open()
    held.result(WAIT)
    assert manager.submit(lambda ctx, resource: "served").result(WAIT) == "served"
    assert worker not in engine.workers.values()
    flow = engine.counters.flow()
    assert (flow.accepted, flow.queued, flow.running, flow.done) == (3, 0, 0, 3)
    report = Call(manager.stop).outcome(WAIT)
    assert (report.completed_tasks, report.failed_tasks, report.cancelled_tasks) == (2, 0, 1)


def test_after_its_last_report() -> None:
    """The task of the next worker in its place goes on."""
    manager, gate = manager_of(), Gate()
    engine = manager._engine
    (worker,) = engine.workers.values()
    report, ended = engine.report, threading.Event()

    def report_and_be_struck(event: ev.Event) -> None:
        report(event)
        if threading.current_thread() is worker.thread and isinstance(event, ev.WorkerEnded):
            gate.wait_arrivals(1)
            ended.set()
            raise Struck

    engine.report = report_and_be_struck  # type: ignore[method-assign]

    def unhealthy(ctx: Any, resource: Any) -> None:
        raise OSError

    assert manager.submit(unhealthy).exception(WAIT) is not None
    innocent = manager.submit(lambda ctx, resource: gate.pass_through())
    assert ended.wait(WAIT)
    worker.thread.join(WAIT)
    assert not innocent.done()
    gate.open()
    assert innocent.result(WAIT) is None
    flow = engine.counters.flow()
    assert (flow.accepted, flow.queued, flow.running, flow.done) == (2, 0, 0, 2)
    assert Call(manager.stop).outcome(WAIT).killed is False
