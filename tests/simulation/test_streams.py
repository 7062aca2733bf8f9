"""Arrivals and service times: rate, mean and order are right, and the same seed gives the same ones."""

from __future__ import annotations

import itertools
import math
import random
from statistics import fmean, pvariance

import pytest

from tasker.simulation import arrivals, services
from tasker.simulation.workload import Workload


def drawn(stream: arrivals.Arrivals, duration: float, seed: int = 1) -> list[float]:
    moments = list(stream.times(random.Random(seed), duration))
    assert moments == sorted(moments)
    assert all(0 <= moment < duration for moment in moments)
    return moments


def near(counted: int, expected: float) -> bool:
    """Returns whether a Poisson number is within five standard deviations of its expected value."""
    return abs(counted - expected) < 5 * math.sqrt(expected)


def test_regular() -> None:
    """Regular arrivals are equidistant, the first at 0, none at the end."""
    assert drawn(arrivals.Regular(4), 1.0) == [0.0, 0.25, 0.5, 0.75]


def test_poisson() -> None:
    """Poisson arrivals have the given rate, and times between them with the variance of the exponential
    distribution."""
    moments = drawn(arrivals.Poisson(100), 200)
    assert near(len(moments), 20_000)
    between = [after - before for before, after in itertools.pairwise(moments)]
    assert pvariance(between) == pytest.approx(fmean(between) ** 2, rel=0.05)


@pytest.mark.parametrize(
    ("stream", "stretches"),
    [
        (arrivals.square(10, 100, 20), [((0, 10), 100), ((10, 20), 1000), ((20, 30), 100), ((30, 40), 1000)]),
        (arrivals.ramp(0, 100, 40), [((0, 20), 500), ((20, 40), 1500)]),
        (arrivals.spike(10, 200, 15, 5), [((0, 15), 150), ((15, 20), 1000), ((20, 40), 200)]),
        (arrivals.diurnal(10, 100, 40), [((0, 10), 550 - 45 * 20 / math.pi), ((10, 20), 550 + 45 * 20 / math.pi)]),
    ],
    ids=["square", "ramp", "spike", "diurnal"],
)
def test_varying(stream: arrivals.NonHomogeneousPoisson, stretches: list[tuple[tuple[float, float], float]]) -> None:
    """Each interval of a varying stream has as many arrivals as the integral of the rate."""
    moments = drawn(stream, 40)
    for (begin, end), expected in stretches:
        assert near(sum(begin <= moment < end for moment in moments), expected), (begin, end)
    assert all(stream.rate(moment) <= stream.highest for moment in moments)


@pytest.mark.parametrize(
    ("stream", "tolerance"),
    [
        (services.Constant(0.05), 1e-9),
        (services.Exponential(0.05), 0.02),
        (services.LogNormal(0.05, 1.0), 0.03),
        (services.Pareto(0.05, 2.5), 0.03),
        (services.Empirical((0.02, 0.08)), 0.02),
    ],
    ids=lambda value: type(value).__name__,
)
def test_means(stream: services.ServiceTimes, tolerance: float) -> None:
    """Each distribution has the given mean."""
    values = list(itertools.islice(stream.durations(random.Random(2)), 50_000))
    assert min(values) > 0
    assert fmean(values) == pytest.approx(0.05, rel=tolerance)


def workload(**changes: object) -> Workload:
    given: dict[str, object] = {
        "name": "w",
        "arrivals": arrivals.Poisson(50),
        "services": services.Exponential(0.1),
        "duration": 20.0,
        **changes,
    }
    return Workload(**given)  # type: ignore[arg-type]


def test_a_seed_is_a_workload() -> None:
    """The same seed draws the same tasks, another seed draws others."""
    assert workload().draw(3) == workload().draw(3)
    assert workload().draw(3) != workload().draw(4)


def test_streams_do_not_disturb_each_other() -> None:
    """Other service times do not change the arrivals."""
    assert workload().draw(3).arrivals == workload(services=services.Pareto(0.1)).draw(3).arrivals


def test_what_is_given_ends_where_it_ends() -> None:
    """A trace gives its own tasks, each with its own service time, and none after the duration."""
    given = workload(
        arrivals=arrivals.TraceArrivals((0.0, 1.0, 30.0)), services=services.TraceServiceTimes((0.5, 0.25, 9.0))
    )
    tasks = given.draw(0)
    assert (list(tasks.arrivals), list(tasks.services), tasks.work) == ([0.0, 1.0], [0.5, 0.25], 0.75)
