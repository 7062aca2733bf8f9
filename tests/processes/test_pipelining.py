"""Tasks that are sent to a child ahead of their turn: fast, and never seen to be."""

from __future__ import annotations

import random
from typing import Any

import pytest

from support.files_between_processes import FileGate, Notes
from support.waiting import wait_until
from tasker import Priority, TaskKilled

from . import work

both = pytest.mark.parametrize("pipeline", [True, False], ids=["pipeline", "one by one"])


def warm_up(manager: Any, workers: int = 1) -> None:
    """So many short tasks that they are known to be short."""
    for future in [manager.submit(work.echo, n) for n in range(500 * workers)]:
        future.result(60)


@both
def test_results_and_order(make: Any, notes: Notes, pipeline: bool) -> None:
    """A thousand short tasks on one child: each starts once, in order."""
    with make(process={"pipeline": pipeline}) as m:
        futures = [m.submit(work.note, n) for n in range(1000)]
        assert [future.result(60) for future in futures] == list(range(1000))
    assert notes.numbers("start") == list(range(1000))


@both
@pytest.mark.parametrize("seed", range(6))
def test_no_short_task_waits_behind_a_slow_one(make: Any, doors: Any, pipeline: bool, seed: int) -> None:
    """While one worker has a slow task, the other one does all the rest, whatever had been sent where."""
    rng = random.Random(seed)
    with make(worker_count=2, process={"pipeline": pipeline}) as m:
        warm_up(m, 2)
        for _ in range(3):
            door = doors()
            slow_at = rng.randrange(200)
            futures = [m.submit(work.hold, door, -1) if n == slow_at else m.submit(work.echo, n) for n in range(200)]
            slow = futures.pop(slow_at)
            for future in futures:
                future.result(30)
            assert not slow.done()
            door.open()
            assert slow.result(30) == -1


def test_several_slow_ones(make: Any, doors: Any) -> None:
    """With three workers and two slow tasks the third worker serves everybody else."""
    with make(worker_count=3) as m:
        warm_up(m, 3)
        slow = [doors(), doors()]
        futures = []
        for number in range(300):
            if number in (40, 41):
                m.submit(work.hold, slow[number - 40])
            else:
                futures.append(m.submit(work.echo, number))
        for future in futures:
            future.result(30)
        for door in slow:
            door.open()


def test_a_task_that_turns_slow(make: Any, doors: Any) -> None:
    """The same function, short a thousand times, then slow: what was sent behind it goes to the idle worker."""

    def sometimes(ctx: Any, thing: Any, door: FileGate | None) -> None:
        if door is not None:
            door.pass_through()

    with make(worker_count=2) as m:
        for future in [m.submit(sometimes, None) for _ in range(1000)]:
            future.result(60)
        door = doors()
        futures = [m.submit(sometimes, door if n == 5 else None) for n in range(100)]
        for number, future in enumerate(futures):
            if number != 5:
                future.result(30)
        door.open()


@both
def test_priority_over_what_was_sent_ahead(make: Any, notes: Notes, doors: Any, pipeline: bool) -> None:
    """A high task is the next to start, although short normal ones were there before it."""
    with make(process={"pipeline": pipeline}) as m:
        warm_up(m)
        for round_number in range(10):
            door = doors()
            m.submit(work.hold, door)
            normal = [m.submit(work.note, 10_000 + n) for n in range(30)]
            door.wait_arrivals(1)
            high = m.submit(work.note, round_number, priority=Priority.HIGH)
            door.open()
            for future in [*normal, high]:
                future.result(30)
    starts = notes.numbers("start")
    for round_number in range(10):
        assert starts[round_number * 31] == round_number
        assert starts[round_number * 31 + 1 : (round_number + 1) * 31] == [10_000 + n for n in range(30)]


def test_priority_while_tasks_flow(make: Any, notes: Notes) -> None:
    """A high task that comes in the middle of a long queue of short ones overtakes nearly all of it."""
    with make() as m:
        warm_up(m)
        normal = [m.submit(work.note, 10_000 + n) for n in range(3000)]
        normal[20].result(30)
        m.submit(work.note, 1, priority=Priority.HIGH).result(30)
        behind = sum(not future.done() for future in normal)
        for future in normal:
            future.result(60)
    starts = notes.numbers("start")
    after = len(starts) - 1 - starts.index(1)
    assert after >= behind


@both
def test_cancel_of_what_was_sent_ahead(make: Any, notes: Notes, doors: Any, pipeline: bool) -> None:
    """A task that has not begun can be cancelled, wherever it waits, and never runs; the others do, in order."""
    with make(process={"pipeline": pipeline}) as m:
        warm_up(m)
        for _ in range(5):
            door = doors()
            m.submit(work.hold, door)
            futures = [m.submit(work.note, n) for n in range(40)]
            door.wait_arrivals(1)
            assert not any(future.running() for future in futures)
            assert all(future.cancel() for future in futures[::2])
            door.open()
            assert [future.result(30) for future in futures[1::2]] == list(range(1, 40, 2))
            assert all(future.cancelled() for future in futures[::2])
            assert all(future.attempts == 0 for future in futures[::2])
    assert notes.numbers("start") == list(range(1, 40, 2)) * 5


def test_cancel_against_the_start(make: Any, notes: Notes) -> None:
    """cancel() while short tasks flow: true means that it never runs, false that it ran."""
    with make(worker_count=2) as m:
        warm_up(m)
        won = []
        futures = []
        for number in range(3000):
            futures.append(m.submit(work.note, number))
            if number % 3 == 0:
                victim = number - number % 7
                won.append((victim, futures[victim].cancel()))
        m.stop()
    starts = notes.numbers("start")
    assert len(starts) == len({*starts})
    started = {*starts}
    for victim, cancelled in won:
        if cancelled:
            assert victim not in started
    for number, future in enumerate(futures):
        assert future.cancelled() == (number not in started)


@both
def test_what_was_sent_ahead_is_queued(make: Any, doors: Any, pipeline: bool) -> None:
    """Statistics and futures show it as waiting: one runs."""
    with make(process={"pipeline": pipeline}) as m:
        warm_up(m)
        wait_until(lambda: m.stats().running_tasks == 0)
        door = doors()
        m.submit(work.hold, door)
        futures = [m.submit(work.echo, n) for n in range(20)]
        door.wait_arrivals(1)
        wait_until(lambda: m.stats().running_tasks == 1)
        stats = m.stats()
        assert stats.queued_tasks == 20
        assert stats.queued_tasks + stats.running_tasks + stats.done_tasks == stats.accepted_tasks
        assert [(future.attempts, future.worker) for future in futures] == [(0, None)] * 20
        door.open()


@both
def test_kill_with_tasks_sent_ahead(make: Any, notes: Notes, doors: Any, pipeline: bool) -> None:
    """They end with TaskKilled and never start."""
    with make(process={"pipeline": pipeline}, cancel_grace=0.2) as m:
        warm_up(m)
        door = doors()
        m.submit(work.hold, door)
        futures = [m.submit(work.note, n) for n in range(30)]
        door.wait_arrivals(1)
        report = m.kill(0.5)
        assert report.killed_tasks >= 30
        for future in futures:
            with pytest.raises(TaskKilled):
                future.result(5)
            assert future.attempts == 0
    assert notes.numbers("start") == []


def test_stop_with_tasks_sent_ahead(make: Any, notes: Notes) -> None:
    """All of them run."""
    with make(worker_count=2) as m:
        warm_up(m)
        futures = [m.submit(work.note, n) for n in range(2000)]
        assert not m.stop().killed
        assert [future.result(0) for future in futures] == list(range(2000))
    assert sorted(notes.numbers("start")) == list(range(2000))


def test_results_come_one_by_one(make: Any, doors: Any) -> None:
    """What is done is known at once, although a task that was sent with it still runs."""
    with make() as m:
        warm_up(m)
        door = doors()
        futures = [m.submit(work.hold, door) if n == 50 else m.submit(work.echo, n) for n in range(60)]
        for number in range(50):
            assert futures[number].result(30) == number
        door.wait_arrivals(1)
        assert not futures[50].done()
        door.open()


def test_unhealthy_errors_among_short_tasks(make: Any, notes: Notes) -> None:
    """A child that is given up takes nothing with it: what it had not begun runs elsewhere, once."""

    def sick(ctx: Any, thing: work.Thing, number: int) -> int:
        work.note(ctx, thing, number)
        if number % 20 == 7:
            raise LookupError(number)
        return number

    with make(worker_count=2, check_health=lambda error: not isinstance(error, LookupError)) as m:
        warm_up(m)
        futures = [m.submit(sick, n, once=True) for n in range(300)]
        for number, future in enumerate(futures):
            if number % 20 == 7:
                assert isinstance(future.exception(60), LookupError)
            else:
                assert future.result(60) == number
    assert sorted(notes.numbers("start")) == list(range(300))
    assert m.stats().resources.lost == 0
