"""The sliding rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.rates import SlidingRate


def test_nothing_yet() -> None:
    """With one sample, or two at the same moment, the rate is 0."""
    rate = SlidingRate(10.0, 5.0)
    assert rate.rate() == 0.0
    rate.sample(5.0, 100)
    assert rate.rate() == 0.0


def test_growth_a_second() -> None:
    """The rate is the growth over the window, divided by the seconds."""
    rate = SlidingRate(10.0, 0.0)
    rate.sample(2.0, 30)
    assert rate.rate() == 15.0


def test_starts_from_the_given_number() -> None:
    """The number at the start does not count as growth."""
    rate = SlidingRate(10.0, 0.0, 1000)
    rate.sample(2.0, 1010)
    assert rate.rate() == 5.0


def test_forgets_what_is_older_than_the_window() -> None:
    """A burst that is older than the window does not count."""
    rate = SlidingRate(1.0, 0.0)
    rate.sample(0.1, 1000)
    for n in range(2, 16):
        rate.sample(n / 10, 1000)
    assert rate.rate() == 0.0


def test_keeps_one_sample_at_the_edge_of_the_window() -> None:
    """After a pause as long as the window, the newest sample is still measured against an earlier one."""
    rate = SlidingRate(1.0, 0.0)
    rate.sample(10.0, 20)
    assert rate.rate() == 2.0
    rate.sample(11.0, 20)
    assert rate.rate() == 0.0


def test_close_samples_are_merged() -> None:
    """However often it is fed, it holds about a hundred samples."""
    rate = SlidingRate(1.0, 0.0)
    for n in range(20_000):
        rate.sample(n / 10_000, n)
        assert len(rate._samples) <= 104
    assert rate.rate() == pytest.approx(10_000, rel=0.02)


@given(st.lists(st.tuples(st.just(0.0) | st.floats(1e-6, 5), st.integers(0, 50)), max_size=60))
def test_never_negative_and_never_more_than_the_steepest_step(
    steps: list[tuple[float, int]],
) -> None:
    """For a number that only grows, the rate lies between 0 and the whole growth in the time of the samples."""
    rate, now, number = SlidingRate(2.0, 0.0), 0.0, 0
    for pause, growth in steps:
        now, number = now + pause, number + growth
        rate.sample(now, number)
    assert rate.rate() >= 0.0
    span = rate._samples[-1][0] - rate._samples[0][0]
    assert rate.rate() * span <= number + 1e-6
