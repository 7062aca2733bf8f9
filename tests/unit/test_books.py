"""The books: where the tasks are adds up at every moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.core.counters import Counters, Flow, Shard, _ExactCounter, _FastCounter


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
    """Whatever tasks do, accepted = queued + running + done, and each number is the model's."""
    books = Counters()
    queued = running = done = inline = 0
    for step, slot in steps:
        shard = books.shard(slot)
        busy = shard.taken - shard.done
        if step == "accept":
            next(iter(books.numbers))
            queued += 1
        elif step == "refuse":
            next(iter(books.numbers))
            books.add("refused")
        elif step == "take" and queued:
            shard.taken += 1
            queued, running = queued - 1, running + 1
        elif step == "done" and running and busy:
            shard.done += 1
            running, done = running - 1, done + 1
        elif step == "send back" and running:
            books.add("sent_back")
            queued, running = queued + 1, running - 1
            shard = next((s for s in books.shards.values() if s.taken > s.done), shard)
        elif step in ("end in queue", "note") and queued:
            _ = books.note("ended_in_queue") if step == "note" else books.add("ended_in_queue")
            queued, done = queued - 1, done + 1
        elif step == "inline":
            books.add("inline_accepted")
            inline += 1
        elif step == "inline done" and inline:
            books.add("inline_done")
            inline, done = inline - 1, done + 1
        flow = books.flow()
        true(flow)
        assert (flow.queued, flow.running, flow.done) == (queued, running + inline, done)


class MovingShard(Shard):
    """A shard whose worker runs a whole task, accepted after the reader began,
    between two of its readings."""

    __slots__ = ("books", "moves")

    def __init__(self, books: Counters, moves: str) -> None:
        super().__init__()
        self.books = books
        self.moves = moves

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == super().__getattribute__("moves"):
            super().__setattr__("moves", "")
            next(iter(self.books.numbers))
            super().__setattr__("taken", super().__getattribute__("taken") + 1)
            super().__setattr__("done", super().__getattribute__("done") + 1)
        return value


@pytest.mark.parametrize("moves", ["done", "taken"])
@pytest.mark.parametrize("slot", [1, 2])
def test_reader_reads_backwards(moves: str, slot: int) -> None:
    """A task that goes all its way in the middle of a reading is seen in one place."""
    books = Counters()
    books.shard(3 - slot)
    books.shards[slot] = MovingShard(books, moves)
    true(books.flow())
    assert books.flow() == Flow(accepted=1, queued=0, running=0, done=1)


@pytest.mark.parametrize("kind", [_ExactCounter, _FastCounter])
def test_counter(kind: type[Any]) -> None:
    """Both counters number from 1, and reading takes no number."""
    counter = kind()
    assert counter.value() == 0
    assert [next(iter(counter)) for _ in range(3)] == [1, 2, 3]
    assert (counter.value(), counter.value(), next(iter(counter))) == (3, 3, 4)


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
    books = Counters()
    assert books.shard(1) is books.shard(1)
    assert books.shard(1) is not books.shard(2)


def test_ledger() -> None:
    """Creations, destructions and losses are entered together."""
    books = Counters()
    books.resource(created=2)
    books.resource(destroyed=1, lost=1)
    assert (books.ledger.created, books.ledger.destroyed, books.ledger.lost) == (2, 1, 1)


def test_notes_take_no_lock() -> None:
    """A note is taken while another thread holds the lock, and entered by the next reader."""
    books, held, release = Counters(), threading.Event(), threading.Event()

    def hold() -> None:
        with books.lock:
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    books.note("user_errors", "retried")
    release.set()
    holder.join()
    assert (books.user_errors, books.retried) == (0, 0)
    books.flow()
    assert (books.user_errors, books.retried) == (1, 1)
    books.flow()
    assert books.user_errors == 1


def test_note_in_the_middle_of_entering() -> None:
    """A signal handler that notes and reads in the middle of an entering loses and
    doubles nothing."""

    class Interrupted(Counters):
        interrupted = False

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "retried" and value == 1 and not self.interrupted:
                object.__setattr__(self, "interrupted", True)
                self.note("user_errors")
                self.flow()
            object.__setattr__(self, name, value)

    books = Interrupted()
    books.note("retried")
    books.note("retried")
    books.flow()
    assert (books.retried, books.user_errors) == (2, 1)
