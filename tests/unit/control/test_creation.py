"""The creation gate: open while creations succeed; one at a time, with backoff and jitter, while they fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.creation import MAX_DELAY, CreationGate


class FixedRandom(random.Random):
    """An rng that always returns the same number."""

    def __init__(self, drawn: float) -> None:
        super().__init__(0)
        self.drawn = drawn

    def random(self) -> float:
        """Returns the number."""
        return self.drawn


def gate(drawn: float = 0.0, first: float = 0.1) -> CreationGate:
    """A gate whose jitter is known."""
    return CreationGate(first, FixedRandom(drawn))


def test_open_while_nothing_fails() -> None:
    """While creations succeed, all that are wanted may begin."""
    assert gate().allowed(0.0, wanted=7, starting=3) == 7


def test_backoff_doubles_up_to_the_cap() -> None:
    """Each failure doubles the delay, up to 30 seconds."""
    fixed_half = gate(drawn=0.0)
    delays = [2 * fixed_half.failed(0.0, "x") for _ in range(12)]
    assert delays == pytest.approx([min(30.0, 0.1 * 2**n) for n in range(12)])
    assert MAX_DELAY == 30.0


def test_jitter_is_the_upper_half() -> None:
    """Half of the delay is fixed and half is random."""
    assert gate(drawn=0.0).failed(0.0, "x") == pytest.approx(0.05)
    assert gate(drawn=0.5).failed(0.0, "x") == pytest.approx(0.075)
    assert gate(drawn=1.0).failed(0.0, "x") == pytest.approx(0.1)


@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0.001, 100.0))
def test_delay_within_bounds(seed: int, failures: int, first: float) -> None:
    """Every delay lies between half of the capped backoff and all of it."""
    tried = CreationGate(first, random.Random(seed))
    delay = 0.0
    for _ in range(failures):
        delay = tried.failed(5.0, "x")
    full = min(30.0, first * 2.0 ** min(failures - 1, 30))
    assert full / 2 <= delay <= full
    assert tried.retry_at == 5.0 + delay


def test_same_seed_same_jitter() -> None:
    """Two gates with equal rngs return equal delays."""
    one, other = (CreationGate(0.1, random.Random(3)) for _ in range(2))
    assert [one.failed(0.0, "x") for _ in range(9)] == [other.failed(0.0, "x") for _ in range(9)]


def test_thousands_of_failures_do_not_overflow() -> None:
    """After thousands of failures, the delay is the maximum."""
    failing = gate(drawn=1.0)
    assert max(failing.failed(0.0, "x") for _ in range(5000)) == 30.0


def test_one_at_a_time_while_failing() -> None:
    """While creations fail, one may begin, after the delay, and only if none is under way."""
    failing = gate(drawn=1.0)
    failing.failed(10.0, "x")
    assert failing.allowed(10.09, wanted=5, starting=0) == 0
    assert failing.allowed(10.1, wanted=5, starting=0) == 1
    assert failing.allowed(10.1, wanted=5, starting=1) == 0
    assert failing.allowed(10.1, wanted=0, starting=0) == 0


def test_parallel_failures_are_one() -> None:
    """Creations that were under way when the first of them failed count as one failure, whose delay begins with the last
    of them; one that began later is the next failure."""
    tried = gate(drawn=1.0)
    assert tried.failed(1.0, "x", begun=0.5) == pytest.approx(0.1)
    assert tried.failed(1.04, "y", begun=0.5) == pytest.approx(0.1)
    assert tried.failed(1.3, "z", begun=1.0) == pytest.approx(0.1)
    assert (tried.failures, tried.error, tried.retry_at) == (1, "z", pytest.approx(1.4))
    assert tried.failed(1.6, "x", begun=1.3) == pytest.approx(0.2)
    assert tried.failures == 2


def test_success_opens_it() -> None:
    """One success resets the failures, their error and the backoff."""
    tried = gate(drawn=1.0)
    for _ in range(4):
        tried.failed(0.0, "no route")
    assert (tried.failures, tried.error) == (4, "no route")
    tried.succeeded()
    assert (tried.failures, tried.error) == (0, None)
    assert tried.allowed(0.0, wanted=5, starting=1) == 5
    assert tried.failed(0.0, "x") == pytest.approx(0.1)
