"""Erlang C: the number of workers that a load needs."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.staffing import workers_needed

LOADS = st.floats(0.01, 100.0)


@pytest.mark.parametrize(
    ("load", "wait", "risk", "needed"),
    [
        (0.0, 0.1, 0.01, 0),
        (0.5, 0.0, 0.5, 1),  # one server is busy half of the time
        (0.5, 0.0, 0.49, 2),
        (2.0, 0.0, 0.45, 3),  # C(3, 2) = 4/9
        (2.0, 0.0, 0.44, 4),
        (10.0, 0.0, 0.01, 19),  # C(18, 10) = 0.0154, C(19, 10) = 0.0076
        (10.0, 1.0, 0.01, 14),
        (100.0, 1.0, 0.01, 105),
    ],
)
def test_known_values(load: float, wait: float, risk: float, needed: int) -> None:
    """Results agree with the Erlang C table, with a service time of one second."""
    assert workers_needed(load, 1.0, wait, risk, 1000) == needed


def test_nothing_to_do() -> None:
    """Tasks that take no time need no worker."""
    assert workers_needed(5.0, 0.0, 0.1, 0.01, 10) == 0


def test_at_most() -> None:
    """A load beyond the maximum, even an infinite one, gets the maximum."""
    assert workers_needed(50.0, 1.0, 0.1, 0.01, 8) == 8
    assert workers_needed(math.inf, 1.0, 0.1, 0.01, 8) == 8
    assert workers_needed(0.5, 1.0, 0.1, 0.01, 1) == 1


@given(load=LOADS, service=st.floats(0.001, 10.0), wait=st.floats(0.0, 10.0), risk=st.floats(0.001, 0.999))
def test_more_than_the_load(load: float, service: float, wait: float, risk: float) -> None:
    """The result is always more than the load: otherwise the queue would grow without end."""
    assert workers_needed(load, service, wait, risk, 1000) > load


@given(load=LOADS, more=LOADS, wait=st.floats(0.0, 10.0), longer=st.floats(0.0, 10.0))
def test_monotone(load: float, more: float, wait: float, longer: float) -> None:
    """More load never needs fewer, a longer allowed wait never more."""
    assert workers_needed(load + more, 1.0, wait, 0.01, 1000) >= workers_needed(load, 1.0, wait, 0.01, 1000)
    assert workers_needed(load, 1.0, wait + longer, 0.01, 1000) <= workers_needed(load, 1.0, wait, 0.01, 1000)


@pytest.mark.parametrize("load", [100.0, 1000.0])
def test_square_root_staffing(load: float) -> None:
    """For large loads the spare workers come to a multiple of the load's square root (Halfin and Whitt: about 2.3
    times, if one task in a hundred may wait)."""
    spare = (workers_needed(load, 1.0, 0.0, 0.01, 10_000) - load) / math.sqrt(load)
    assert spare == pytest.approx(2.3, abs=0.3)
