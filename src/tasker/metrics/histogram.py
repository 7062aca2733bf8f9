"""A histogram of durations: constant memory, a bounded relative error, cheap to feed in batches.

The bounds of the buckets grow by a factor of 1.05, and a percentile is the middle of its bucket. That is 2.5% above a
value at the lower bound and 2.4% below one at the upper bound, so a percentile is within 2.5% of the exact value (the
layout of DDSketch, Masson et al., VLDB 2019; the idea of a relative instead of an absolute error is HdrHistogram's).
From 100 ns to 10.7 days that takes 612 buckets. Below, the error is under 100 ns; above, a percentile is the greatest
value. Count, sum, least and greatest are exact.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from operator import add, sub

GROWTH = 1.05
LEAST = 1e-7
"""Seconds."""
_BUCKETS = 613
_EDGES = tuple(accumulate([GROWTH] * (_BUCKETS - 1), lambda edge, growth: edge * growth, initial=LEAST))
"""In seconds: bucket i holds the values in [edge i-1, edge i); the first and the last have one edge only."""


class Histogram:
    """Counts durations, in seconds. Not thread-safe: the owner guards it."""

    __slots__ = ("count", "counts", "greatest", "least", "total")

    def __init__(self) -> None:
        # An array, not a list: there are two histograms for each worker, and the garbage collector visits every entry
        # of a list.
        self.counts: array[int] = array("q", bytes(8 * (_BUCKETS + 1)))
        self.count: int = 0
        self.total: float = 0.0
        self.least: float = float("inf")
        self.greatest: float = 0.0

    def add_all(self, values: list[float]) -> None:
        """Adds a batch; sorts the given list."""
        if not values:
            return
        # Sorting is C code, and a sorted batch is counted by bisection, one step for each bucket instead of one for
        # each value: several times cheaper than finding the bucket of each value in Python.
        values.sort()
        self.count += len(values)
        self.total += sum(values)
        self.least = min(self.least, values[0])
        self.greatest = max(self.greatest, values[-1])
        start = 0
        while start < len(values):
            bucket = bisect_right(_EDGES, values[start])
            end = bisect_left(values, _EDGES[bucket], start) if bucket < _BUCKETS else len(values)
            self.counts[bucket] += end - start
            start = end

    def merge(self, other: Histogram) -> None:
        """Adds the values of ``other``, which stays as it is."""
        self.counts = array("q", map(add, self.counts, other.counts))
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def since(self, earlier: Histogram) -> Histogram:
        """Returns the values that were added since ``earlier``, an older state of this histogram. Its least and greatest are
        not known exactly: they are bounded by those of this one."""
        new = Histogram()
        new.counts = array("q", map(sub, self.counts, earlier.counts))
        new.count = self.count - earlier.count
        new.total = self.total - earlier.total
        new.least, new.greatest = self.least, self.greatest
        return new

    def at_most(self, bounds: Sequence[float]) -> list[int]:
        """Returns for each bound how many values are at or below it. A bucket counts as a whole, by its middle: so a value is
        taken for a greater or a smaller one if it is within 2.5% of the bound."""
        seen = list(accumulate(self.counts, initial=0))
        return [seen[bisect_right(_MIDDLES, bound)] for bound in bounds]

    def middle(self, bucket: int) -> float:
        """Returns a value, in seconds, that stands for those of a bucket: its middle, bounded by the extremes."""
        return min(max(_middle(bucket), self.least), self.greatest)

    @staticmethod
    def edges(bucket: int) -> tuple[float, float]:
        """Returns from where to where a bucket goes, in seconds; the last one ends with infinity."""
        return (
            _EDGES[bucket - 1] if bucket else 0.0,
            _EDGES[bucket] if bucket < _BUCKETS else float("inf"),
        )

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """Returns the smallest value with at least ``share`` (0 to 1) of the values at or below it, in seconds and
        within 2.5% (see the module); 0 if there are no values."""
        if not self.count:
            return 0.0
        # Less a hair, because 0.07 * 100 is 7.000000000000001.
        wanted = max(1, ceil(share * self.count - 1e-9))
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                # Bounded by the exact extremes: a single value is returned exactly, and none that never occurred
                # beyond them.
                return self.middle(bucket)
        return self.greatest


def _middle(bucket: int) -> float:
    """Returns the middle of a bucket; for the last, which has no upper edge, infinity."""
    if bucket == 0:
        return LEAST
    if bucket >= _BUCKETS:
        return float("inf")
    return (_EDGES[bucket - 1] + _EDGES[bucket]) / 2


_MIDDLES = tuple(_middle(bucket) for bucket in range(_BUCKETS + 1))
