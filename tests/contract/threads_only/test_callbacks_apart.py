"""Callbacks of tasks that the supervisor's thread ends run in a thread of their own."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from support.waiting import Call, throughout, wait_until
from tasker import DeadlockError, MaxRetriesExceeded, Priority, TaskKilled


def sick(ctx: Any, resource: Any) -> None:
    """Fails; the resource is to blame."""
    raise OSError


def unhealthy(threads: Any, **config: Any) -> Any:
    """A manager whose tasks fail at once if their resource is to blame."""
    return threads.build(max_retries=0, check_health=lambda error: not isinstance(error, OSError), **config)


def test_a_callback_that_hangs_does_not_hold_up_a_kill(threads: Any) -> None:
    """kill() returns at its deadline; the running task has its outcome, and the callbacks are named in the report. They are
    called later."""
    gate, called = threads.gate(), []
    with threads.build() as m:
        deaf = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(sick, callback=lambda value, error: gate.pass_through())
        for number in range(3):
            m.submit(sick, callback=lambda value, error, number=number: called.append(number))
        report = Call(m.kill, 0.2).outcome(20)
        assert deaf.cancelled()
        assert [name.split(" (")[0] for name in report.abandoned] == [
            f"{m.name}-1",
            "the callback of task #2",
            "the callbacks of 3 other tasks",
        ]
        assert called == []
        gate.open()
        wait_until(lambda: called == [0, 1, 2])


async def test_a_stop_waits_for_the_callback(threads: Any) -> None:
    """stop() returns once the callback of the last task has returned."""
    gate = threads.gate()
    with unhealthy(threads) as m:
        future = m.submit(sick, callback=lambda value, error: gate.pass_through())
        assert isinstance(future.exception(20), MaxRetriesExceeded)
        gate.wait_arrivals(1)
        stop = Call(m.stop)
        wait_until(lambda: m.closed)
        await throughout(lambda: not stop.returned, 0.05)
        gate.open()
        assert stop.outcome(20).killed is False


def test_stop_inside_of_it(threads: Any) -> None:
    """stop() and kill() raise DeadlockError in such a callback, which they would wait for."""
    errors: list[BaseException] = []

    def ends(value: Any, error: Any) -> None:
        for end in (m.stop, m.kill):
            try:
                end()
            except DeadlockError as refused:
                errors.append(refused)

    with unhealthy(threads) as m:
        m.submit(sick, callback=ends)
        wait_until(lambda: len(errors) == 2)
        assert "a callback" in str(errors[0])
        assert m.submit(lambda ctx, resource: "next").result(20) == "next"


def test_its_order_and_its_errors(threads: Any) -> None:
    """The callbacks of tasks that a kill drops are called in the order of the tasks; what one raises is logged."""
    called: list[int] = []
    gate = threads.gate()

    def callback(number: int) -> Any:
        def call(value: Any, error: Any) -> None:
            assert isinstance(error, TaskKilled)
            called.append(number)
            raise SystemExit(number)

        return call

    with threads.build() as m:
        m.submit(threads.kit.holds(gate))  # a worker that went on would drop a task by itself, and not in its order
        gate.wait_arrivals(1)
        for number in range(100):
            m.submit(sick, callback=callback(number))
        kill = Call(m.kill, 20)
        wait_until(lambda: len(called) == 100)
        gate.open()
        assert kill.outcome().abandoned == ()
        assert called == list(range(100))
        assert m.stats().user_errors == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_it(threads: Any) -> None:
    """The child's thread calls no further callback, and ends; the parent's goes on."""
    gate, called = threads.gate(), []
    children: list[int] = []
    lines, written = os.pipe()

    def forks(value: Any, error: Any) -> None:
        gate.pass_through()
        children.append(os.fork())

    def says(value: Any, error: Any) -> None:
        called.append("next")
        os.write(written, b"x")

    with threads.build() as m:
        m.submit(threads.kit.until_cancelled(gate))
        gate.wait_arrivals(1)
        m.submit(sick, callback=forks)
        m.submit(sick, callback=says)
        kill = Call(m.kill, 20)
        gate.wait_arrivals(2)
        gate.open()
        assert kill.outcome(20).abandoned == ()
        os.waitpid(children[0], 0)
        assert (called, os.read(lines, 9)) == (["next"], b"x")
    os.close(lines)
    os.close(written)


def test_a_callback_in_a_worker_that_is_to_be_replaced(threads: Any) -> None:
    """While the callbacks of a task run that has spoiled its resource by its cancellation, its worker counts as one that
    serves: the waits of others are judged by that."""
    started, calling = threads.gate(), threads.gate()

    def obeys(ctx: Any, resource: Any) -> None:
        started.arrive()
        ctx.wait(20)
        ctx.raise_if_cancelled()

    with threads.build(check_health=lambda error: False) as m:
        future = m.submit(obeys, callback=lambda value, error: calling.pass_through())
        started.wait_arrivals(1)
        future.cancel()
        calling.wait_arrivals(1)
        handled = threading.Event()
        m._engine.soon(handled.set)
        assert handled.wait(20)  # and with it whatever was reported before
        assert m._engine.view.ready == 1
        assert m.stats().replaced_workers == 0
        calling.open()
        wait_until(lambda: m.stats().replaced_workers == 1)


def test_a_bridge_that_is_settled_after_the_end(threads: Any) -> None:
    """What the supervisor's thread is asked to do when it has ended is done at once by the thread that asks."""
    m = threads.build()
    m.stop()
    called: list[int] = []
    m._engine.soon(lambda: called.append(threading.get_ident()))
    assert called == [threading.get_ident()]


def test_an_awaited_task_does_not_wait_for_callbacks_of_others(threads: Any) -> None:
    """A loop gets the outcome of a killed task although the callback of another one hangs."""
    gate = threads.gate()
    with threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None, callback=lambda value, error: gate.pass_through())
        awaited = m.submit(lambda ctx, resource: None)

        async def main() -> None:
            outcome = asyncio.wrap_future(awaited)
            await asyncio.to_thread(m.kill, 0.2)
            with pytest.raises((TaskKilled, asyncio.CancelledError)):
                await asyncio.wait_for(outcome, 10)

        asyncio.run(main())
        gate.open()


def test_a_loop_in_a_worker_of_another_manager_does_not_wait_for_callbacks(threads: Any) -> None:
    """A task of one manager that awaits a killed task of another gets its outcome although a callback there hangs."""
    gate = threads.gate()

    async def wait_for(awaited: Any) -> str:
        try:
            await asyncio.wait_for(asyncio.wrap_future(awaited), 10)
        except TimeoutError:
            return "too late"
        except (TaskKilled, asyncio.CancelledError):
            return "in time"
        return "not killed"

    with threads.build() as other, threads.build() as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        m.submit(lambda ctx, resource: None, callback=lambda value, error: gate.pass_through())
        awaited = m.submit(lambda ctx, resource: None)
        answer = other.submit(lambda ctx, resource: asyncio.run(wait_for(awaited)))
        wait_until(lambda: len(awaited._log) > 0)  # it has added its callback
        Call(m.kill, 0.2).outcome(20)
        assert answer.result(20) == "in time"
        gate.open()


@pytest.mark.parametrize("threads_left", [True, False])
def test_a_finalizer_that_ends_a_task_while_its_thread_starts(threads: Any, threads_left: bool) -> None:
    """There is one such thread at a time, and it calls the callbacks in order; so does the supervisor's own where there are
    no more threads."""
    gate, called, others = threads.gate(), [], []

    def callback(number: int) -> Any:
        def call(value: Any, error: Any) -> None:
            called.append(number)
            idents.add(threading.get_ident())
            if number == 1:
                gate.pass_through()

        return call

    idents: set[int] = set()
    with unhealthy(threads, worker_count=2, max_worker_count=2) as m:
        m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(1)
        start = m._engine._helpers.start

        def starts(target: Any, name: str, what: str) -> threading.Thread:
            while others:
                others.pop(0).cancel()  # as a finalizer may do in here
            if not threads_left:
                raise RuntimeError("can't start new thread")
            return start(target, name, what)

        m._engine._helpers.start = starts
        held = m.submit(lambda ctx, resource: gate.pass_through())
        gate.wait_arrivals(2)
        others += [m.submit(sick, callback=callback(number)) for number in (2, 3)]
        first = m.submit(sick, callback=callback(1), priority=Priority.HIGH)
        error = MaxRetriesExceeded("no", 1)
        m._engine.soon(lambda: m._engine.fail_queued(first, error))
        gate.wait_arrivals(3)
        gate.open()
        wait_until(lambda: len(called) == 3)
        assert called == [1, 2, 3]
        assert len(idents) == 1
        assert (idents == {m._engine.thread.ident}) is not threads_left
        held.result(20)
        assert Call(m.stop).outcome(20).killed is False
