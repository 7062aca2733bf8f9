"""FreshDurations: records in a histogram of OpenTelemetry what has come into ours since the last time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tasker.core.reading import Reading
from tasker.metrics.histogram import Histogram

from .source import ManagerReader

MOST = 5_000
"""Durations that are recorded at a time: each costs a call of the SDK. If there were more, these stand for them."""


class FreshDurations:
    """Not thread-safe: the SDK collects one at a time. ``read``: which of a reading's histograms; ``record``: the instrument's."""

    def __init__(self, read: Callable[[Reading], Histogram], record: Callable[..., Any]) -> None:
        self._read = read
        self._record = record
        # By reader, which goes with its manager, and not by name, which another manager may take over.
        self._before: WeakKeyDictionary[ManagerReader, list[int]] = WeakKeyDictionary()

    def record(self, reader: ManagerReader, reading: Reading, attributes: dict[str, str]) -> int:
        """Records what is new of a manager. Returns how many durations there were since its start."""
        histogram = self._read(reading)
        counts = list(histogram.counts)
        before = self._before.get(reader) or [0] * len(counts)
        self._before[reader] = counts
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
