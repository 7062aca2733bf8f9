"""The oracle: a lower bound on the worker-seconds that a workload costs, even for a policy that knows the future.

It holds for every way to run the workload in which

- each task starts within ``target_wait`` of its arrival or, if not even the fixed maximum pool starts it by then, no
  later than in that pool;
- ``worker_count`` workers exist from beginning to end, and each further one costs, each time that it is made, the
  seconds of making and destroying its resource, in which it serves nothing.

*Work.* A task that starts at ``x`` has done ``min(service, t - x)`` of its work by ``t``. So the work done by ``t``,
over all tasks, is at least the sum of these for the latest allowed starts, and at most the sum for starts at the
arrivals. Plotted over time, it is a line in the tube between these two, and its slope is the number of busy workers.
The taut string in the tube (``taut_string``) has the least integral of ``max(worker_count, slope)`` of all such lines.
This part takes work to be divisible at will.

*Creations.* The string touches the upper side of the tube where it gets steeper, and the lower side where it gets
flatter. So in an interval in which it is steeper than before and after, every line in the tube has that slope at some
moment, and needs as many workers. Between two such intervals, a worker beyond those that the string needs there is
either kept, which costs the time between them, or destroyed and made anew (the "ski rental" problem; for pools of
workers: T. Lu, M. Chen and L. Andrew, "Simple and Effective Dynamic Provisioning for Power-Proportional Data Centers",
2013). The cheaper of the two is added, for each worker beyond the base and each such gap.

A lower bound need not be attainable: a policy that costs 1.1 times as much is at most 10% above the optimum.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .creation import Creation
from .taut_string import Point, taut_string
from .workload import Tasks

_MAX_MOMENTS = 100_000


@dataclass(frozen=True, slots=True)
class LowerBound:
    """The result of the oracle."""

    worker_seconds: float
    creations: float
    """The part of the worker-seconds for making resources, or for keeping idle workers where that is cheaper."""
    workers: tuple[Point, ...]
    """(moment, workers from then on) of the taut string, never less than the base; for plots."""


def lower_bound(
    tasks: Tasks,
    fixed_waits: Sequence[float],
    *,
    base: int,
    duration: float,
    target_wait: float,
    creation: Creation | None = None,
) -> LowerBound:
    """Returns the bound for a workload; ``fixed_waits`` are the waits in the fixed maximum pool, in seconds, not a
    number for a task that it gave up."""
    creation = creation or Creation()
    if not len(tasks):
        return LowerBound(base * duration, 0.0, ((0.0, base), (duration, base)))
    # The latest allowed starts. A task that the fixed pool gave up has none, so it is left out.
    latest = array(
        "d",
        (
            arrived + max(target_wait, wait) if wait == wait else math.inf  # noqa: PLR0124  not a number
            for arrived, wait in zip(tasks.arrivals, fixed_waits, strict=True)
        ),
    )
    served = [number for number, moment in enumerate(latest) if moment != math.inf]
    if len(served) < len(tasks):
        tasks = Tasks(array("d", (tasks.arrivals[n] for n in served)), array("d", (tasks.services[n] for n in served)))
        latest = array("d", (latest[n] for n in served))
        if not served:
            return LowerBound(base * duration, 0.0, ((0.0, base), (duration, base)))
    earliest_end = _end(duration, tasks.arrivals, tasks.services)
    end = _end(duration, latest, tasks.services)
    moments = _grid(end, target_wait, len(tasks))
    upper = _progress(moments, tasks.arrivals, tasks.services)
    lower = _progress(moments, latest, tasks.services)
    # Both are the sum of all work, but for rounding; the string needs them to meet.
    lower[-1] = upper[-1] = max(lower[-1], upper[-1])
    corners = taut_string(moments, list(map(min, lower, upper)), upper)
    steps = [(before[0], max(base, _slope(before, after))) for before, after in pairwise(corners)]
    steps.append((end, base))
    needed = math.fsum((after[0] - before[0]) * before[1] for before, after in pairwise(steps))
    # The base is certain to exist only until the earliest end: a run may be over by then.
    needed = max(needed - base * (end - earliest_end), tasks.work)
    creations = _creations(steps, base, creation.time + creation.destroy_time)
    return LowerBound(needed + creations, creations, tuple(steps))


def _end(duration: float, starts: Sequence[float], services: Sequence[float]) -> float:
    """Returns when the run ends if each task begins at its start."""
    last = max(map(float.__add__, starts, services))
    return max(duration, last)


def _grid(end: float, target_wait: float, tasks: int) -> list[float]:
    """Returns equidistant moments from 0 to the end: several within ``target_wait``, which is the width of the tube, or
    several for each task, whichever are fewer."""
    wanted = min(40 * tasks, 4 * end / target_wait if target_wait > 0 else math.inf)
    # Between two moments of the grid, the sides of the tube are not looked at: a coarse grid makes the tube wider, and
    # the bound lower, never too high.
    count = int(min(_MAX_MOMENTS, max(1_000, wanted)))
    return [end * number / count for number in range(count + 1)]


def _progress(moments: Sequence[float], starts: Iterable[float], services: Iterable[float]) -> list[float]:
    """Returns the work done by each moment if each task begins at its start: a line whose slope grows by one at each
    start, and falls by one at each end."""
    last = len(moments) - 1
    per_second = last / moments[-1]
    # As differences from one moment to the next, so that a task costs two entries, however many moments it spans.
    steeper, offset = [0] * (last + 1), [0.0] * (last + 1)
    for start, service in zip(starts, services, strict=True):
        begins = min(last, int(start * per_second) + 1)
        steeper[begins] += 1
        offset[begins] += start
        end = start + service
        ends = min(last, int(end * per_second) + 1)
        steeper[ends] -= 1
        offset[ends] -= end
    progress, slope, moved = [], 0, 0.0
    for number, moment in enumerate(moments):
        slope += steeper[number]
        moved += offset[number]
        progress.append(slope * moment - moved)
    return progress


def _slope(before: Point, after: Point) -> float:
    return (after[1] - before[1]) / (after[0] - before[0])


def _creations(steps: Sequence[Point], base: int, price: float) -> float:
    """Returns what the workers beyond the base cost apart from their work, at ``price`` worker-seconds a creation."""
    paid, workers = 0.0, base
    idle_since: dict[int, float] = {}
    for moment, wanted in steps:
        needed = math.ceil(wanted - 1e-6)  # less a hair: the slopes are rounded
        for number in range(workers + 1, needed + 1):
            # Made anew, or kept since it was last needed; the first time it can only be made.
            paid += min(price, moment - idle_since.get(number, -math.inf))
        for number in range(needed + 1, workers + 1):
            idle_since[number] = moment
        workers = needed
    return paid


def downsampled(steps: Sequence[Point], most: int) -> list[Point]:
    """Returns at most ``most`` steps for a plot: the greatest number of workers in each of as many intervals."""
    if len(steps) <= most:
        return list(steps)
    width = steps[-1][0] / (most - 1)
    kept: dict[int, Point] = {}
    for moment, workers in steps:
        place = int(moment / width)
        first, highest = kept.get(place, (moment, workers))
        kept[place] = (first, max(highest, workers))
    return list(kept.values())
