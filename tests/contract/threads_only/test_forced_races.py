"""Races between threads, each forced at the one step where it matters."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from unit.hooks import HookedList

from support.resources import ScriptedResources
from support.waiting import WAIT, Call, wait_until
from tasker import (
    Config,
    Context,
    Health,
    ShutdownError,
    TaskCancelled,
    TaskKilled,
    TaskManager,
    TaskTimeout,
    WorkerInfo,
)
from tasker.control import events as ev
from tasker.control.workers import WorkerState
from tasker.core import engine as engine_core
from tasker.threads.future_log import BACK, RUN
from tasker.threads.queue import CALL
from tasker.threads.queue_slots import QueueSlots


def sick_at(gate: Any) -> Any:
    """A task that waits at a gate and then fails unhealthily."""

    def sick(ctx: Any, resource: Any) -> None:
        gate.pass_through()
        raise OSError

    return sick


def counts(m: Any) -> tuple[int, int, int, int]:
    """Tasks that were accepted, that wait, that run, and that are done."""
    stats = m.stats()
    return stats.accepted_tasks, stats.queued_tasks + stats.priority_tasks, stats.running_tasks, stats.done_tasks


def test_a_cancel_right_after_the_attempt_went_back(threads: Any) -> None:
    """The task is not started again, and its worker is replaced as always."""
    gate = threads.gate()
    answers: list[bool] = []

    def cancel() -> None:
        answers.append(Call(future.cancel).outcome())

    with threads.build(check_health=lambda error: not isinstance(error, OSError)) as m:
        future = m.submit(sick_at(gate))
        gate.wait_arrivals(1)
        future._log = HookedList(future._log, when=lambda entry: entry is BACK, after=cancel)
        gate.open()
        with pytest.raises(TaskCancelled):
            future.result(20)
        assert m.submit(lambda ctx, resource: "next").result(20) == "next"
        wait_until(lambda: m.stats().replaced_workers == 1, what="the attempt was reported to the supervisor")
        assert (answers, future.attempts, gate.arrived) == ([True], 1, 1)
        assert counts(m) == (2, 0, 0, 2)
        assert Call(m.stop).outcome().killed is False
        assert m.stats().resources.created == 2


def test_a_cancel_right_before_the_attempt_goes_back(threads: Any) -> None:
    """A cancel that comes while the failed attempt still counts as running is one of a running task: no retry."""
    gate = threads.gate()
    with threads.build(check_health=lambda error: not isinstance(error, OSError)) as m:
        future = m.submit(sick_at(gate))
        gate.wait_arrivals(1)
        future._log = HookedList(
            future._log, when=lambda entry: entry is BACK, before=lambda: Call(future.cancel).outcome()
        )
        gate.open()
        assert isinstance(future.exception(20), OSError)
        assert future.attempts == 1
        assert counts(m) == (1, 0, 0, 1)


def test_a_place_that_changes_hands_while_it_is_counted(threads: Any) -> None:
    """A task that is cancelled, and the next one in its place, are not both counted as queued by `stats()`."""
    gate = threads.gate()
    with threads.build(max_queue_size=1) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        first = m.submit(lambda ctx, resource: None)
        counters = m._engine.counters
        numbers = counters.numbers

        class TakenOver:
            """Reads the numbers right after the place changed hands."""

            def value(self) -> int:
                counters.numbers = numbers
                assert first.cancel()
                m.submit(lambda ctx, resource: None, block=False)
                return int(numbers.value())

        counters.numbers = TakenOver()
        stats = m.stats()
        gate.open()
        assert stats.queued_tasks + stats.priority_tasks == 1
    assert m.stats().accepted_tasks == m.stats().done_tasks == 3


def ignore(*_: object) -> None:
    """Stands in for the functions that are called around a wait."""


def test_closed_queue_slots_let_every_caller_pass() -> None:
    """Both those that waited when they were closed and those that come later."""
    slots = QueueSlots(1)
    slots.acquire(False, None, ignore, ignore)
    early = Call(slots.acquire, True, None, ignore, ignore)
    wait_until(lambda: slots._waiting)
    slots.close()
    early.outcome()
    for _ in range(3):
        Call(slots.acquire, True, None, ignore, ignore).outcome()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_submit_that_found_the_manager_open_just_before_it_closed(threads: Any, end: str) -> None:
    """If it lines up for a place after the manager was closed, it raises ShutdownError."""
    gate = threads.gate()
    with threads.build(max_queue_size=1) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None)
        slots = m._engine.queue_slots
        real = slots.acquire
        ends: list[Call] = []

        def closed_meanwhile(*args: Any) -> None:
            if not ends:
                ends.append(Call(getattr(m, end), 20))
                wait_until(lambda: slots._closed)
            real(*args)

        slots.acquire = closed_meanwhile
        late = [Call(m.submit, lambda ctx, resource: None) for _ in range(3)]
        for call in late:
            with pytest.raises(ShutdownError):
                call.outcome(20)
        gate.open()
        ends[0].outcome()
        assert m.stats().accepted_tasks == m.stats().done_tasks == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_deadline_of_a_kill_while_a_task_is_about_to_start(threads: Any, moment: str) -> None:
    """A task that a worker has taken from the queue, and not begun, ends with TaskKilled, and is counted as done."""
    gate = threads.gate()

    def kill() -> None:
        assert Call(m.kill, 0).outcome().killed

    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        future = m.submit(lambda ctx, resource: gate.pass_through())
        future._log = HookedList(when=lambda entry: entry is RUN, **{moment: kill})
        gate.open()
        with pytest.raises(TaskKilled):
            future.result(20)
        wait_until(lambda: counts(m) == (2, 0, 0, 2))
        assert (gate.arrived, m.metrics().total_tasks_failed) == (1, 0)


def test_the_deadline_of_a_kill_while_a_worker_begins_to_serve(threads: Any) -> None:
    """A worker that has found that it is not to be dropped, and is abandoned before the supervisor learns of that, ends and
    destroys its resource."""
    gate = threads.gate()
    with threads.build(worker_count=1, max_worker_count=1) as m:
        wait_until(lambda: m.stats().active_workers == 1)
        report = m._engine.report

        def reports(event: Any) -> None:
            if type(event) is ev.WorkerReady:
                gate.pass_through()
            report(event)

        m._engine.report = reports
        m.resize(worker_count=2, max_worker_count=2)
        gate.wait_arrivals(1)
        report_of_kill = Call(m.kill, 0.1).outcome(20)
        # The other one has ended by then, unless there was no processor for it.
        assert f"{m.name}-2 (between two tasks)" in report_of_kill.abandoned
        gate.open()
        wait_until(lambda: m.stats().resources.alive == 0)


class LetsGo:
    """Lets everything happen while the supervisor is about to give a worker up: the last task ends, and the worker gets its
    resource and serves."""

    def __init__(self) -> None:
        self.created, self.ended = threading.Event(), threading.Event()
        self.engine: Any = None

    def debug(self, message: object, *args: object) -> None:
        """Nothing."""

    info = error = debug

    def warning(self, message: object, *args: object) -> None:
        """The first thing that is said about it comes before it is carried out."""
        if "is at" not in str(message) or self.created.is_set():
            return
        self.ended.set()
        wait_until(lambda: self.engine.counters.flow().done == 1, WAIT)
        self.created.set()
        wait_until(lambda: [w.state for w in [*self.engine.workers.values()]] == [WorkerState.READY], WAIT)


def test_a_worker_that_has_its_resource_as_it_is_given_up() -> None:
    """It serves, though a stop has given it up: it retires, and its resource is destroyed."""
    logger, destroyed = LetsGo(), []

    def create(worker: WorkerInfo) -> str:
        if worker.slot:
            logger.created.wait(WAIT)
        return worker.name

    config = Config(
        on_create=create,
        on_destroy=destroyed.append,
        worker_count=1,
        max_worker_count=1,
        max_stuck_workers=0,
        create_timeout=0.3,
        burst_interval=0,
        logger=logger,
        name="late",
    )
    with TaskManager(config) as manager:
        logger.engine = manager._engine
        started = threading.Event()

        def hold(ctx: Context, resource: str) -> None:
            started.set()
            logger.ended.wait(WAIT)

        running = Call(manager.run_task, hold)
        assert started.wait(WAIT)
        report = Call(manager.stop).outcome(WAIT)
        running.outcome(WAIT)
        assert not report.killed
        wait_until(lambda: sorted(destroyed) == ["late-1", "late-run_task"], WAIT)
        wait_until(lambda: manager.stats().resources.alive == 0, WAIT)


def test_a_deadline_that_passes_during_the_submission(threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the task once it is queued, and once: its callback hears of it, and the numbers are right."""
    calls: list[Any] = []
    looked = threading.Event()
    gate = threads.gate()
    with threads.build(worker_count=1) as m:
        engine = m._engine
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)

        def look() -> None:
            engine.limits.next_look(0.0)
            engine.limits.look(engine.now() + 100.0)
            looked.set()

        def check(callback: Any, retry: Any) -> None:
            if not looked.is_set():
                engine.soon(look)
                assert looked.wait(WAIT)

        monkeypatch.setattr("tasker.manager.check_rare", check)
        future = m.submit(
            lambda ctx, resource: 1, deadline=0.01, callback=lambda value, error: calls.append(type(error))
        )
        assert looked.is_set()
        assert type(future.exception(20)) is TaskTimeout
        gate.open()
        assert Call(m.stop).outcome().killed is False
        assert calls == [TaskTimeout]
        assert counts(m) == (2, 0, 0, 2)


def test_two_resizes_of_one_bound_each(threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them undoes the other's, though the second comes while the first one makes up its mind."""
    real, calls = engine_core.new_bounds, []

    def slow(config: Any, bounds: tuple[int, int], base: int | None, most: int | None) -> tuple[int, int]:
        if base is not None:
            calls.append(Call(m.resize, max_worker_count=7))
            with contextlib.suppress(AssertionError):
                wait_until(lambda: calls[0].returned, 0.2)  # it waits for this one, if it is right
        return real(config, bounds, base, most)

    with threads.build(worker_count=1, max_worker_count=4) as m:
        monkeypatch.setattr(engine_core, "new_bounds", slow)
        m.resize(worker_count=2)
        calls[0].outcome()
        wait_until(lambda: (m.explain().worker_count, m.explain().max_worker_count) == (2, 7))


@pytest.mark.parametrize("why", ["held", "cools"])
def test_a_worker_that_takes_no_task_is_called(threads: Any, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """One that was held by a pause from its start, or cools down, is awake before the call is in the queue: it leaves, and takes
    no task with its old resource."""
    gate, ran, resources = threads.gate(), [], ScriptedResources()

    def create() -> Any:
        gate.pass_through()
        return resources.create()

    def fail(ctx: Any, resource: Any) -> None:
        raise OSError("429")

    config = {"on_create": create, "on_destroy": resources.destroy, "check_health": lambda error: Health.COOL_DOWN(60)}
    with threads.build(worker_count=1, max_worker_count=1, max_retries=0, **config) as m:
        engine = m._engine
        if why == "held":
            m.pause(0)
        gate.open()
        wait_until(lambda: m.stats().active_workers == 1)
        if why == "held":
            wait_until(lambda: bool(engine.hold._staying))
        else:
            m.submit(fail).exception(20)
            wait_until(lambda: m.stats().cooling_workers == 1)
        future = m.submit(lambda ctx, resource: ran.append(resource.number))
        orders_first = engine.queue.orders_first

        def when_it_has_moved(order: object, *args: Any, **more: Any) -> Any:
            if order is CALL:
                engine.queue.cooling.wake()  # as by any other order
                wait_until(lambda: bool(ran) or not engine.hold._serving)
            return orders_first(order, *args, **more)

        monkeypatch.setattr(engine.queue, "orders_first", when_it_has_moved)
        m.refresh().result(20)
        assert 1 not in ran
        m.resume()
        future.result(20)
    assert ran == [2]
