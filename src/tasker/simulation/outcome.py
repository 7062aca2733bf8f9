"""What came of a run: waits, worker-seconds, and how queue and workers went over time."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

_MOST_POINTS = 2_000


class Sample(NamedTuple):
    """The pool at a moment; or, where moments were merged, the greatest of each figure."""

    time: float
    queued: int
    running: int
    ready: int
    """Workers that serve."""
    alive: int
    """Workers that start, serve or end: what is paid for."""


class Series:
    """Samples over time, merged to at most 2,000 however many are added; a short peak is never lost."""

    __slots__ = ("_in_last", "_stride", "samples")

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._stride = 1
        self._in_last = 0

    def add(self, sample: Sample) -> None:
        """Adds one that is later than all before."""
        if self._in_last and self._in_last < self._stride:
            self.samples[-1] = _merged(self.samples[-1], sample)
            self._in_last += 1
            return
        if len(self.samples) == _MOST_POINTS:
            pairs = zip(self.samples[::2], self.samples[1::2], strict=True)
            self.samples = [_merged(first, second) for first, second in pairs]
            self._stride *= 2
        self.samples.append(sample)
        self._in_last = 1


def _merged(first: Sample, second: Sample) -> Sample:
    return Sample(first.time, *map(max, first[1:], second[1:]))


@dataclass(slots=True)
class Outcome:
    """The figures of one run of one rule. All times in seconds."""

    rule: str
    arrivals: array[float]
    waits: array[float]
    """Of each task, in the order of their arrivals; not a number where it was given up."""
    failed: int
    """Tasks that were given up because no resource could be made."""
    worker_seconds: float
    """From the start of the workload on: each worker counts from the moment it begins to make its resource until that
    is destroyed."""
    created: int
    """Creations that were begun, those before the start included."""
    creation_failures: int
    peak_workers: int
    finished: float
    """When the last worker had ended."""
    series: tuple[Sample, ...]
    log: tuple[tuple[float, str], ...] = field(repr=False)
    """What the control plane had to say, with the time; the first 1,000."""

    @property
    def served(self) -> int:
        """Tasks that were run."""
        return len(self.waits) - self.failed

    def waits_sorted(self) -> Waits:
        """The waits of the tasks that were served."""
        return Waits([wait for wait in self.waits if wait == wait] if self.failed else self.waits)  # noqa: PLR0124


class Waits:
    """Waiting times, sorted once: exact percentiles, not those of a histogram."""

    def __init__(self, waits: Sequence[float]) -> None:
        self._sorted = sorted(waits)

    def __len__(self) -> int:
        return len(self._sorted)

    def percentile(self, share: float) -> float:
        """The smallest wait with at least that share of the waits at or below it; 0 where there is none."""
        if not self._sorted:
            return 0.0
        # Less a hair, since 0.07 * 100 is 7.000000000000001.
        return self._sorted[max(0, math.ceil(share * len(self._sorted) - 1e-9) - 1)]

    @cached_property
    def mean(self) -> float:
        """0 where there is none."""
        return math.fsum(self._sorted) / len(self._sorted) if self._sorted else 0.0

    @property
    def longest(self) -> float:
        """0 where there is none."""
        return self._sorted[-1] if self._sorted else 0.0

    def share_beyond(self, limit: float) -> float:
        """The share of the waits that are longer than that."""
        late = len(self._sorted) - bisect_left(self._sorted, math.nextafter(limit, math.inf))
        return late / len(self._sorted) if self._sorted else 0.0
