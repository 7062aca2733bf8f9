"""loky's crash matrix and CPython's test_deadlock: every moment of a task's journey, and every way to go wrong in it.

There, one crash breaks the whole pool, and the point is that nothing hangs. Here the caller of that one task gets its error, and
the next task is served.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from functools import partial
from typing import Any

import pytest

from support.files_between_processes import FileGate
from support.waiting import Call, wait_until
from tasker import MaxRetriesExceeded, TravelError, WorkerLost

from . import translated as tasks
from . import work
from .misbehaving import WhenDropped, WhenPickled, WhenUnpickled, do, give, start_and_do, take

LOST, BAD, EXIT = WorkerLost, TravelError, SystemExit
CASES: list[tuple[str, Any, tuple[Any, ...], type[BaseException], int | None]] = [
    ("argument pickled: error", take, (WhenPickled("error"),), BAD, None),
    ("argument unpickled: error", take, (WhenUnpickled("error"),), BAD, None),
    ("argument unpickled: exit", take, (WhenUnpickled("exit"),), BAD, None),
    ("argument unpickled: end", take, (WhenUnpickled("end"),), LOST, 0),
    ("argument unpickled: crash", take, (WhenUnpickled("crash"),), LOST, -signal.SIGSEGV),
    ("task: exit", do, ("exit",), EXIT, None),
    ("task: end", do, ("end",), LOST, 0),
    ("task: crash", do, ("crash",), LOST, -signal.SIGSEGV),
    ("result pickled: error", give, (WhenPickled, "error"), BAD, None),
    ("result pickled: exit", give, (WhenPickled, "exit"), BAD, None),
    ("result pickled: end", give, (WhenPickled, "end"), LOST, 0),
    ("result pickled: crash", give, (WhenPickled, "crash"), LOST, -signal.SIGSEGV),
    ("result unpickled: error", give, (WhenUnpickled, "error"), BAD, None),
    ("result unpickled: exit", give, (WhenUnpickled, "exit"), BAD, None),
]
matrix = pytest.mark.parametrize(
    ("task", "args", "kind", "code"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)


def check(error: BaseException | None, kind: type[BaseException], code: int | None) -> None:
    """It is of that kind, and says how its process ended."""
    assert type(error) is kind
    if isinstance(error, WorkerLost):
        assert error.exitcode == code


@matrix
def test_among_others(make: Any, task: Any, args: Any, kind: type[BaseException], code: int | None) -> None:
    """The neighbours in its message and in the queue, each of which may start once only, have their results."""
    with make() as m:
        assert [m.queue_task(work.echo, n) for n in range(20)] == [
            *range(20)
        ]  # short ones, so that many are sent at once
        futures = [m.submit(work.echo, n, once=True) for n in range(40)]
        bad = m.submit(task, *args, once=True)
        futures += [m.submit(work.echo, n, once=True) for n in range(40, 80)]
        check(bad.exception(30), kind, code)
        assert [future.result(30) for future in futures] == [*range(80)]
        assert {future.attempts for future in futures} == {1}


def test_submitted_by_callbacks(make: Any) -> None:
    """The thread that calls callbacks is the one that would have to recover."""
    with make(worker_count=2) as m:
        for _, task, args, kind, code in CASES:
            submitted: list[Any] = []

            def submit(result: Any, error: Any, into: list[Any] = submitted, what: Any = (task, *args)) -> None:
                into.append(m.submit(*what, once=True))

            assert m.submit(work.echo, 42, callback=submit).result(30) == 42
            wait_until(lambda into=submitted: into)
            check(submitted[0].exception(30), kind, code)
        assert m.queue_task(work.echo, 42) == 42


async def test_in_a_loop(amake: Any) -> None:
    """All of them at once, with an AsyncTaskManager."""
    async with amake(worker_count=2) as m:
        others = [m.submit(work.echo, n) for n in range(20)]
        futures = [m.submit(task, *args, once=True) for _, task, args, _, _ in CASES]
        others += [m.submit(work.echo, n) for n in range(20, 40)]
        errors = await asyncio.gather(*futures, return_exceptions=True)
        for (_, _, _, kind, code), error in zip(CASES, errors, strict=True):
            check(error, kind, code)
        assert await asyncio.gather(*others) == [*range(40)]
        assert await m.queue_task(work.echo, 42) == 42


@pytest.mark.parametrize("way", ["end", "crash"])
def test_retries_end(make: Any, way: str) -> None:
    """Where a task may be retried it is, as often as it may be; the last death is the cause of its error."""
    with make(max_retries=1) as m:
        for task, args in (
            (do, (way,)),
            (give, (WhenPickled, way)),
            (take, (WhenUnpickled(way),)),
        ):
            future = m.submit(task, *args)
            error = future.exception(30)
            assert isinstance(error, MaxRetriesExceeded)
            assert isinstance(error.__cause__, WorkerLost)
            assert (error.attempts, future.attempts) == (2, 2)
        assert m.queue_task(work.echo, 42) == 42


@pytest.mark.parametrize(
    "leave", [lambda: exec("raise SystemExit"), lambda: exec("raise ValueError")], ids=["exit", "error"]
)
def test_a_callback_that_fails(make: Any, leave: Any) -> None:
    """In the thread that serves the child: that thread goes on."""
    with make() as m:
        future = m.submit(work.echo, 42, callback=lambda *_: leave())
        assert future.result(30) == 42
        assert m.queue_task(work.echo, 42) == 42
        wait_until(lambda: m.stats().user_errors == 1)


def test_a_stop_while_a_task_crashes(make: Any, door: FileGate) -> None:
    """The death of a child does not hold up a stop that waits for it."""
    with make(worker_count=2) as m:
        future = m.submit(start_and_do, door, "crash", once=True)
        door.wait_arrivals(1)
        stop = Call(m.stop)
        door.open()
        stop.outcome(30)
        check(future.exception(0), LOST, -signal.SIGSEGV)


def test_a_stop_while_an_argument_cannot_be_pickled(make: Any) -> None:
    """What is refused after the stop has begun ends like any other task."""
    with make() as m:
        assert m.queue_task(work.echo, 42) == 42
        future = m.submit(take, WhenPickled("error"))
        m.stop()
        assert isinstance(future.exception(0), TravelError)


def test_crashes_while_large_arguments_are_sent(make: Any) -> None:
    """Nothing waits for ever for a child to read what it never will."""
    data = "a" * 4_000_000
    with make(worker_count=2) as m:
        futures = [m.submit(tasks.crash_with, data, once=True) for _ in range(6)]
        for future in futures:
            check(future.exception(60), LOST, -signal.SIGSEGV)


def test_many_that_cannot_go_before_many_that_can(make: Any) -> None:
    """A hundred arguments that cannot be pickled do not fill up anything."""
    with make() as m:
        bad = [m.submit(take, WhenPickled("error")) for _ in range(100)]
        good = [m.submit(take, n) for n in range(100)]
        assert all(isinstance(future.exception(30), TravelError) for future in bad)
        assert [future.result(30) for future in good] == ["taken"] * 100


def test_what_went_wrong_is_said(make: Any) -> None:
    """The error of an argument that cannot be unpickled has the reason."""
    with make() as m:
        error = m.submit(take, WhenUnpickled("error")).exception(30)
    assert "PicklingError" in str(error)
    assert "it misbehaves" in str(error)


@pytest.mark.parametrize(("way", "code"), [("end", 0), ("crash", -signal.SIGSEGV)])
def test_crashes_when_an_argument_is_dropped(make: Any, way: str, code: int) -> None:
    """A child that dies behind a task, over what that has left, costs no other task: each has its result, or was lost in
    the death."""
    with make(max_retries=0) as m:
        first = m.submit(take, WhenDropped(way), once=True)
        outcomes = [first.exception(30), m.submit(tasks.collect, once=True).exception(30)]
        for lost in filter(None, outcomes):
            check(lost, LOST, code)
        assert m.queue_task(work.echo, 42) == 42
        wait_until(lambda: m.stats().resources.lost == 1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_children_that_kill_each_other(make: Any, count: int) -> None:
    """Each task kills a child, its own or a neighbour's: each has an outcome, and the manager its children."""
    with make(worker_count=count, max_retries=20) as m:
        pids: set[int] = set()
        wait_until(lambda: pids.update(usage.pid for usage in m.stats().processes) or len(pids) == count)
        futures = [m.submit(tasks.kill, pid) for pid in pids]
        assert [future.result(60) for future in futures] == [None] * count
        wait_until(lambda: m.stats().active_workers == count, 30)
        assert m.queue_task(work.echo, 42) == 42


def test_a_child_that_is_killed_while_its_manager_is_resized(make: Any, door: FileGate) -> None:
    """The resize takes effect, and the task is tried again in another child."""
    with make() as m:
        future = m.submit(work.hold, door, 42)
        (pid,) = door.wait_arrivals(1)
        m.resize(worker_count=2, max_worker_count=2)
        os.kill(pid, signal.SIGKILL)
        door.open()
        assert future.result(30) == 42
        wait_until(lambda: m.stats().active_workers == 2, 30)


def test_an_iterable_that_fails(make: Any) -> None:
    """A `map` over it raises its error; what it has yielded by then is in order."""

    def inputs() -> Any:
        yield from range(5)
        raise LookupError("said when")

    with make(worker_count=2) as m:
        seen = []
        with pytest.raises(LookupError, match="said when"):
            for result in m.map(work.echo, inputs()):
                seen.append(result)
        assert seen == [*range(len(seen))]
        assert m.queue_task(work.echo, 42) == 42


def test_threads_that_share_a_manager(make: Any) -> None:
    """Ten of them submit, map and cancel at once: each gets what is its own."""
    outcomes: list[Any] = []

    def use(m: Any, number: int) -> None:
        mapped = m.map(work.echo, range(40))
        single = [m.submit(work.echo, n) for n in range(20)]
        for future in single[::2]:
            future.cancel()
        assert [*mapped] == [*range(40)]
        for n, future in enumerate(single):
            assert future.cancelled() or future.result(30) == n
            assert n % 2 == 0 or not future.cancelled()
        outcomes.append(number)

    with make(worker_count=2) as m:
        threads = [threading.Thread(target=partial(use, m, number)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(outcomes) == [*range(10)]


def test_chains_of_callbacks(make: Any) -> None:
    """Three chains of callbacks, each of which submits the next task, come to their ends."""
    seen: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    with make(worker_count=2) as m:

        def follow(result: Any, error: Any) -> None:
            name, count = result
            seen[name].append(count)
            if count:
                m.submit(work.echo, (name, count - 1), callback=follow)

        lengths = {"a": 100, "b": 50, "c": 60}
        for name, count in lengths.items():
            m.submit(work.echo, (name, count), callback=follow)
        wait_until(lambda: all(numbers and numbers[-1] == 0 for numbers in seen.values()), 60)
    assert {name: numbers[0] for name, numbers in seen.items()} == lengths
    assert all(numbers == sorted(numbers, reverse=True) for numbers in seen.values())
