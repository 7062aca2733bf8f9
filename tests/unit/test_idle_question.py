"""Tests the check whether anything is outstanding: one is pending at a time, and a new one can follow it."""

from __future__ import annotations

from typing import Any

from support.gates import Gate
from support.waiting import Call, wait_until
from tasker import Config, TaskManager
from tasker.threads.engine import Engine


def test_one_question_at_a_time() -> None:
    """However often it is requested, one check is in the inbox until it is made."""
    engine = Engine(Config(worker_count=1, on_create=object))
    for _ in range(10_000):
        engine.check_drained()
    assert engine._inbox.qsize() == 1


def test_ten_thousand_cancels_while_draining() -> None:
    """Tasks that are cancelled while the supervisor is busy leave one check, not one each, and it is then made."""
    manager: TaskManager[Any] = TaskManager(
        Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0)
    )
    engine, worker, supervisor = manager._engine, Gate(), Gate()
    manager.submit(lambda ctx, resource: worker.pass_through())
    worker.wait_arrivals(1)
    futures = [manager.submit(lambda ctx, resource: None) for _ in range(10_000)]
    stop = Call(manager.stop)
    wait_until(lambda: engine.view.phase.value == "draining")
    handle = engine.supervisor.handle

    def held(event: Any, now: float) -> Any:
        supervisor.pass_through()
        return handle(event, now)

    engine.supervisor.handle = held  # type: ignore[method-assign]
    manager.resize(max_worker_count=2)
    supervisor.wait_arrivals(1)
    before = engine._inbox.qsize()
    assert all(future.cancel() for future in futures)
    assert engine._inbox.qsize() <= before + 1
    supervisor.open()
    worker.open()
    assert stop.outcome().killed is False
    assert manager.stats().done_tasks == 10_001


def test_asked_again_after_the_answer() -> None:
    """A task that ends right after a check has found it outstanding causes another check, so stop() ends."""
    manager: TaskManager[Any] = TaskManager(
        Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0)
    )
    engine, gate = manager._engine, Gate()
    flow = engine.counters.flow
    ends: list[Any] = []

    def ends_behind_the_answer() -> Any:
        answer = flow()
        if engine.closed and ends:
            assert ends.pop().cancel()
        return answer

    manager.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    queued = manager.submit(lambda ctx, resource: None)
    ends.append(queued)
    engine.counters.flow = ends_behind_the_answer  # type: ignore[method-assign]
    stop = Call(manager.stop)
    wait_until(queued.cancelled)
    gate.open()
    assert stop.outcome().killed is False
