"""The oracle: exact where the optimum is known, and never above the cost of a pool that meets its conditions."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasker.control.view import Plan
from tasker.simulation import arrivals, services
from tasker.simulation.creation import Creation
from tasker.simulation.oracle import LowerBound, downsampled, lower_bound
from tasker.simulation.pool import SimulatedPool
from tasker.simulation.taut_string import taut_string
from tasker.simulation.workload import Tasks, Workload


def tasks_of(*pairs: tuple[float, float]) -> Tasks:
    ordered = sorted(pairs)
    return Tasks(array("d", [arrival for arrival, _ in ordered]), array("d", [service for _, service in ordered]))


def bound_of(tasks: Tasks, duration: float, base: int, target: float, price: float) -> LowerBound:
    waits = [0.0] * len(tasks)  # a maximum pool in which nothing waits
    return lower_bound(tasks, waits, base=base, duration=duration, target_wait=target, creation=Creation(price))


def optimum_without_waiting(tasks: Tasks, duration: float, base: int, price: float) -> float:
    """The minimum of worker-seconds if no task waits, exactly (Lu, Chen and Andrew, 2013): the k-th worker is needed
    while k tasks run; between two such times it is kept or made anew, whichever is cheaper."""
    steps = [(at, 1) for at in tasks.arrivals]
    steps += [(at + service, -1) for at, service in zip(tasks.arrivals, tasks.services, strict=True)]
    end = max(duration, max((at for at, _ in steps), default=0.0))
    total, running, idle_since, last = base * end, 0, {}, 0.0
    for at, step in sorted(steps):
        total += max(0, running - base) * (at - last)
        last = at
        running += step
        if step == 1 and running > base:
            gap = at - idle_since[running] if running in idle_since else math.inf
            total += min(price, gap)
        elif step == -1 and running + 1 > base:
            idle_since[running + 1] = at
    return total


# -- the taut string ---------------------------------------------------------------------------------------------------


def test_the_string_goes_round_corners() -> None:
    """The string is straight where it can be, and bends at a corner of the lower or upper side."""
    times = [0.0, 1.0, 2.0, 3.0, 4.0]
    assert taut_string(times, [0, 0, 0, 0, 4], [0, 4, 4, 4, 4]) == [(0, 0), (4, 4)]
    assert taut_string(times, [0, 3, 3, 3, 4], [0, 4, 4, 4, 4]) == [(0, 0), (1, 3), (4, 4)]
    assert taut_string(times, [0, 0, 0, 0, 4], [0, 4, 4, 1, 4]) == [(0, 0), (3, 1), (4, 4)]


steps = st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=2, max_size=30)


@settings(max_examples=200, deadline=None)
@given(steps=steps, weights=st.lists(st.floats(0, 1), min_size=31, max_size=31), level=st.floats(0, 8))
def test_no_line_is_tauter(steps: list[tuple[float, float]], weights: list[float], level: float) -> None:
    """In a random tube, the string stays inside, and another line has no smaller integral of max(level, slope)."""
    upper, lower = [0.0], [0.0]
    for rise, slack in steps:
        upper.append(upper[-1] + rise)
        lower.append(max(lower[-1], upper[-1] - slack))
    lower[-1] = upper[-1]
    times = [float(number) for number in range(len(upper))]
    corners = taut_string(times, lower, upper)
    assert corners[0] == (0, 0)
    assert corners[-1] == (times[-1], upper[-1])
    for time, least, most in zip(times, lower, upper, strict=True):
        before, after = next(pair for pair in pairwise(corners) if pair[0][0] <= time <= pair[1][0])
        at = before[1] + (after[1] - before[1]) * (time - before[0]) / (after[0] - before[0])
        assert least - 1e-9 <= at <= most + 1e-9
    other, at = [], 0.0
    for least, most, weight in zip(lower, upper, weights, strict=False):
        at = max(at, least + weight * (most - least))
        other.append(at)
    taut = sum((b[0] - a[0]) * max(level, (b[1] - a[1]) / (b[0] - a[0])) for a, b in pairwise(corners))
    assert taut <= sum(max(level, b - a) for a, b in pairwise(other)) + 1e-6


# -- the bound ---------------------------------------------------------------------------------------------------------


def test_nothing_arrives() -> None:
    """Without a task, the bound is the cost of the base."""
    assert bound_of(tasks_of(), 50.0, 3, 0.1, 1.0).worker_seconds == 150.0


def test_within_the_base() -> None:
    """Tasks that the base can run cost nothing more."""
    bound = bound_of(tasks_of(*((float(n), 0.5) for n in range(50))), 50.0, 3, 0.1, 1.0)
    assert bound.worker_seconds == pytest.approx(150.0)
    assert bound.creations == 0


def test_one_block() -> None:
    """Ten tasks of 3 s at once with a base of 4 need six more workers for 3 s, each with a second of creation."""
    bound = bound_of(tasks_of(*[(10.0, 3.0)] * 10), 50.0, 4, 0.0, 1.0)
    assert bound.worker_seconds == pytest.approx(200 + 6 * 3 + 6 * 1, rel=1e-3)
    assert bound.creations == pytest.approx(6, rel=1e-3)


@pytest.mark.parametrize(("gap", "each"), [(0.5, 0.5), (20.0, 1.0)])
def test_kept_or_made_anew(gap: float, each: float) -> None:
    """Between two blocks of tasks, a worker is kept if the gap is shorter than a creation, otherwise made anew."""
    blocks = [(10.0, 3.0)] * 10 + [(13.0 + gap, 3.0)] * 10
    bound = bound_of(tasks_of(*blocks), 60.0, 4, 0.0, 1.0)
    assert bound.worker_seconds == pytest.approx(240 + 2 * 6 * 3 + 6 * (1 + each), rel=2e-3)


loads = st.lists(st.tuples(st.floats(0, 30), st.floats(0.01, 4)), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    load=loads,
    base=st.integers(0, 5),
    target=st.sampled_from([0.0, 0.1, 1.0]),
    price=st.sampled_from([0.0, 0.3, 2.0, 100.0]),
)
def test_never_above_the_optimum(load: list[tuple[float, float]], base: int, target: float, price: float) -> None:
    """Whatever the target wait, the bound is at most the exact optimum without waiting, and at least the cost of the
    base and of the work."""
    tasks = tasks_of(*load)
    optimum = optimum_without_waiting(tasks, 30.0, base, price)
    bound = bound_of(tasks, 30.0, base, target, price)
    assert bound.worker_seconds <= optimum + 1e-6
    assert bound.worker_seconds >= base * 30.0 - 1e-6
    assert bound.worker_seconds >= tasks.work - 1e-6


@pytest.mark.parametrize("price", [0.0, 0.5, 5.0])
def test_close_to_the_optimum(price: float) -> None:
    """For many tasks that must not wait, the bound is within 10% of the exact optimum."""
    load = Workload(name="w", arrivals=arrivals.square(2, 20, 60), services=services.Exponential(1.0), duration=600)
    tasks = load.draw(1)
    optimum = optimum_without_waiting(tasks, 600, 4, price)
    assert 0.9 * optimum < bound_of(tasks, 600, 4, 0.0, price).worker_seconds <= optimum + 1e-6


@settings(max_examples=60, deadline=None)
@given(load=loads, base=st.integers(1, 3), more=st.integers(0, 4), price=st.sampled_from([0.0, 0.5]))
def test_never_above_a_pool_that_keeps_the_promise(
    load: list[tuple[float, float]], base: int, more: int, price: float
) -> None:
    """Also if the maximum is too small: a fixed pool of that size starts each task no later than itself, so it costs at
    least the bound."""
    tasks = tasks_of(*load)
    count = base + more
    plan = Plan(count, count, scales=False)
    outcome = SimulatedPool(plan, tasks, 30.0, creation=Creation(price)).run()
    bound = lower_bound(tasks, outcome.waits, base=base, duration=30.0, target_wait=0.1, creation=Creation(price))
    assert bound.worker_seconds <= outcome.worker_seconds + more * price + 1e-6
    assert bound.worker_seconds >= tasks.work - 1e-6


def test_tasks_that_were_given_up_are_left_out() -> None:
    """A task that even the fixed maximum pool gave up does not count."""
    tasks = tasks_of((1.0, 2.0), (2.0, 2.0))
    waits = [0.0, math.nan]
    one = lower_bound(tasks, waits, base=0, duration=10.0, target_wait=0.0)
    assert one.worker_seconds == pytest.approx(2.0, rel=1e-3)
    none = lower_bound(tasks, [math.nan, math.nan], base=2, duration=10.0, target_wait=0.0)
    assert none.worker_seconds == 20.0


def test_downsampled() -> None:
    """The result has at most the given number of steps, and every peak."""
    steps = [(number / 100, 9.0 if number == 777 else 2.0) for number in range(10_000)]
    thin = downsampled(steps, 50)
    assert 40 <= len(thin) <= 50
    assert [workers for _, workers in thin].count(9.0) == 1
    assert downsampled(steps[:30], 50) == steps[:30]
