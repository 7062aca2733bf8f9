"""The circuit breaker: closed while creations succeed; one probe at a time, after growing pauses, while they fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.creation import BREAKER_MOVES, MAX_DELAY, BreakerMove, BreakerState, CreationGate, recovered

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


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


def test_closed_while_nothing_fails() -> None:
    """While creations succeed, all that are wanted may begin."""
    tried = gate()
    assert tried.allowed(0.0, wanted=7, under_way=3) == 7
    tried.begun(0.0)
    assert (tried.state, tried.closed, tried.due(0.0)) == (CLOSED, True, False)


def test_every_state_has_its_moves() -> None:
    """In every state, a creation may fail or succeed; a probe begins in the open one alone."""
    for state in BreakerState:
        assert BREAKER_MOVES[state, BreakerMove.FAILED] is OPEN
        assert BREAKER_MOVES[state, BreakerMove.SUCCEEDED] is CLOSED
    assert [state for state, move in BREAKER_MOVES if move is BreakerMove.PROBED] == [OPEN]


def test_a_creation_that_was_not_needed() -> None:
    """It says nothing: if it was the probe, the next one is; if all is well, that stays so."""
    tried = gate(drawn=1.0)
    tried.withdrawn()
    assert tried.state is CLOSED
    tried.failed(0.0, "x")
    tried.begun(tried.retry_at)
    assert not tried.due(tried.retry_at)
    tried.withdrawn()
    assert (tried.state, tried.failures, tried.error) == (OPEN, 1, "x")
    assert tried.allowed(tried.retry_at, wanted=7, under_way=0) == 1


def test_backoff_doubles_up_to_the_cap() -> None:
    """Each failure doubles the longest pause, up to 30 seconds."""
    longest = gate(drawn=1.0)
    delays = [longest.failed(0.0, "x") for _ in range(12)]
    assert delays == pytest.approx([min(30.0, 0.1 * 2**n) for n in range(12)])
    assert MAX_DELAY == 30.0


def test_full_jitter() -> None:
    """The pause is anything between 0 and the limit."""
    assert gate(drawn=0.0).failed(0.0, "x") == 0.0
    assert gate(drawn=0.5).failed(0.0, "x") == pytest.approx(0.05)
    assert gate(drawn=1.0).failed(0.0, "x") == pytest.approx(0.1)


@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0.001, 100.0))
def test_delay_within_bounds(seed: int, failures: int, first: float) -> None:
    """Every pause lies between 0 and the capped backoff."""
    tried = CreationGate(first, random.Random(seed))
    delay = 0.0
    for _ in range(failures):
        delay = tried.failed(5.0, "x")
    assert 0.0 <= delay <= min(30.0, first * 2.0 ** min(failures - 1, 30))
    assert tried.retry_at == 5.0 + delay


def test_same_seed_same_jitter() -> None:
    """Two breakers with equal rngs return equal delays."""
    one, other = (CreationGate(0.1, random.Random(3)) for _ in range(2))
    assert [one.failed(0.0, "x") for _ in range(9)] == [other.failed(0.0, "x") for _ in range(9)]


def test_thousands_of_failures_do_not_overflow() -> None:
    """After thousands of failures, the delay is the maximum."""
    failing = gate(drawn=1.0)
    assert max(failing.failed(0.0, "x") for _ in range(5000)) == 30.0


def test_one_at_a_time_while_failing() -> None:
    """While creations fail, one may begin, after the pause, and only if none is under way."""
    failing = gate(drawn=1.0)
    failing.failed(10.0, "x")
    assert failing.allowed(10.09, wanted=5, under_way=0) == 0
    assert failing.allowed(10.1, wanted=5, under_way=0) == 1
    assert failing.allowed(10.1, wanted=5, under_way=1) == 0
    assert failing.allowed(10.1, wanted=0, under_way=0) == 0


def test_half_open_waits_for_the_probe() -> None:
    """While the probe is under way, nothing else begins; its failure opens the breaker, its success closes it."""
    tried = gate(drawn=1.0)
    tried.failed(10.0, "x")
    tried.begun(10.2)
    assert (tried.state, tried.due(99.0)) == (HALF_OPEN, False)
    assert tried.allowed(99.0, wanted=5, under_way=0) == 0
    assert tried.failed(10.3, "x", begun=10.2) == pytest.approx(0.2)
    assert (tried.state, tried.failures) == (OPEN, 2)
    tried.begun(10.6)
    tried.succeeded(10.7)
    assert (tried.state, tried.failures) == (CLOSED, 0)


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


def test_a_late_failure_does_not_end_the_probe() -> None:
    """One that began before the probe and fails after it says nothing new: the probe is still waited for."""
    tried = gate(drawn=1.0)
    tried.failed(1.0, "x", begun=0.5)
    tried.begun(1.1)
    assert tried.failed(1.2, "y", begun=0.6) == 0.0
    assert (tried.state, tried.failures) == (HALF_OPEN, 1)


def test_a_probe_without_a_pause_counts() -> None:
    """A probe that begins in the very moment of the failure before, because its pause is 0, is a failure of its own."""
    tried = gate(drawn=0.0)
    tried.failed(1.0, "x", begun=0.5)
    tried.begun(1.0)
    tried.failed(1.0, "x", begun=1.0)
    assert (tried.state, tried.failures) == (OPEN, 2)


def test_success_closes_it() -> None:
    """One success resets the failures, their error and the backoff, and is worth a message."""
    tried = gate(drawn=1.0)
    for _ in range(4):
        tried.failed(0.0, "no route")
    assert (tried.failures, tried.error) == (4, "no route")
    assert len(recovered(tried, 1.0, 0.5)) == 1
    assert (tried.failures, tried.error) == (0, None)
    assert tried.allowed(0.0, wanted=5, under_way=1) == 5
    assert tried.failed(0.0, "x") == pytest.approx(0.1)
    assert recovered(gate(), 1.0, 0.5) == []


def test_dependency_down_opens_it_once() -> None:
    """However many users of a resource find the dependency down, that is one failure."""
    tried = gate(drawn=1.0)
    assert tried.dependency_down(1.0, "down", 0.9) == pytest.approx(0.1)
    assert [tried.dependency_down(now, "down", 0.9) for now in (1.04, 1.2)] == [None, None]
    assert (tried.state, tried.failures, tried.error) == (OPEN, 1, "down")
    tried.begun(1.2)
    tried.dependency_down(1.3, "still", 1.3)
    assert (tried.state, tried.failures, tried.error, tried.down) == (HALF_OPEN, 1, "down", True)
    tried.succeeded(1.4, 1.2)
    assert not tried.down


def test_a_relapse_goes_on_with_the_backoff() -> None:
    """A dependency that is down again right after a probe has succeeded: the pauses grow as if the probe had failed. Later
    it is a new outage."""
    tried = gate(drawn=1.0)
    now, delays = 0.0, []
    for _ in range(5):
        delays.append(tried.dependency_down(now, "down", now))
        now = tried.retry_at
        tried.begun(now)
        tried.succeeded(now, now)
        now += 0.01
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert tried.dependency_down(now + 1.6, "down", now + 1.6) == pytest.approx(0.1)


def test_what_began_before_the_probe_is_old() -> None:
    """An attempt that had begun by then says nothing of what is now. The first one of the probe's own worker does, though the
    breaker is closed a moment later."""
    tried = gate(drawn=1.0)
    tried.dependency_down(1.0, "down", 0.9)
    tried.begun(1.1)
    tried.succeeded(1.2, 1.1)
    tried.dependency_down(1.3, "down", 1.05)
    assert tried.closed
    tried.dependency_down(1.3, "down", 1.15)
    assert not tried.closed


def test_a_creation_that_had_begun_says_nothing_of_a_dependency() -> None:
    """Resources can be made while what they depend on is down, so only the probe closes the breaker. Where creations fail, any that
    succeeds does."""
    tried = gate(drawn=1.0)
    tried.dependency_down(1.0, "down", 0.9)
    assert recovered(tried, 1.01, 0.95) == recovered(tried, 1.02, None) == []
    assert (tried.state, tried.down, tried.failures) == (OPEN, True, 1)
    tried.begun(1.1)
    assert recovered(tried, 1.15, 0.99) == []
    assert (tried.state, tried.down) == (HALF_OPEN, True)
    assert len(recovered(tried, 1.2, 1.1)) == 1
    assert (tried.state, tried.down) == (CLOSED, False)

    tried = gate(drawn=1.0)
    tried.failed(1.0, "x", 0.9)
    assert len(recovered(tried, 1.01, 0.95)) == 1
    assert tried.closed
