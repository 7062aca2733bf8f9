"""Frames of a live view, the tails of a history, and the pace of readings."""

from __future__ import annotations

from math import isnan, nan
from typing import Any

import pytest

from support.waiting import wait_until
from tasker import AsyncTaskManager, Config, TaskManager
from tasker.metrics.histogram import Histogram
from tasker.stats import TaskStats
from tasker.watch.frame import frame_of
from tasker.watch.history import Recorder
from tasker.watch.pacing import pause
from tasker.watch.reading import PoolReading
from tasker.watch.watch import PoolWatch

CONFIG: Config[Any] = Config(name="pool", on_create=object, worker_count=2, max_worker_count=3, burst_interval=0)


def fails(ctx: Any, resource: Any, number: int) -> None:
    raise ValueError(f"number {number}")


def test_a_frame_has_what_the_watch_knows() -> None:
    """Numbers, workers, failures and decisions, the last ones first; there are no rates before the first step is over."""
    with TaskManager(CONFIG) as manager:
        watch = PoolWatch(manager)
        for number in range(3):
            assert manager.submit(fails, number).exception() is not None
        watch.sample()
        frame = frame_of(watch)
        assert (frame.name, frame.state, frame.least, frame.most, frame.target) == ("pool", "running", 2, 3, 2)
        assert [(one.type, one.message, one.count) for one in frame.failures] == [
            ("ValueError", "number 2", 1),
            ("ValueError", "number 1", 1),
            ("ValueError", "number 0", 1),
        ]
        assert [one.target for one in frame.decisions] == [2]
        assert [one.name for one in frame.workers] == ["pool-1", "pool-2"]
        assert frame.rates is None
        assert isnan(frame.waits.p95)
        manager.resize(max_worker_count=2, worker_count=1)
        wait_until(lambda: watch.sample() and len(watch.decisions) > 1, what="the decision")
        assert [one.target for one in frame_of(watch).decisions] == [1, 2]
    watch.sample()
    assert frame_of(watch).state == "ended"
    watch.close()


def test_rates_and_durations_are_of_the_last_steps() -> None:
    """The figures are of the last step in which a task has ended; the line has a gap where none has."""
    with TaskManager(CONFIG) as manager:
        watch = PoolWatch(manager)
        total = Histogram()
        watch.history.add(PoolReading(0))
        for second, values in enumerate(([1.0], [2.0, 4.0], []), 1):
            total = _with(total, values)
            watch.history.add(PoolReading(second, TaskStats(accepted_tasks=second * 5), executions=total))
        frame = frame_of(watch)
    watch.close()
    assert frame.rates is not None
    assert frame.rates.arrivals == 5
    assert (frame.executions.p50, frame.executions.p95) == (pytest.approx(2, rel=0.03), pytest.approx(4, rel=0.03))
    assert frame.executions.line == pytest.approx((1.0, 4.0, nan), rel=0.03, nan_ok=True)
    assert all(map(isnan, frame.waits.line))


def _with(before: Histogram, values: list[float]) -> Histogram:
    after = Histogram()
    after.merge(before)
    after.add_all(values)
    return after


def test_a_manager_that_has_not_started() -> None:
    """Has a frame without workers."""
    watch = PoolWatch(AsyncTaskManager(CONFIG))
    watch.sample()
    frame = frame_of(watch)
    assert (frame.state, frame.workers, frame.decisions, frame.target) == ("not started", (), (), 0)


def test_the_tail_of_a_recorder() -> None:
    """The last values of a column, across the end of the ring; fewer where there are fewer."""
    recorder = Recorder(1.0, 3)
    assert recorder.tail("arrivals", 2) == []
    recorder.add(PoolReading(0))
    accepted = 0
    for second in range(1, 6):
        accepted += second
        recorder.add(PoolReading(second, TaskStats(accepted_tasks=accepted)))
    assert recorder.tail("arrivals", 2) == [4, 5]
    assert recorder.tail("arrivals", 9) == [3, 4, 5]


def test_readings_get_rarer_where_they_cost_much() -> None:
    """The interval is kept up to 2% of a processor. A reading that takes long because the machine is busy costs no more."""
    assert pause(1.0, 0.01, 0.01) == 0.99
    assert pause(1.0, 0.1, 0.1) == pytest.approx(5.0)
    assert pause(1.0, 3.0, 0.001) == pytest.approx(0.05)
    assert pause(1.0, 3.0, 3.0) == 10.0
