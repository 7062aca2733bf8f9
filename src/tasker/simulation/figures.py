"""The figures of an outcome: numbers for tables, and series that are short enough for plots."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from .outcome import Outcome, Sample

_INTERVALS = 150
SHARES: tuple[float, ...] = tuple(1 - 10 ** (-number / 40) for number in range(141))
"""The shares at which the curve of percentiles is computed: 40 for each factor of 10, up to 99.97%."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one rule on one workload. All times are in seconds."""

    rule: str
    served: int
    failed: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    longest: float
    late: float
    """The share of the tasks that waited longer than the target."""
    worker_seconds: float
    created: int
    creation_failures: int
    peak_workers: int
    finished: float
    curve: tuple[tuple[float, float], ...]
    """(share, wait that this share of the tasks does not exceed)."""
    over_time: tuple[tuple[float, float], ...]
    """(moment, 99th percentile of the waits of the tasks that arrived about then)."""
    rates: tuple[tuple[float, float], ...]
    """(moment, tasks a second that started about then)."""
    series: tuple[Sample, ...]
    log: tuple[tuple[float, str], ...]


def figures_of(outcome: Outcome, duration: float, target_wait: float) -> Figures:
    """Computes the figures of an outcome."""
    waits = outcome.wait_times()
    at = waits.percentile
    return Figures(
        rule=outcome.rule,
        served=outcome.served,
        failed=outcome.failed,
        mean=waits.mean,
        p50=at(0.5),
        p90=at(0.9),
        p95=at(0.95),
        p99=at(0.99),
        p999=at(0.999),
        longest=waits.longest,
        late=waits.share_beyond(target_wait),
        worker_seconds=outcome.worker_seconds,
        created=outcome.created,
        creation_failures=outcome.creation_failures,
        peak_workers=outcome.peak_workers,
        finished=outcome.finished,
        curve=tuple((share, at(share)) for share in SHARES),
        over_time=tuple(_over_time(outcome, duration)),
        rates=tuple(_rates(outcome, duration)),
        series=outcome.series,
        log=outcome.log,
    )


def _over_time(outcome: Outcome, duration: float) -> list[tuple[float, float]]:
    """Returns the 99th percentile of the waits for each of 150 intervals of arrival."""
    arrivals = outcome.arrivals
    edges = [duration * number / _INTERVALS for number in range(_INTERVALS + 1)]
    places = [bisect_left(arrivals, edge) for edge in edges[:-1]] + [len(arrivals)]
    points = []
    for (edge, after), (first, last) in zip(pairwise(edges), pairwise(places), strict=True):
        waits = sorted(wait for wait in outcome.waits[first:last] if not math.isnan(wait))
        points.append(
            ((edge + after) / 2, waits[max(0, math.ceil(0.99 * len(waits) - 1e-9) - 1)] if waits else math.nan)
        )
    return points


def _rates(outcome: Outcome, duration: float) -> Iterator[tuple[float, float]]:
    """Yields the tasks a second that started, for each of 150 intervals."""
    width = duration / _INTERVALS
    starts = Counter(
        int((arrived + wait) / width)
        for arrived, wait in zip(outcome.arrivals, outcome.waits, strict=True)
        if wait == wait  # noqa: PLR0124  not a number
    )
    for place in range(_INTERVALS):
        yield (place + 0.5) * width, starts[place] / width
