"""A task that is cancelled while an attempt runs, or in the moment in which that goes back."""

from __future__ import annotations

from typing import Any

import pytest
from unit.hooks import HookedList

from support.waiting import Call, wait_until
from tasker import TaskCancelled
from tasker.threads.future_log import BACK


def audit(m: Any, done: int) -> None:
    """The books: so many tasks are done, none waits, none runs."""
    stats = m.stats()
    tasks = (stats.accepted_tasks, stats.queued_tasks + stats.priority_tasks, stats.running_tasks, stats.done_tasks)
    assert tasks == (done, 0, 0, done)


def test_cancelled_right_after_its_way_back(threads: Any) -> None:
    """A cancel right after the attempt's return is no accident of the worker's: it is replaced as always, and the task
    is not started again."""
    gate = threads.gate()
    answers: list[bool] = []

    def sick(ctx: Any, resource: Any) -> None:
        gate.pass_through()
        raise OSError

    def cancel() -> None:
        answers.append(Call(future.cancel).outcome())

    with threads.build(check_health=lambda error: not isinstance(error, OSError)) as m:
        future = m.submit(sick)
        gate.wait_arrivals(1)
        future._log = HookedList(future._log, when=lambda entry: entry is BACK, after=cancel)
        gate.open()
        with pytest.raises(TaskCancelled):
            future.result(20)
        assert m.submit(lambda ctx, resource: "next").result(20) == "next"
        wait_until(lambda: m.stats().replaced_workers == 1, what="the supervisor heard of the attempt")
        assert (answers, future.attempts, gate.arrived) == ([True], 1, 1)
        audit(m, done=2)
        assert Call(m.stop).outcome().killed is False
        assert m.stats().resources.created == 2


def test_cancelled_right_before_its_way_back(threads: Any) -> None:
    """A cancel that comes while the failed attempt still counts as running is one of a running task: no retry."""
    gate = threads.gate()

    def sick(ctx: Any, resource: Any) -> None:
        gate.pass_through()
        raise OSError

    with threads.build(check_health=lambda error: not isinstance(error, OSError)) as m:
        future = m.submit(sick)
        gate.wait_arrivals(1)
        future._log = HookedList(
            future._log, when=lambda entry: entry is BACK, before=lambda: Call(future.cancel).outcome()
        )
        gate.open()
        assert isinstance(future.exception(20), OSError)
        assert future.attempts == 1
        audit(m, done=1)


def test_cancelled_while_it_runs(threads: Any) -> None:
    """A running task that was cancelled and then leaves its resource unhealthy is not started again: it ends with its
    own error."""
    gate = threads.gate()

    def interrupted(ctx: Any, resource: Any) -> None:
        gate.pass_through()
        assert ctx.cancelled
        raise ConnectionError("closed under me")

    with threads.build(check_health=lambda error: False, max_retries=3) as m:
        future = m.submit(interrupted)
        gate.wait_arrivals(1)
        assert future.cancel() is False
        gate.open()
        assert isinstance(future.exception(20), ConnectionError)
        assert (future.attempts, future.cancelled()) == (1, False)
        wait_until(lambda: m.stats().replaced_workers == 1)
        audit(m, done=1)


def test_cancelled_between_two_attempts(threads: Any) -> None:
    """A task that waits for its next attempt is cancelled as one that waits for its first."""
    gate = threads.gate()
    made = 0

    def create() -> object:
        nonlocal made
        made += 1
        if made > 1:
            gate.pass_through()
        return object()

    def sick(ctx: Any, resource: Any) -> None:
        raise OSError

    with threads.build(on_create=create, check_health=lambda error: False) as m:
        future = m.submit(sick)
        gate.wait_arrivals(1)
        wait_until(lambda: m.stats().priority_tasks == 1)
        assert future.cancel() is True
        gate.open()
        with pytest.raises(TaskCancelled):
            future.result(20)
        assert future.attempts == 1
        assert m.queue_task(lambda ctx, resource: "next") == "next"
        audit(m, done=2)
