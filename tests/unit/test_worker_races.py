"""Tests the worker's loop against cancel, kill and abandonment, each forced at the moment of an append.

The engine is a real one that was never started, so only the steps of the test run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasker import Config, TaskKilled
from tasker.context import Context
from tasker.control.actions import Requeue
from tasker.control.events import AttemptFailed, Seat
from tasker.threads.engine import Engine
from tasker.threads.future import TaskFuture
from tasker.threads.future_log import DONE, RUN, Ending
from tasker.threads.queue import RETIRE
from tasker.threads.worker import Worker
from unit.hooks import HookedList


class Sick(Exception):
    """An error that is blamed on the resource."""


class Bench:
    """Holds one worker of an engine that does not run, and the tasks that it gets."""

    def __init__(self) -> None:
        self.engine = Engine(
            Config(
                worker_count=1,
                on_create=lambda: "resource",
                check_health=lambda error: not isinstance(error, Sick),
            )
        )
        self.worker = Worker(self.engine, Seat(1, 1))
        self.calls: list[object] = []
        self.worker.host.create()

    def submit(
        self,
        task: Callable[..., Any] | None = None,
        log: HookedList | None = None,
    ) -> TaskFuture[Any]:
        """Accepts a task, by default one that records its call."""
        number = next(iter(self.engine.counters.numbers))
        future: TaskFuture[Any] = TaskFuture._accepted(self.engine, number, task or self.task, (), queued_at=0.0)
        if log is not None:
            future._log = log
        self.engine.queue.put(future, 1)
        return future

    def task(self, ctx: Context, resource: object) -> str:
        """Records the call."""
        self.calls.append(resource)
        return "value"

    def serve(self) -> None:
        """Has the worker run all queued tasks, then retire."""
        self.engine.queue.tokens.put(RETIRE)
        self.worker.host.serve()
        if not self.engine.queue.tokens.empty() and not self.engine.queue.waiting():
            self.engine.queue.tokens.get()

    def give_back(self, log: HookedList) -> TaskFuture[Any]:
        """Accepts a task whose first attempt has failed unhealthily and that waits for the next one."""
        steps: list[BaseException | None] = [Sick(), None]

        def task(ctx: Context, resource: object) -> str:
            error = steps.pop(0)
            if error is not None:
                raise error
            return self.task(ctx, resource)

        future = self.submit(task, log)
        self.serve()
        assert list(log) == [RUN]
        reports = []
        while not self.engine._inbox.empty():
            reports.append(self.engine._inbox.get())
        assert [replace(event, age=0.0) for event in reports] == [
            AttemptFailed(Seat(1, 1), future, 1, once=False, harmed=1)
        ]
        self.engine.effects.carry_out(Requeue(future))
        assert list(log) == []
        return future

    def audit(self, done: int) -> None:
        """Asserts that this many tasks are done, and that none waits or runs."""
        flow = self.engine.counters.flow()
        assert (flow.accepted, flow.queued, flow.running, flow.done) == (done, 0, 0, done)


def at(mark: object, moment: str) -> tuple[HookedList, list[Callable[[], object]]]:
    """Makes a log whose hook runs, once armed, the given steps before or after that entry."""
    steps: list[Callable[[], object]] = []

    def run() -> None:
        for step in steps:
            step()

    return HookedList(when=lambda entry: bool(steps) and entry is mark, **{moment: run}), steps


def test_usual_log() -> None:
    """A task that succeeds leaves RUN and DONE in its log, and nothing else."""
    bench = Bench()
    future = bench.submit()
    bench.serve()
    assert (list(future._log), future.result(0), bench.calls) == ([RUN, DONE], "value", ["resource"])
    bench.audit(done=1)


@pytest.mark.parametrize("attempt", [1, 2])
def test_cancel_just_before_run(attempt: int) -> None:
    """A task that is cancelled just before it is started (again) does not run, and counts once."""
    bench = Bench()
    log, steps = at(RUN, "before")
    future = bench.submit(log=log) if attempt == 1 else bench.give_back(log)
    answers: list[bool] = []
    steps.append(lambda: answers.append(future.cancel()))
    bench.serve()
    assert (answers, future.cancelled(), bench.calls) == ([True], True, [])
    bench.audit(done=1)


@pytest.mark.parametrize("attempt", [1, 2])
def test_cancel_just_after_run(attempt: int) -> None:
    """A task that is cancelled just after it was started runs to its end."""
    bench = Bench()
    log, steps = at(RUN, "after")
    future = bench.submit(log=log) if attempt == 1 else bench.give_back(log)
    answers: list[bool] = []
    steps.append(lambda: answers.append(future.cancel()))
    bench.serve()
    assert (answers, future.result(0), bench.calls) == ([False], "value", ["resource"])
    bench.audit(done=1)


def test_cancel_while_it_runs() -> None:
    """A cancellation from inside the task cancels its Context, and the result stays."""
    bench = Bench()
    seen: list[object] = []

    def task(ctx: Context, resource: object) -> str:
        seen.extend((future.cancel(), ctx.cancelled, future.running()))
        return "value"

    future = bench.submit(task)
    bench.serve()
    assert (seen, future.result(0)) == ([False, True, True], "value")
    bench.audit(done=1)


def test_abandoned_just_before_done() -> None:
    """A task that is abandoned just before its end stays killed, and counts once."""
    bench = Bench()
    log, steps = at(DONE, "before")
    future = bench.submit(log=log)
    steps.append(lambda: future._end(Ending(TaskKilled("bye"), cancelled=True, forced=True)))
    bench.serve()
    assert future.cancelled()
    assert future._result is None
    bench.audit(done=1)


def test_outcome_is_in_the_books_before_it_is_seen() -> None:
    """A caller that has the result also finds it in the counters."""
    bench = Bench()
    future = bench.submit()
    seen: list[int] = []
    future.add_done_callback(lambda done: seen.append(bench.engine.counters.flow().done))
    bench.serve()
    assert seen == [1]


def test_nothing_is_kept() -> None:
    """After a task the worker holds neither it nor its context."""
    bench = Bench()
    future = bench.submit()
    bench.serve()
    assert bench.worker.shard.future is None
    assert future._task is None
