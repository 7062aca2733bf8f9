"""A histogram of durations: constant memory, a stated error, cheap to feed in batches.

Buckets grow by a factor of 1.05, so the middle of a bucket is within 2.5% of every value in it (the layout of
DDSketch, Masson et al., VLDB 2019, and of HdrHistogram's idea: relative error, not absolute). From 100 ns to about
11 days that is 613 buckets; what is outside falls into the first or the last. Count, sum, least and greatest are
exact.

Batches are sorted first: sorting is C code, and a sorted batch is counted by bisection, one step a bucket instead of
one step a value. This is several times cheaper than finding the bucket of each value in Python.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate
from math import ceil
from operator import add

GROWTH = 1.05
LEAST = 1e-7
_BUCKETS = 613
_EDGES = tuple(accumulate([GROWTH] * (_BUCKETS - 1), lambda edge, growth: edge * growth, initial=LEAST))
"""Upper edges: bucket i holds values in [edge i-1, edge i)."""


class Histogram:
    """Not thread-safe: the owner guards it."""

    __slots__ = ("count", "counts", "greatest", "least", "total")

    def __init__(self) -> None:
        # An array: of a list, the garbage collector looks at every entry, and there are two histograms for each worker.
        self.counts: array[int] = array("q", bytes(8 * (_BUCKETS + 1)))
        self.count: int = 0
        self.total: float = 0.0
        self.least: float = float("inf")
        self.greatest: float = 0.0

    def add_all(self, values: list[float]) -> None:
        """Takes in a batch; sorts the given list."""
        if not values:
            return
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
        """Adds what ``other`` holds."""
        self.counts = array("q", map(add, self.counts, other.counts))
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """The smallest value with at least ``share`` (0 to 1) of the values at or below it, within 2.5%."""
        if not self.count:
            return 0.0
        wanted = max(1, ceil(share * self.count - 1e-9))
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return min(max(_middle(bucket), self.least), self.greatest)
        return self.greatest


def _middle(bucket: int) -> float:
    if bucket == 0:
        return LEAST
    if bucket >= _BUCKETS:
        return float("inf")
    return (_EDGES[bucket - 1] + _EDGES[bucket]) / 2
