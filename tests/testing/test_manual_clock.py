"""A ManualClock stands still until it is moved; contexts made from it live in its time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tasker import DeadlockError, TaskCancelled, TaskTimeout
from tasker.testing import ManualClock


def test_it_moves_when_it_is_moved() -> None:
    """``advance`` adds seconds, ``advance_to`` never goes back; it begins at the monotonic time unless told otherwise."""
    clock = ManualClock(10)
    assert (clock.now(), repr(clock)) == (10, "<ManualClock 10>")
    clock.advance(2.5)
    clock.advance_to(11)
    assert clock.now() == 12.5
    before = time.monotonic()
    assert before <= ManualClock().now() <= time.monotonic()


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), True, "1"])
def test_what_is_no_time_is_refused(wrong: Any) -> None:
    """``ValueError``, and the clock stays where it is."""
    clock = ManualClock(0)
    for call in (clock.advance, lambda value: clock.call_later(value, print)):
        with pytest.raises(ValueError, match="must be a finite number of seconds, at least 0"):
            call(wrong)
    if wrong != -1:
        for call in (ManualClock, clock.advance_to):
            with pytest.raises(ValueError, match="must be a finite number"):
                call(wrong)
    assert clock.now() == 0


def test_calls_are_made_at_their_moments() -> None:
    """In the order of their moments, on the way; one that was taken back is not made, and one may move the clock or add
    another."""
    clock = ManualClock(0)
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, clock.now()))

    clock.call_later(2, lambda: note("second"))
    clock.call_later(1, lambda: (note("first"), clock.call_later(0.5, lambda: note("added"))))
    clock.call_later(2, lambda: note("third"))
    clock.call_later(0.25, lambda: note("never"))()
    clock.call_later(9, lambda: note("late"))
    assert clock.next_call == 1
    clock.advance(5)
    assert seen == [("first", 1), ("added", 1.5), ("second", 2), ("third", 2)]
    assert (clock.now(), clock.next_call) == (5, 9)
    clock.call_later(1, lambda: clock.advance(7))
    clock.advance(2)
    assert seen[-1] == ("late", 9)
    assert (clock.now(), clock.next_call) == (13, None)


def test_what_a_call_raises_is_raised_by_who_moves_the_clock() -> None:
    """The clock stays at that moment, and the next move goes on."""
    clock = ManualClock(0)
    clock.call_later(1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        clock.advance(3)
    assert clock.now() == 1
    clock.advance(2)
    assert clock.now() == 3


def test_a_deadline_passes_with_the_clock() -> None:
    """In whatever way the context was derived; the time of the machine has no part in it."""
    clock = ManualClock(0)
    root = clock.context()
    ctx = root.with_timeout(5)
    nested = ctx.with_value("key", "value").child().with_deadline(100)
    assert (ctx.deadline, nested.deadline, ctx.remaining(), root.remaining()) == (5, 5, 5, None)
    clock.advance(4.9)
    assert not nested.cancelled
    assert nested.remaining() == pytest.approx(0.1)
    clock.advance(0.1)
    assert nested.cancelled and ctx.cancelled and not root.cancelled
    with pytest.raises(TaskTimeout):
        nested.raise_if_cancelled()
    assert nested.value("key") == "value"
    assert nested.remaining() == 0


def test_wait_moves_the_clock() -> None:
    """By the timeout, or up to the deadline, exactly; a cancelled context does not wait."""
    clock = ManualClock(0.1)
    ctx = clock.context().with_timeout(0.7)
    assert ctx.wait(0.2) is False
    assert clock.now() == pytest.approx(0.3)
    assert ctx.wait(60) is True
    assert clock.now() == ctx.deadline
    assert ctx.wait() is True
    assert clock.context().wait(-1) is False
    assert clock.now() == ctx.deadline


def test_wait_ends_when_a_call_cancels() -> None:
    """What is due on the way happens, and may end the wait, one without a limit too; callbacks are called."""
    clock = ManualClock(0)
    ctx = clock.context().child()
    called: list[float] = []
    ctx.on_cancel(lambda: called.append(clock.now()))
    clock.call_later(3, lambda: ctx.cancel("enough"))
    assert ctx.wait() is True
    assert (clock.now(), called) == (3, [3])
    with pytest.raises(TaskCancelled, match="enough"):
        ctx.raise_if_cancelled()


def test_a_wait_that_nothing_ends_is_refused() -> None:
    """In virtual time nobody else would end it."""
    with pytest.raises(DeadlockError):
        ManualClock().context().wait()


def test_a_key_that_cannot_be_hashed_is_refused() -> None:
    """As by any context."""
    with pytest.raises(TypeError):
        ManualClock().context().with_value([], 1)


def test_wait_async_moves_the_clock() -> None:
    """And lets the other tasks of the loop run."""
    clock = ManualClock(0)

    async def main() -> list[str]:
        seen: list[str] = []
        asyncio.get_running_loop().call_soon(seen.append, "other")
        assert not await clock.context().wait_async(5)
        return seen

    assert asyncio.run(main()) == ["other"]
    assert clock.now() == 5
