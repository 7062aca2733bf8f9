"""cancel() that is interrupted half-way, in a manager that has a waiter, a bounded queue and a stop to come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from support.waiting import Call
from tasker import TaskCancelled


def at(depth: int, fn: Callable[[], object]) -> object:
    """Call `fn` that deep in the stack."""
    return fn() if depth <= 0 else at(depth - 1, fn)


def test_near_the_recursion_limit(threads: Any) -> None:
    """Whatever the cancellation had not done yet is done at the latest by the worker: waiters wake up, callbacks are called, slots
    are free again, and stop() returns."""
    gate, called = threads.gate(), []
    limit = sys.getrecursionlimit()
    with threads.build(max_queue_size=300) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        failed = []
        sys.setrecursionlimit(500)
        try:
            for depth in range(500, 300, -1):
                future = m.submit(lambda ctx, resource: None, callback=lambda value, error: called.append(error))
                try:
                    at(depth, future.cancel)
                except RecursionError:
                    failed.append(future)
        finally:
            sys.setrecursionlimit(limit)
        assert failed
        waits = [Call(future.result) for future in failed]
        gate.open()
        # Those whose ending did not get into the log at all have run.
        for wait in waits:
            try:
                wait.outcome(20)
            except TaskCancelled:
                pass
        assert Call(m.stop).outcome(20).killed is False
        assert len(called) == 200
        stats = m.stats()
        assert (stats.accepted_tasks, stats.done_tasks, stats.queued_tasks, stats.running_tasks) == (201, 201, 0, 0)
        assert m._engine.queue_slots._free == 300


@pytest.mark.parametrize("tasks", [300])
def test_shutdown_of_a_view_wakes_up_once(threads: Any, tasks: int) -> None:
    """Not at the end of each pending task, which costs O(tasks) each time."""
    gate, wakeups = threads.gate(), []
    with threads.build() as m:
        view = m.as_executor()
        view.submit(gate.pass_through)
        for _ in range(tasks):
            view.submit(int)
        view._waiting.append(SimpleNamespace(put=wakeups.append))
        shutdown = Call(view.shutdown)
        gate.open()
        shutdown.outcome(20)
        assert len(wakeups) <= 2
