"""How long an idle worker is kept, and when one is made before it is needed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.control.holding import ENOUGH, IdlePlan, idle_plan

CREATION = 0.5
PRICE = 1.5


def plan(*gaps: float, price: float = PRICE, creation: float = CREATION, most: float = 60.0) -> IdlePlan:
    """The plan for a worker whose idle times were these."""
    return idle_plan(gaps, price, creation, most)


def test_without_knowledge() -> None:
    """As long as too few gaps are known, a worker is kept until it has cost as much as another one would, but no longer
    than the maximum."""
    assert plan(*[9.0] * (ENOUGH - 1)) == IdlePlan(PRICE)
    assert plan(price=100.0) == IdlePlan(60.0)


def test_short_gaps_are_sat_out() -> None:
    """A worker that is always needed again soon is kept for a little longer than that takes, and no other one is made."""
    kept = plan(*[0.8] * 8)
    assert 0.8 < kept.keep < PRICE
    assert kept.warm == math.inf


def test_long_gaps_that_vary() -> None:
    """A worker whose gaps are long and unlike each other is let go as soon as a creation would have taken."""
    gone = plan(20.0, 31.0, 47.0, 12.0, 70.0, 25.0)
    assert gone.keep < PRICE
    assert not gone.makes(30.0)
    assert not gone.wants(30.0)


def test_long_gaps_that_are_alike() -> None:
    """A worker whose gaps are long and alike is let go, and another one is made shortly before they are over."""
    warm = plan(30.0, 30.2, 30.1, 30.0, 30.3)
    assert warm.wants(0.0)
    assert not warm.wants(10.0)
    assert not warm.makes(28.0)
    assert warm.makes(29.6)
    assert warm.wants(30.4)
    assert not warm.wants(31.0), "it was not needed this time"


def test_short_gaps_and_long_ones() -> None:
    """A worker is kept over the short gaps, is then let go, and another one is made for the long ones."""
    both = plan(*[0.7] * 12, *[30.0] * 5)
    assert 0.7 < both.keep < 1.5
    assert both.makes(29.5)


def test_no_longer_than_the_maximum() -> None:
    """However dear a creation is, an idle worker is kept for no longer than the maximum."""
    assert plan(*[50.0] * 9, price=600.0, creation=200.0, most=10.0).keep <= 200.0 * 1.1
    assert plan(*[50.0] * 9, price=600.0, creation=1.0, most=10.0).keep <= 10.0


def test_free_creations() -> None:
    """Where making a worker takes no time, keeping it over short gaps is still cheaper than to make it each time."""
    assert plan(*[0.4] * 9, price=1.0, creation=0.0).wants(0.4)


@pytest.mark.parametrize("gap", [0.3, 1.0, 3.0, 40.0])
def test_it_costs_at_most_as_much_as_without_knowledge(gap: float) -> None:
    """For gaps that are all alike, the plan costs no more than ski rental without knowledge, but for its margin."""

    def cost(chosen: IdlePlan) -> float:
        if gap < chosen.keep:
            return gap
        if chosen.warm <= gap - CREATION:
            return chosen.keep + PRICE / 3 + gap - chosen.warm - CREATION
        return chosen.keep + PRICE

    assert cost(plan(*[gap] * 12)) <= cost(IdlePlan(PRICE)) + PRICE / 3


@given(st.lists(st.floats(0.001, 1000.0), max_size=24), st.floats(0.0, 60.0), st.floats(0.0, 60.0))
def test_for_any_numbers(gaps: list[float], price: float, creation: float) -> None:
    """For any numbers, a plan keeps first and makes later, and never makes one that it does not want."""
    made = plan(*gaps, price=price, creation=creation)
    assert made.keep >= 0.0
    assert made.warm >= 0.0
    assert all(made.wants(idle) for idle in (0.0, 1.0, 10.0, 500.0) if made.makes(idle))
