"""Tests QueueSlots: waiters are served in order, no slot is lost, and a release never blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.errors import QueueFull
from tasker.threads.queue_slots import QueueSlots, SlotWait
from unit.futures import Thread


class Line:
    """Records the waiters; its `enter` and `leave` are arguments of `acquire`."""

    def __init__(self) -> None:
        self.waits: list[SlotWait] = []
        self.left: list[object] = []
        self.entered = threading.Semaphore(0)

    def enter(self, wait: SlotWait) -> object:
        """Records the begin of a wait without a limit."""
        self.waits.append(wait)
        self.entered.release()
        return wait

    def leave(self, ticket: object) -> None:
        """Records the end of a wait."""
        self.left.append(ticket)


def acquire(
    places: QueueSlots,
    *,
    block: bool = True,
    timeout: float | None = None,
    line: Line | None = None,
) -> None:
    """Calls `QueueSlots.acquire` with a line."""
    line = line or Line()
    places.acquire(block, timeout, line.enter, line.leave)


def full(bound: int = 1) -> QueueSlots:
    """Makes QueueSlots that are all taken."""
    places = QueueSlots(bound)
    for _ in range(bound):
        acquire(places, block=False)
    return places


def waiting(places: QueueSlots, count: int) -> tuple[Line, list[Thread]]:
    """Starts threads that wait for a slot, in this order."""
    line, threads = Line(), []
    for _ in range(count):
        threads.append(Thread(lambda: acquire(places, line=line)))
        assert line.entered.acquire(timeout=20)
    return line, threads


def is_full(places: QueueSlots) -> bool:
    """Returns whether no slot is free; takes none."""
    try:
        acquire(places, block=False)
    except QueueFull:
        return True
    places.release()
    return False


def test_as_many_as_the_bound() -> None:
    """There are exactly `bound` slots; a released slot can be acquired again."""
    places = full(3)
    with pytest.raises(QueueFull, match="max_queue_size=3"):
        acquire(places, block=False)
    places.release()
    acquire(places, block=False)
    assert is_full(places)


def test_timeout() -> None:
    """A wait with a timeout raises an error that names the seconds and the bound, and is not announced."""
    line = Line()
    for seconds in (0.0, -1.0):
        with pytest.raises(QueueFull, match=rf"after {seconds} seconds.*max_queue_size=1"):
            acquire(full(), timeout=seconds, line=line)
    assert line.waits == []


def test_first_in_first_out() -> None:
    """The longest waiter gets the next slot."""
    places = full()
    line, threads = waiting(places, 3)
    for served in range(3):
        places.release()
        assert [wait.done() for wait in line.waits] == [n <= served for n in range(3)]
        threads[served].join()
    assert is_full(places)
    assert sorted(map(id, line.left)) == sorted(map(id, line.waits))


def test_nobody_overtakes_those_who_wait() -> None:
    """A slot that is released while a thread waits does not go to one that comes later."""
    places = full()
    line, (thread,) = waiting(places, 1)
    places.release()
    assert is_full(places)
    thread.join()
    assert line.waits[0].done()


def test_timed_out_waiter_leaves_no_gap() -> None:
    """A slot that is released after a wait has timed out is free for the next caller."""
    places = full()
    with pytest.raises(QueueFull):
        acquire(places, timeout=0.0)
    places.release()
    acquire(places, block=False)


def at_the_end_of_the_wait(places: QueueSlots, meanwhile: Callable[[], object]) -> None:
    """Calls `meanwhile` after a wait has ended and before the waiter leaves the line."""
    leave_line = places._leave_line

    def hooked(wait: SlotWait) -> bool:
        meanwhile()
        return leave_line(wait)

    places._leave_line = hooked  # type: ignore[method-assign]


def test_place_given_at_the_moment_of_the_timeout() -> None:
    """A waiter that gets its slot just as it times out has it: the slot is not lost."""
    places = full()
    at_the_end_of_the_wait(places, places.release)
    acquire(places, timeout=0.0)
    assert is_full(places)
    places.release()
    assert not is_full(places)


def test_refused_wait_leaves_the_line() -> None:
    """A waiter whose wait is refused (a deadlock) leaves the line and takes no slot."""
    places = full()

    def refuse(wait: SlotWait) -> object:
        raise RuntimeError("deadlock")

    with pytest.raises(RuntimeError, match="deadlock"):
        places.acquire(True, None, refuse, Line().leave)
    places.release()
    assert not is_full(places)


def test_place_given_at_the_moment_of_the_refusal() -> None:
    """A waiter that gets its slot just as its wait is refused has a record that it must release the slot."""
    places = full()
    mine = SlotWait()

    def refuse(wait: SlotWait) -> object:
        places.release()
        raise RuntimeError("deadlock")

    with pytest.raises(RuntimeError, match="deadlock"):
        places.acquire(True, None, refuse, Line().leave, mine)
    assert mine.served


def test_release_inside_the_lock() -> None:
    """A slot can be released in a thread that holds the lock itself, as a signal handler or finalizer may do."""
    places = full()
    line, (thread,) = waiting(places, 1)
    with places._lock:
        places.release()
        assert line.waits[0].done()
    thread.join()
    assert is_full(places)


class Interrupted:
    """A lock that runs a step just before its holder releases it."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._lock = threading.RLock()
        self._meanwhile: Callable[[], object] | None = meanwhile

    def acquire(self, blocking: bool = True) -> bool:
        """Acquires the lock."""
        return self._lock.acquire(blocking)

    def release(self) -> None:
        """Runs the step, once, then releases the lock."""
        step, self._meanwhile = self._meanwhile, None
        if step is not None:
            step()
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


@pytest.mark.parametrize("action", ["line up", "take", "leave", "release", "wake all"])
def test_place_given_back_just_before_the_lock_is_let_go(action: str) -> None:
    """A slot that a signal handler releases just before the holder of the lock releases the lock is not lost."""
    places = QueueSlots(2)
    acquire(places)
    lock: Any = Interrupted(places.release)
    if action in ("line up", "leave"):
        acquire(places)
    if action == "leave":
        at_the_end_of_the_wait(places, lambda: setattr(places, "_lock", lock))
    else:
        places._lock = lock
    if action == "line up":
        acquire(places, line=Line())
    elif action == "take":
        acquire(places, block=False)
    elif action == "leave":
        with pytest.raises(QueueFull):
            acquire(places, timeout=0.0)
    elif action == "release":
        acquire(places)
        places.release()
    else:
        places.close()


def test_close() -> None:
    """When the manager closes, all waits end without a slot."""
    places = full()
    line, threads = waiting(places, 3)
    places.close()
    for thread in threads:
        thread.join()
    assert all(wait.done() for wait in line.waits)
    places.release()
    assert not is_full(places)


def test_names_what_it_is() -> None:
    """The message of a deadlock names what the task waits for."""
    assert repr(SlotWait()) == "a slot in the full queue"


@given(st.integers(1, 4), st.lists(st.sampled_from(["acquire", "timeout", "release"]), max_size=40))
def test_counts(bound: int, steps: list[str]) -> None:
    """After any steps, the slots taken and free add up to the bound."""
    places, taken = QueueSlots(bound), 0
    for step in steps:
        if step == "release":
            if taken:
                places.release()
                taken -= 1
            continue
        try:
            acquire(places, block=step == "timeout", timeout=0.0)
            taken += 1
        except QueueFull:
            assert taken == bound
    assert places._free == bound - taken
