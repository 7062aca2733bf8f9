"""FreshDurations: records in a histogram of OpenTelemetry what has come into ours since the last time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasker.core.reading import Reading
from tasker.metrics.histogram import Histogram

MOST = 10_000
"""Durations that are recorded at a time: each costs a call of the SDK. If there were more, these stand for them."""


class FreshDurations:
    """Not thread-safe: the SDK collects one at a time. ``read``: which of a reading's histograms; ``record``: the instrument's."""

    def __init__(self, read: Callable[[Reading], Histogram], record: Callable[..., Any]) -> None:
        self._read = read
        self._record = record
        self._before: dict[str, list[int]] = {}

    def record(self, name: str, reading: Reading, attributes: dict[str, str]) -> int:
        """Records what is new of the manager of that name. Returns how many durations there were since its start."""
        histogram = self._read(reading)
        counts = list(histogram.counts)
        before = self._before.get(name)
        if before is None or sum(before) > histogram.count:  # another manager of that name
            before = [0] * len(counts)
        self._before[name] = counts
        new = [now - then for now, then in zip(counts, before, strict=True)]
        every = max(1, -(-sum(new) // MOST))
        left = 0
        for bucket, count in enumerate(new):
            # Of each `every` durations, in their order, one: so the shape of the distribution stays.
            left += count
            times, left = divmod(left, every)
            value = histogram.middle(bucket) if times else 0.0
            for _ in range(times):
                self._record(value, attributes)
        return histogram.count
