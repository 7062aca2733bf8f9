"""The counters: where the tasks are adds up at every moment."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.core.counters import Counters, Flow, Shard, _ExactCounter, _FastCounter
from tasker.metrics.protocol import TaskLifecycleTimestamps


def true(flow: Flow) -> None:
    """What holds at every moment."""
    assert min(flow.accepted, flow.queued, flow.running, flow.done) >= 0, flow
    assert flow.queued + flow.running + flow.done == flow.accepted, flow
    assert flow.outstanding == flow.accepted - flow.done


STEPS = st.sampled_from(
    [
        "accept",
        "refuse",
        "take",
        "done",
        "send back",
        "end in queue",
        "inline",
        "inline done",
        "note",
    ]
)


@given(st.lists(st.tuples(STEPS, st.integers(1, 3)), max_size=60))
def test_flow(steps: list[tuple[str, int]]) -> None:
    """At every step that a task makes, accepted = queued + running + done, and each number is the model's."""
    counters = Counters()
    queued = running = done = inline = 0
    for step, slot in steps:
        shard = counters.shard(slot)
        busy = shard.taken - shard.done
        if step == "accept":
            next(iter(counters.numbers))
            queued += 1
        elif step == "refuse":
            next(iter(counters.numbers))
            counters.add("refused")
        elif step == "take" and queued:
            shard.taken += 1
            queued, running = queued - 1, running + 1
        elif step == "done" and running and busy:
            shard.done += 1
            running, done = running - 1, done + 1
        elif step == "send back" and running:
            counters.add("sent_back")
            queued, running = queued + 1, running - 1
            shard = next((s for s in counters.shards.values() if s.taken > s.done), shard)
        elif step in ("end in queue", "note") and queued:
            _ = counters.note("ended_in_queue") if step == "note" else counters.add("ended_in_queue")
            queued, done = queued - 1, done + 1
        elif step == "inline":
            counters.add("inline_accepted")
            inline += 1
        elif step == "inline done" and inline:
            counters.add("inline_done")
            inline, done = inline - 1, done + 1
        flow = counters.flow()
        true(flow)
        assert (flow.queued, flow.running, flow.done) == (queued, running + inline, done)


class MovingShard(Shard):
    """A shard whose worker runs a whole task, accepted after the reader began, between two of its readings."""

    __slots__ = ("counters", "moves")

    def __init__(self, counters: Counters, moves: str) -> None:
        super().__init__()
        self.counters = counters
        self.moves = moves

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == super().__getattribute__("moves"):
            super().__setattr__("moves", "")
            next(iter(self.counters.numbers))
            super().__setattr__("taken", super().__getattribute__("taken") + 1)
            super().__setattr__("done", super().__getattribute__("done") + 1)
        return value


@pytest.mark.parametrize("moves", ["done", "taken"])
@pytest.mark.parametrize("slot", [1, 2])
def test_reader_reads_backwards(moves: str, slot: int) -> None:
    """A task that goes all its way in the middle of a reading is seen in one place."""
    counters = Counters()
    counters.shard(3 - slot)
    counters.shards[slot] = MovingShard(counters, moves)
    true(counters.flow())
    assert counters.flow() == Flow(accepted=1, queued=0, running=0, done=1)


@pytest.mark.parametrize("kind", [_ExactCounter, _FastCounter])
def test_counter(kind: type[Any]) -> None:
    """Both counters number from 1, and reading takes no number."""
    counter = kind()
    assert counter.value() == 0
    assert [next(iter(counter)) for _ in range(3)] == [1, 2, 3]
    assert (counter.value(), counter.value(), next(iter(counter))) == (3, 3, 4)


@pytest.mark.parametrize("kind", [_ExactCounter, _FastCounter])
def test_every_way_to_take_a_number(kind: type[Any]) -> None:
    """Both kinds of iterators and more() take from the same numbers."""
    counter = kind()
    endless = counter.endless()
    assert [next(iter(counter)), next(endless), counter.more(), next(endless)] == [1, 2, 3, 4]
    assert counter.value() == 4


def test_counter_beyond_its_stock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that take numbers while the stock runs out get each number once, and those below it."""
    monkeypatch.setattr("tasker.core.counters._STOCK", 7)
    counter, taken = _ExactCounter(), []

    def take() -> None:
        numbers = iter(counter)
        for _ in range(500):
            try:
                for number in numbers:  # noqa: B007
                    break
            except IndexError:
                number = counter.more()
            taken.append(number)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 2001))
    assert counter.value() == 2000


def test_shard_goes_on() -> None:
    """The next worker of a slot gets its predecessor's shard."""
    counters = Counters()
    assert counters.shard(1) is counters.shard(1)
    assert counters.shard(1) is not counters.shard(2)


@pytest.mark.parametrize("timed_out", [False, True])
def test_shard_counts_a_failure(timed_out: bool) -> None:
    """A task that ended with an error is done, and is measured."""
    shard = Shard()
    shard.failed(TaskLifecycleTimestamps(1.0, 3.0, 7.0), cancelled=False, timed_out=timed_out)
    meter = shard.meter
    assert (shard.done, meter.failed, meter.cancelled, meter.timed_out) == (1, 1, 0, timed_out)
    assert (meter.wait, meter.execution) == ([2.0], [4.0])


def test_shard_counts_a_task_that_was_not_called() -> None:
    """It has failed, and there is nothing to measure."""
    shard = Shard()
    shard.failed(TaskLifecycleTimestamps(1.0, 3.0, 3.0), cancelled=False, timed_out=True, unused=True)
    meter = shard.meter
    assert (shard.done, meter.failed, meter.timed_out) == (1, 1, 1)
    assert (meter.wait, meter.execution) == ([], [])


def test_shard_counts_a_cancellation() -> None:
    """A cancelled task is done, and its times are not measured."""
    shard = Shard()
    shard.failed(TaskLifecycleTimestamps(1.0, 3.0, 7.0), cancelled=True, timed_out=False)
    meter = shard.meter
    assert (shard.done, meter.failed, meter.cancelled, meter.timed_out) == (1, 0, 1, 0)
    assert (meter.wait, meter.execution) == ([], [])


def test_progress_is_of_one_attempt() -> None:
    """What was said counts until the attempt ends, and not for the next one, nor for another task; nothing is cleared for that."""
    shard, first, other = Shard(), SimpleNamespace(id=7, attempts=1), SimpleNamespace(id=8, attempts=1)
    shard.note_progress(1, 2)  # by a task that has its outcome already
    assert shard.progress_of(None) is None
    assert shard.progress_of(first) is None
    shard.future = first
    assert shard.progress_of(first) is None
    shard.note_progress(3, None)
    shard.note_progress(4, 9)
    assert shard.progress_of(first) == (4, 9)
    assert shard.progress_of(other) is None
    first.attempts = 2
    assert shard.progress_of(first) is None


def test_progress_elsewhere() -> None:
    """Where the resource lives in a session, that knows; a worker without a task has none."""
    shard = Shard()
    shard.elsewhere = lambda: (1, 2)
    assert shard.progress_of(SimpleNamespace(id=7, attempts=1)) == (1, 2)
    assert shard.progress_of(None) is None


def test_ledger() -> None:
    """Creations, destructions and losses are entered together."""
    counters = Counters()
    counters.resource(created=2)
    counters.resource(destroyed=1, lost=1)
    assert (counters.ledger.created, counters.ledger.destroyed, counters.ledger.lost) == (2, 1, 1)


def test_notes_take_no_lock() -> None:
    """A note is taken while another thread holds the lock, and entered by the next reader."""
    counters, held, release = Counters(), threading.Event(), threading.Event()

    def hold() -> None:
        with counters.lock:
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    counters.note("user_errors", "retried")
    release.set()
    holder.join()
    assert (counters.user_errors, counters.retried) == (0, 0)
    counters.flow()
    assert (counters.user_errors, counters.retried) == (1, 1)
    counters.flow()
    assert counters.user_errors == 1


def test_a_fork_renews_the_locks() -> None:
    """A forked child, where no thread will release a lock that was held at the fork, can read all the same."""
    counters, held, release = Counters(), threading.Event(), threading.Event()
    meter = counters.shard(1).meter

    def hold() -> None:
        with counters.lock, meter.lock:
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    before = (counters.lock, meter.lock)
    counters.renew_locks()
    assert all(lock.acquire(blocking=False) for lock in (counters.lock, meter.lock))
    assert not any(lock.acquire(blocking=False) for lock in before)
    release.set()
    holder.join()
