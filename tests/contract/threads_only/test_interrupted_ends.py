"""Ctrl-C while somebody waits for the end, several who end at once, and limits beyond all bounds."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.waiting import Call, wait_until


def interrupt_next_wait(m: Any, before: Callable[[], object] = lambda: None) -> None:
    """The next wait for the end of this manager is cut short, as by Ctrl-C."""
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
    """A second stop takes up where the interrupted one was."""
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


def test_ctrl_c_on_leaving_the_with_statement(threads: Any) -> None:
    """Whoever interrupts the stop at the end of `with` gets a kill: what runs is cancelled, and all is destroyed."""
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


@pytest.mark.parametrize("closers", [2, 4])
def test_several_stop_at_once(threads: Any, closers: int) -> None:
    """Each of them returns, and each resource is destroyed once."""
    resources, barrier = ScriptedResources(), threading.Barrier(closers)
    with threads.build(resources=resources, resource_pool_size=5) as m:

        def stop() -> Any:
            barrier.wait(20)
            return m.stop()

        calls = [Call(stop) for _ in range(closers)]
        assert [call.outcome().killed for call in calls] == [False] * closers
    resources.check_all_ended_once()


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("timeout", [math.inf, 1e10, threading.TIMEOUT_MAX * 2], ids=repr)
def test_an_endless_timeout(threads: Any, end: str, timeout: float) -> None:
    """A timeout longer than any wait of the system is a long one, and nothing else."""
    gate = threads.gate()
    with threads.build(resource_pool_size=1) as m:
        future = m.submit(threads.kit.holds(gate, "value"))
        gate.wait_arrivals(1)
        call = Call(getattr(m, end), timeout)
        wait_until(lambda: m.closed)
        gate.open()
        report = call.outcome()
        assert (report.killed, report.abandoned) == (end == "kill", ())
        assert future.result(20) == "value"
        assert m.stats().resources.alive == 0


@pytest.mark.parametrize("grace", [1e10, threading.TIMEOUT_MAX * 2], ids=repr)
def test_an_endless_grace(threads: Any, grace: float) -> None:
    """So is a cancel_grace, for kill() and for the stop() after it."""
    with threads.build(cancel_grace=grace) as m:
        assert m.submit(threads.kit.returns("value")).result(20) == "value"
        assert Call(m.kill).outcome().killed is True
        assert Call(m.stop).outcome().killed is True


def test_a_kill_that_left_tasks_behind_tells_how_long_it_took(threads: Any) -> None:
    """report.seconds of a kill that gave up at its timeout is that timeout, and a little more at most."""
    gate = threads.gate()
    with threads.build() as m:
        m.submit(threads.kit.holds(gate))
        gate.wait_arrivals(1)
        report = Call(m.kill, 0.2).outcome(20)
        assert len(report.abandoned) == 1
        assert 0.2 <= report.seconds < 20
        gate.open()


def test_a_kill_without_an_end_tells_how_long_it_took(threads: Any) -> None:
    """So it does where even the end could not be waited for, since an on_destroy of run_task's pool hangs."""
    gate = threads.gate()

    def destroy(resource: Any) -> None:
        if threading.current_thread() is m._engine.thread:
            gate.pass_through()

    with threads.build(on_create=object, on_destroy=destroy, resource_pool_size=1) as m:
        since = time.monotonic()
        report = Call(m.kill, 0.2).outcome(20)
        took = time.monotonic() - since
        assert gate.arrived == 1
        assert not m._engine.finished.is_set()
        assert 0.2 <= report.seconds <= took
        gate.open()
