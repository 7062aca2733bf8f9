"""The outcome of a run: wait times, worker-seconds, and the course of queue and workers over time."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

_MAX_SAMPLES = 2_000


class Sample(NamedTuple):
    """The pool at a moment or, if samples were merged, the maximum of each number from that moment on."""

    time: float
    queued: int
    running: int
    ready: int
    """Workers that serve."""
    alive: int
    """Workers that start, serve or end; each counts in worker-seconds."""


class TimeSeries:
    """Samples over time, merged into at most 2,000, however many are added; peaks are kept."""

    __slots__ = ("_in_last", "_stride", "samples")

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._stride = 1
        self._in_last = 0

    def add(self, sample: Sample) -> None:
        """Adds a sample, which must be later than all before."""
        if self._in_last and self._in_last < self._stride:
            self.samples[-1] = _merged(self.samples[-1], sample)
            self._in_last += 1
            return
        if len(self.samples) == _MAX_SAMPLES:
            # Halved, and from now on each entry takes twice as many samples, so all cover equally many.
            pairs = zip(self.samples[::2], self.samples[1::2], strict=True)
            self.samples = [_merged(first, second) for first, second in pairs]
            self._stride *= 2
        self.samples.append(sample)
        self._in_last = 1


def _merged(first: Sample, second: Sample) -> Sample:
    return Sample(first.time, *map(max, first[1:], second[1:]))


@dataclass(slots=True)
class Outcome:
    """The outcome of one run of one rule. All times are in seconds."""

    rule: str
    arrivals: array[float]
    waits: array[float]
    """The wait of each task, in the order of arrival; not a number if the task was given up."""
    failed: int
    """Tasks that were given up because no resource could be made."""
    worker_seconds: float
    """From the start of the workload on; each worker counts from the moment at which it begins to make its resource
    until the resource is destroyed."""
    created: int
    """Creations that were begun, including those before the start of the workload."""
    creation_failures: int
    peak_workers: int
    finished: float
    """When the last worker ended."""
    series: tuple[Sample, ...]
    log: tuple[tuple[float, str], ...] = field(repr=False)
    """(moment, message) of the first 1,000 log messages of the control plane."""

    @property
    def served(self) -> int:
        """Tasks that were started."""
        return len(self.waits) - self.failed

    def wait_times(self) -> WaitTimes:
        """Returns the waits of the tasks that were served."""
        return WaitTimes([wait for wait in self.waits if wait == wait] if self.failed else self.waits)  # noqa: PLR0124


class WaitTimes:
    """Waits in seconds, sorted once: percentiles are exact, unlike those of a histogram. All are 0 if there are
    none."""

    def __init__(self, waits: Sequence[float]) -> None:
        self._sorted = sorted(waits)

    def __len__(self) -> int:
        return len(self._sorted)

    def percentile(self, share: float) -> float:
        """Returns the smallest wait with at least that share (0 to 1) of the waits at or below it."""
        if not self._sorted:
            return 0.0
        # Less a hair, because 0.07 * 100 is 7.000000000000001.
        return self._sorted[max(0, math.ceil(share * len(self._sorted) - 1e-9) - 1)]

    @cached_property
    def mean(self) -> float:
        """The arithmetic mean."""
        return math.fsum(self._sorted) / len(self._sorted) if self._sorted else 0.0

    @property
    def longest(self) -> float:
        """The maximum."""
        return self._sorted[-1] if self._sorted else 0.0

    def share_beyond(self, limit: float) -> float:
        """Returns the share of the waits that are longer than ``limit``."""
        late = len(self._sorted) - bisect_left(self._sorted, math.nextafter(limit, math.inf))
        return late / len(self._sorted) if self._sorted else 0.0
