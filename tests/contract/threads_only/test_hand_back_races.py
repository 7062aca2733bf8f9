"""A stop that hands back, where an idle worker is quicker than the supervisor."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from support.waiting import WAIT, Call, wait_until
from tasker import Health, Priority, RetryPolicy, TaskHandedBack

LONG_ENOUGH = 0.2
"""Seconds in which an idle worker would start what is queued."""


def test_a_retry_is_not_started_by_an_idle_worker(threads: Any) -> None:
    """It is queued again during the stop, and handed back, though a worker waits for tasks."""
    gate, again, starts = threads.gate(), threading.Event(), []

    def task(ctx: Any, resource: Any) -> None:
        starts.append(1)
        if len(starts) > 1:
            again.set()
        gate.pass_through()
        raise OSError("its own")

    with threads.build(worker_count=2, retry=RetryPolicy(retry_on=OSError)) as m:
        future = m.submit(task)
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None).result(WAIT)  # by the worker that is idle from here on
        engine = m._engine
        queued = engine.enqueue

        def enqueue(task: Any, priority: Priority) -> None:
            queued(task, priority)
            again.wait(LONG_ENOUGH)

        engine.enqueue = enqueue
        stopping = Call(m.stop, hand_back=True)
        wait_until(lambda: engine.closed and not engine.hold._holds)
        gate.open()
        report = stopping.outcome()
        assert len(starts) == 1
        assert [one.attempts for one in report.handed_back] == [1]
        with pytest.raises(TaskHandedBack):
            future.result(0)


def test_a_worker_that_cools_down_is_not_woken_before_it_is_held(threads: Any) -> None:
    """A plain stop ends its pause. This one leaves it in peace: what is queued comes back."""
    cool = Health.COOL_DOWN(60.0)
    with threads.build(worker_count=1, max_worker_count=1, max_retries=0, check_health=lambda error: cool) as m:
        engine = m._engine

        def fail(ctx: Any, resource: Any) -> None:
            raise OSError("429")

        m.submit(fail).exception(WAIT)
        wait_until(lambda: m.stats().cooling_workers == 1)
        ran: list[int] = []
        for n in range(5):
            m.submit(lambda ctx, resource, n: ran.append(n), n)
        begin, still = engine.request_stop, []

        def later(*args: Any) -> None:
            still.append(
                all(alarm.empty() for alarm in engine.queue.cooling._alarms) and m.stats().cooling_workers == 1
            )
            begin(*args)

        engine.request_stop = later
        report = Call(m.stop, hand_back=True).outcome(20)
        assert (still, len(report.handed_back), ran) == ([True], 5, [])
