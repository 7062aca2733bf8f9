"""Ctrl-C while a thread waits for the end of its manager, and an end that never comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from unit.interrupts import each_moment

from support.observers import RecordingLogger
from support.resources import ScriptedResources
from support.waiting import Call
from tasker import TaskManager
from tasker.threads.engine import Engine


def interrupt_next_wait(m: Any, before: Callable[[], object] = lambda: None) -> None:
    """Interrupt the next wait for the end of this manager, as Ctrl-C does."""
    finished = m._engine.finished
    real = finished.wait

    def wait(timeout: float | None = None) -> bool:
        finished.wait = real
        before()
        raise KeyboardInterrupt

    finished.wait = wait


def test_ctrl_c_in_stop_then_kill(threads: Any) -> None:
    """A stop that was interrupted leaves the pool of run_task to the kill that follows, which destroys it."""
    resources, gate = ScriptedResources(), threads.gate()
    with threads.build(resources=resources, resource_pool_size=3) as m:
        m.submit(threads.kit.until_cancelled(gate))
        gate.wait_arrivals(1)
        interrupt_next_wait(m)
        with pytest.raises(KeyboardInterrupt):
            m.stop()
        report = m.kill(10)
        assert (report.killed, report.abandoned) == (True, ())
        assert resources.alive == []
        assert m.stats().resources.alive == 0


def test_ctrl_c_in_stop_then_stop(threads: Any) -> None:
    """A second stop goes on where the first one was interrupted."""
    resources, gate = ScriptedResources(), threads.gate()
    with threads.build(resources=resources, resource_pool_size=2) as m:
        future = m.submit(threads.kit.holds(gate, "value"))
        gate.wait_arrivals(1)
        interrupt_next_wait(m)
        with pytest.raises(KeyboardInterrupt):
            m.stop()
        gate.open()
        assert Call(m.stop).outcome().killed is False
        assert future.result(0) == "value"
        assert resources.alive == []


def test_ctrl_c_at_each_moment_of_a_stop_that_hands_back(threads: Any) -> None:
    """Where no stop has begun, the manager works on as before; else it takes no more tasks, and a second stop ends it."""
    managers: list[Any] = []

    def stop() -> None:
        managers[-1].stop(hand_back=True)

    managers.append(threads.build())
    open_ones = 0
    steps = (TaskManager.stop, TaskManager._end, Engine.end, Engine.close, Engine.report, Engine.request_stop)
    for where, _, error in each_moment(stop, *steps):
        m = managers.pop()
        assert where is None or isinstance(error, KeyboardInterrupt)
        if not m.closed:
            open_ones += 1
            assert m.submit(lambda ctx, resource: "ran").result(20) == "ran", where
        assert Call(m.stop).outcome().killed is False
        managers.append(threads.build())
    managers.pop().stop()
    assert open_ones > 3


def test_ctrl_c_on_leaving_the_with_statement(threads: Any) -> None:
    """Interrupted at the end of `with`, the stop becomes a kill: what runs is cancelled, and every resource is destroyed."""
    resources, gate = ScriptedResources(), threads.gate()
    m = threads.build(resources=resources, resource_pool_size=1)
    with pytest.raises(KeyboardInterrupt), m:
        running = m.submit(threads.kit.until_cancelled(gate))
        gate.wait_arrivals(1)
        queued = m.submit(threads.kit.returns())
        interrupt_next_wait(m)
    assert running.cancelled()
    assert queued.cancelled()
    assert m.stats().resources.alive == 0
    assert m.stop().killed is True


def test_a_kill_whose_end_never_comes(threads: Any) -> None:
    """It returns after its timeout, and its report has that time, though the logger hangs in the supervisor's thread."""
    gate = threads.gate()

    class Hangs(RecordingLogger):
        def info(self, msg: str, *args: object) -> None:
            if threading.current_thread() is m._engine.thread:
                gate.pass_through()

    with threads.build(on_create=object, logger=Hangs()) as m:
        since = time.monotonic()
        report = Call(m.kill, 0.2).outcome(20)
        took = time.monotonic() - since
        assert gate.arrived == 1
        assert not m._engine.finished.is_set()
        assert 0.2 <= report.seconds <= took
        gate.open()
