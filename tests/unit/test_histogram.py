"""Tests the histogram: the error of its percentiles, merging, and its bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker.metrics.histogram import GROWTH, LEAST, Histogram

ERROR = 0.025 + 1e-9
"""The error that the module states, and the rounding of floats."""
DURATIONS = st.floats(LEAST, 86_400.0) | st.floats(1e-6, 1.0) | st.sampled_from([0.05, 1.0, 30.0])
SHARES = st.floats(0.0, 1.0) | st.sampled_from([0.5, 0.95, 0.99, 1.0])


def of(values: list[float]) -> Histogram:
    """Makes a histogram of these values."""
    histogram = Histogram()
    histogram.add_all(list(values))
    return histogram


def exact(values: list[float], share: float) -> float:
    """Returns the smallest value with at least `share` of the values at or below it."""
    return sorted(values)[max(1, math.ceil(share * len(values) - 1e-9)) - 1]


def state(histogram: Histogram) -> tuple[object, ...]:
    """Returns the contents of a histogram, with its sum rounded."""
    return histogram.counts, histogram.count, histogram.least, histogram.greatest


def test_empty() -> None:
    """Without a value, mean and percentiles are 0."""
    histogram = Histogram()
    histogram.add_all([])
    assert (histogram.count, histogram.mean, histogram.percentile(0.99)) == (0, 0.0, 0.0)


@given(st.lists(DURATIONS, min_size=1, max_size=200), SHARES)
def test_percentile(values: list[float], share: float) -> None:
    """Each percentile is within 2.5% of that of the sorted list."""
    assert of(values).percentile(share) == pytest.approx(exact(values, share), rel=ERROR)


@given(st.lists(DURATIONS, min_size=1, max_size=100))
def test_exact_numbers(values: list[float]) -> None:
    """The count, the least and the greatest value are exact, and bound the extreme percentiles."""
    histogram = of(values)
    assert (histogram.count, sum(histogram.counts)) == (len(values), len(values))
    assert (histogram.least, histogram.greatest) == (min(values), max(values))
    assert histogram.mean == pytest.approx(sum(values) / len(values))
    assert min(values) <= histogram.percentile(0.0) <= histogram.percentile(1.0) <= max(values)


@given(st.lists(DURATIONS, max_size=60), st.lists(DURATIONS, max_size=60))
def test_merge(some: list[float], more: list[float]) -> None:
    """Two merged histograms equal the histogram of all values, and so does one that is fed in two batches."""
    merged, batches, whole = of(some), of(some), of(some + more)
    merged.merge(of(more))
    batches.add_all(list(more))
    assert state(merged) == state(batches) == state(whole)
    assert merged.total == pytest.approx(whole.total)


@given(st.lists(DURATIONS, max_size=60), st.lists(DURATIONS, min_size=1, max_size=60))
def test_since(some: list[float], more: list[float]) -> None:
    """What was added since an earlier state has its own counts and sum; its extremes are those of the whole."""
    new = of(some + more).since(of(some))
    assert (new.counts, new.count) == (of(more).counts, len(more))
    assert new.total == pytest.approx(sum(more), abs=1e-6)
    assert new.least <= min(more) <= max(more) <= new.greatest
    assert of(some).since(of(some)).count == 0


@given(st.lists(DURATIONS, min_size=1, max_size=60))
def test_percentiles_grow(values: list[float]) -> None:
    """A greater share never has a smaller percentile."""
    histogram = of(values)
    found = [histogram.percentile(n / 20) for n in range(21)]
    assert found == sorted(found)


@pytest.mark.parametrize("values", [[0.0], [1e-12], [1e9], [1e12, 0.0], [LEAST], [LEAST * GROWTH]])
def test_out_of_range(values: list[float]) -> None:
    """A value beyond the buckets is counted, and percentiles stay between the least and the greatest value."""
    histogram = of(values)
    assert histogram.count == len(values)
    assert min(values) <= histogram.percentile(0.0) <= histogram.percentile(1.0) <= max(values)
    assert histogram.greatest == max(values)


def test_one_value() -> None:
    """All percentiles of a single value are that value."""
    histogram = of([0.123])
    assert {histogram.percentile(share) for share in (0.0, 0.5, 0.99, 1.0)} == {0.123}


def test_definition() -> None:
    """p50 of an even number of values is the lower middle one, and p99 of a hundred is the ninety-ninth."""
    assert of([1.0, 2.0, 3.0, 4.0]).percentile(0.5) == pytest.approx(2.0, rel=ERROR)
    hundred = of([float(n) for n in range(1, 101)])
    assert hundred.percentile(0.99) == pytest.approx(99.0, rel=ERROR)
    assert hundred.percentile(0.951) == pytest.approx(96.0, rel=ERROR)
    assert of([1.0] * 95 + [10.0] * 5).percentile(0.95) == pytest.approx(1.0, rel=ERROR)


def test_constant_memory() -> None:
    """A histogram holds the same number of counts after any number of values."""
    histogram, size = Histogram(), len(Histogram().counts)
    for n in range(50):
        histogram.add_all([0.0001 * n, 10.0 * n, 1e9 * n])
    assert len(histogram.counts) == size


def test_edges_fall_into_one_bucket() -> None:
    """A value on the edge of a bucket is counted once."""
    edges = [LEAST]
    while len(edges) < 612:
        edges.append(edges[-1] * GROWTH)
    assert sum(of(edges).counts) == len(edges)


def test_counts_up_to_bounds() -> None:
    """Each value is at or below the bounds that are more than 2.5% above it, and below none that are less."""
    histogram = Histogram()
    values = [0.0, 1e-9, 0.001, 0.0974, 0.1026, 0.5, 1.0, 2e6]
    histogram.add_all(list(values))
    bounds = [0.0009, 0.1, 0.9, 1.1, 1e6]
    assert histogram.at_most(bounds) == [sum(value <= bound for value in values) for bound in bounds]
    assert Histogram().at_most(bounds) == [0, 0, 0, 0, 0]
    assert histogram.at_most([]) == []
