"""Callbacks of ``Context.on_cancel`` at a kill: they may hang or raise, the kill goes on."""

from __future__ import annotations

from typing import Any

import pytest

from support.observers import RecordingLogger
from support.waiting import Call, wait_until
from tasker.context import Context


def test_a_callback_that_blocks_holds_up_no_kill(threads: Any) -> None:
    """kill() returns within its timeout though a callback hangs; the task that hangs is abandoned."""
    gate, task_gate = threads.gate(), threads.gate()

    def hangs(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(gate.pass_through)
        task_gate.pass_through()

    with threads.build() as m:
        future = m.submit(hangs)
        task_gate.wait_arrivals(1)
        report = Call(m.kill, 0.3).outcome(20)
        assert (report.killed, report.killed_tasks, len(report.abandoned)) == (True, 1, 1)
        assert future.cancelled()
        assert gate.arrived == 1
        assert not gate.is_open
        assert Call(m.stop).outcome(20).killed is True, "a stop after it does not wait for the callback either"
        gate.open()
        task_gate.open()


def test_sleepers_wake_before_callbacks(threads: Any) -> None:
    """Who sleeps in ctx.wait() notices the kill though a callback that was there before hangs."""
    gate, waits = threads.gate(), threads.gate()

    def hangs(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(gate.pass_through)
        waits.arrive()
        gate.pass_through()

    def sleeps(ctx: Any, resource: Any) -> str:
        waits.arrive()
        return "noticed" if ctx.wait(60) else "overslept"

    with threads.build(worker_count=2) as m:
        m.submit(hangs)
        waits.wait_arrivals(1)
        sleeper = m.submit(sleeps)
        waits.wait_arrivals(2)
        kill = Call(m.kill, 20)
        assert sleeper.result(15) == "noticed"
        gate.open()
        kill.outcome()


def test_order_of_waking() -> None:
    """Sleepers are woken first, then callbacks are called in the order of their registration."""
    root = Context()
    order: list[str] = []
    sleepers: list[Call] = []

    def first() -> None:
        assert sleepers[0].outcome() is True, "it was woken although it came later"
        order.append("first")

    root.on_cancel(first)
    sleepers.append(Call(root.child().wait, 60))
    wait_until(lambda: len(root._watchers) == 2)
    root.on_cancel(lambda: order.append("last"))
    Call(root.cancel).outcome()
    assert order == ["first", "last"]


@pytest.mark.parametrize("error", [SystemExit(1), ValueError("callback"), KeyboardInterrupt()], ids=repr)
def test_a_callback_that_raises_is_logged(threads: Any, error: BaseException) -> None:
    """What a callback raises at a kill is logged; the other callbacks are called, and the kill ends."""
    logger, called = RecordingLogger(), []
    begun = threads.gate()

    def raises() -> None:
        raise error

    def task(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(raises)
        ctx.on_cancel(lambda: called.append("next"))
        begun.arrive()
        assert ctx.wait(60)
        ctx.raise_if_cancelled()

    with threads.build(logger=logger) as m:
        future = m.submit(task)
        begun.wait_arrivals(1)
        report = Call(m.kill, 10).outcome(20)
        assert (report.killed, report.abandoned) == (True, ())
        assert future.cancelled()
        wait_until(lambda: called == ["next"])
        wait_until(lambda: "a callback of Context.on_cancel raised" in logger.text("error"))
