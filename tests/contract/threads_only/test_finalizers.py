"""Finalizers of what tasks hold: they may take long, and hold up neither a kill nor a time limit."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from support.gates import Gate
from support.waiting import WAIT, Call
from tasker import Config, Context, RetryPolicy, TaskManager, TaskTimeout
from tasker.threads import callbacks

with_gil = pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="without the GIL, CPython finalizes an object in the thread that has made it, which is that of the test",
)


class Slow:
    """An argument whose finalizer takes its time."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def __del__(self) -> None:
        self.gate.pass_through()


def manager() -> TaskManager[Any]:
    """One worker."""
    return TaskManager(
        Config(on_create=object, worker_count=1, max_worker_count=1, resource_pool_size=0, cancel_grace=0.05)
    )


def ignore(ctx: Context, resource: object, argument: object) -> None:
    """A task."""


@with_gil
def test_a_kill() -> None:
    """It ends all tasks by its deadline, and its report names what still runs."""
    gate, running = Gate(), Gate()
    pool = manager()
    held = pool.submit(lambda ctx, resource: running.pass_through())
    running.wait_arrivals(1)
    futures = [pool.submit(ignore, Slow(gate)) for _ in range(20)]
    report = Call(lambda: pool.kill(0.3)).outcome(WAIT)
    assert (report.killed, report.killed_tasks) == (True, 21)
    assert all(future.cancelled() for future in [held, *futures])
    assert "a finalizer of an argument" in report.abandoned
    gate.wait_arrivals(1)
    gate.open()
    running.open()


@with_gil
def test_a_deadline() -> None:
    """A task that waits ends by it, and the one that runs by its own limit; a stop waits for the finalizers."""
    gate, running = Gate(), Gate()
    pool = manager()
    held = pool.submit(lambda ctx, resource: running.pass_through(), timeout=0.3)
    futures = [pool.submit(ignore, Slow(gate), deadline=0.05) for _ in range(3)]
    for future in [*futures, held]:
        with pytest.raises(TaskTimeout):
            future.result(WAIT)
    gate.wait_arrivals(1)
    running.open()
    stop = Call(pool.stop)
    threading.Event().wait(0.1)
    assert not stop.returned
    gate.open()
    assert stop.outcome(WAIT).killed is False


def test_no_thread_for_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed tasks held is dropped by few threads: to start one costs more than such a task."""
    monkeypatch.setattr(callbacks, "PATIENCE", WAIT)  # however slow this machine is
    started: list[str] = []
    pool = manager()
    real = pool._engine._helpers.start

    def start(*args: Any, **options: Any) -> Any:
        started.append(args[1])
        return real(*args, **options)

    pool._engine._helpers.start = start  # type: ignore[method-assign]

    def fails(ctx: Context, resource: object) -> None:
        raise ValueError

    for _ in range(300):
        assert (
            type(pool.submit(fails, retry=RetryPolicy(max_retries=1, retry_on=ValueError)).exception(WAIT)) is not None
        )
    assert len(started) < 60
    assert Call(pool.stop).outcome(WAIT).killed is False
