"""An asynchronous exception that strikes a worker thread: its task ends, the worker is replaced, the counts stay right."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest
from unit.hooks import HookedList

from support.observers import RecordingLogger
from support.waiting import Call, wait_until
from tasker import MaxRetriesExceeded, WorkerLost
from tasker.control import events as ev
from tasker.threads.future_log import DONE, RUN


class Late(BaseException):
    """Raised from outside, anywhere."""


def strike() -> None:
    """Raise `Late` in this thread as another thread would, and run on until it comes."""
    set_async = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert set_async(ctypes.c_ulong(threading.get_ident()), ctypes.py_object(Late)) == 1
    for _ in range(100_000):  # it comes between two instructions
        pass
    raise AssertionError("it never came")


def works(ctx: Any, resource: Any) -> str:
    """Succeed."""
    return "value"


def struck(m: Any, gate: Any, task: Callable[..., Any], mark: object, moment: str) -> Any:
    """Submit a task whose worker is struck before or after it writes `mark` into the log; return the future."""
    blocker = m.submit(lambda ctx, resource: gate.pass_through())
    gate.wait_arrivals(1)
    future = m.submit(task)
    future._log = HookedList(when=lambda entry: entry is mark, **{moment: strike})
    gate.open()
    blocker.result(20)
    return future


def audit(m: Any, done: int) -> None:
    """One worker was lost and replaced; so many tasks are done, and the pool works on."""
    assert m.submit(works).result(20) == "value"
    wait_until(lambda: m.stats().lost_workers == 1)
    wait_until(lambda: m.stats().active_workers == 1)
    stats = m.stats()
    tasks = (stats.accepted_tasks, stats.queued_tasks + stats.priority_tasks, stats.running_tasks, stats.done_tasks)
    assert tasks == (done + 1, 0, 0, done + 1)
    assert Call(m.stop).outcome().killed is False
    ledger = m.stats().resources
    assert (ledger.created, ledger.destroyed) == (2, 2)


@pytest.mark.parametrize(
    ("task", "mark", "moment"),
    [
        (works, RUN, "before"),
        (works, RUN, "after"),
        (works, DONE, "before"),
    ],
    ids=["before it starts", "as it starts", "before it is done"],
)
def test_its_task_gets_the_error(threads: Any, task: Any, mark: object, moment: str) -> None:
    """The task in hand ends with WorkerLost, caused by what struck the worker; no other task is harmed."""
    logger = RecordingLogger()
    with threads.build(logger=logger, check_health=lambda error: not isinstance(error, OSError)) as m:
        future = struck(m, threads.gate(), task, mark, moment)
        error = future.exception(20)
        assert isinstance(error, WorkerLost)
        assert isinstance(error.__cause__, Late)
        assert "was lost while it ran task #2" in str(error)
        audit(m, done=2)
    assert "was lost: Late" in logger.text("error")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_its_slot_in_a_bounded_queue_is_free(threads: Any, moment: str) -> None:
    """Though it is struck after it has taken the task, and before it would have released the slot."""
    with threads.build(max_queue_size=1) as m:
        future = struck(m, threads.gate(), works, RUN, moment)
        assert isinstance(future.exception(20), WorkerLost)
        assert m.submit(works, queue_timeout=20).result(20) == "value"
        audit(m, 3)


def test_a_result_that_was_there_stays(threads: Any) -> None:
    """A worker that is struck right after its task was done is lost, the result is not."""
    with threads.build() as m:
        future = struck(m, threads.gate(), works, DONE, "after")
        assert future.result(20) == "value"
        audit(m, done=2)


def test_a_waiter_gets_a_result_that_was_there(threads: Any) -> None:
    """A thread that was waiting already gets the result too."""
    gate = threads.gate()
    with threads.build() as m:
        blocker = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        future = m.submit(works)
        log = future._log = HookedList(when=lambda entry: entry is DONE, after=strike)
        waiter = Call(future.result)
        wait_until(lambda: log, what="the waiter is in the log")
        gate.open()
        blocker.result(20)
        assert waiter.outcome(3) == "value"
        audit(m, done=2)


def test_inside_a_task_it_is_the_error_of_the_task(threads: Any) -> None:
    """What strikes while the task's own code runs is raised there; the worker goes on."""
    with threads.build() as m:
        future = m.submit(lambda ctx, resource: strike())
        assert isinstance(future.exception(20), Late)
        assert m.submit(works).result(20) == "value"
        stats = m.stats()
        assert (stats.lost_workers, stats.resources.created, stats.done_tasks) == (0, 1, 2)


def test_a_token_that_went_with_the_worker(threads: Any) -> None:
    """A worker that is struck with a token in hand costs no other task its turn."""
    gate = threads.gate()
    with threads.build() as m:
        blocker = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        first, second = m.submit(works), m.submit(works)
        m._engine.queue.tokens.get(timeout=20)  # as a worker has done that is struck before it takes its task
        first._log = HookedList(when=lambda entry: entry is RUN, before=strike)
        gate.open()
        blocker.result(20)
        assert isinstance(first.exception(20), WorkerLost)
        assert second.result(20) == "value"
        audit(m, done=3)


def test_a_worker_that_is_struck_when_it_is_to_retire(threads: Any) -> None:
    """A worker that is struck before it can report that it retires was counted as one of those that go: the other one
    stays, and a stop ends."""
    with threads.build(worker_count=2, max_worker_count=2) as m:
        wait_until(lambda: m.stats().active_workers == 2)
        report = m._engine.report
        strikes = [strike]

        def struck(event: Any) -> None:
            if type(event) is ev.WorkerRetiring and strikes:
                strikes.pop()()
            report(event)

        m._engine.report = struck
        m.resize(worker_count=1, max_worker_count=1)
        wait_until(lambda: m.stats().lost_workers == 1)
        handled = threading.Event()
        m._engine.soon(handled.set)
        assert handled.wait(20)  # and with it whatever followed
        assert (m._engine.view.ready, m._engine.view.starting, m._engine.view.retiring) == (1, 0, 0)
        assert m.submit(works).result(20) == "value"
        assert Call(m.stop).outcome(20).killed is False


@pytest.mark.parametrize("event", [ev.WorkerReady, ev.WorkerEnded])
def test_a_worker_that_is_struck_between_two_steps(threads: Any, event: type) -> None:
    """One that is struck outside of its loop is lost, its resource is destroyed, and it is replaced."""
    strikes = [strike]
    with threads.build(check_health=lambda error: False, max_retries=0) as m:
        wait_until(lambda: m.stats().active_workers == 1)
        report = m._engine.report

        def struck(reported: Any) -> None:
            if type(reported) is event and strikes:
                strikes.pop()()
            report(reported)

        m._engine.report = struck
        with pytest.raises(MaxRetriesExceeded):  # which has the worker replaced
            m.submit(lambda ctx, resource: 1 / 0).result(20)
        wait_until(lambda: m.stats().lost_workers == 1)
        assert m.submit(works).result(20) == "value"
        assert Call(m.stop).outcome(20).killed is False
        ledger = m.stats().resources
        assert ledger.created == ledger.destroyed


def test_a_worker_that_is_struck_while_it_sees_to_its_task(threads: Any) -> None:
    """A second exception, while the worker ends the task in which the first one has struck it, takes nothing from that."""
    with threads.build() as m:
        future = struck(m, threads.gate(), works, RUN, "before")
        fault, strikes = m._engine.log.fault, [strike]

        def faults(where: str, error: BaseException) -> None:
            if strikes:
                strikes.pop()()
            fault(where, error)

        m._engine.log.fault = faults
        assert isinstance(future.exception(20), WorkerLost)
        audit(m, done=2)
