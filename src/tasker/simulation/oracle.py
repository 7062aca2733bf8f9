"""What a workload must cost at least: a lower bound on the worker-seconds of anyone, the future known.

It bounds every way to run the workload in which

- each task starts within ``target_wait`` of its arrival, or, where not even the fixed maximum pool starts it by then,
  no later than there;
- ``worker_count`` workers are there from beginning to end, and each further one costs, each time, the seconds that its
  resource takes to make and to end, in which it serves nothing.

How it is found. A task that starts at ``x`` has done ``min(service, t - x)`` of its work by ``t``; so whoever keeps
the promise has done, over all tasks, at least the sum of these with the latest allowed starts, and at most the sum with
the arrivals for starts. The work done over time is a line in that tube; its slope is the number of workers that are
busy. The taut string in the tube (``taut``) has the least integral of ``max(worker_count, slope)`` of all such lines.
That part takes it for granted that work can be divided at will.

To it are added the creations that nobody can avoid. Where the string gets steeper it touches the upper side of the tube,
where it gets flatter the lower one. So on a stretch that is steeper than those around it, everybody has at some moment
at least that many workers; and between two such stretches, each worker beyond what the string needs there is either
kept, which costs the time between them, or ended and made anew (the "ski rental" problem; for pools of workers: T. Lu,
M. Chen and L. Andrew, "Simple and Effective Dynamic Provisioning for Power-Proportional Data Centers", 2013). For each
worker beyond the base, and each such gap, the cheaper of the two is added.

A lower bound need not be reachable: a policy at 1.1 times this figure is at most 10% away from the best there is. The
tube is looked at on a grid of at most 100,000 moments, which only makes it wider, and the bound lower.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .creation import Creation
from .taut import Point, taut_string
from .workload import Tasks

_MOST_MOMENTS = 100_000


@dataclass(frozen=True, slots=True)
class Bound:
    """The oracle's answer."""

    worker_seconds: float
    creations: float
    """The part of them that pays for making resources, or for keeping idle workers where that is cheaper."""
    workers: tuple[Point, ...]
    """(moment, workers from then on) of the taut string, not less than the base: for a plot."""


def lower_bound(
    tasks: Tasks,
    fixed_waits: Sequence[float],
    *,
    base: int,
    duration: float,
    target_wait: float,
    creation: Creation | None = None,
) -> Bound:
    """The bound for a workload; ``fixed_waits`` are the waits in the fixed maximum pool."""
    creation = creation or Creation()
    if not len(tasks):
        return Bound(base * duration, 0.0, ((0.0, base), (duration, base)))
    # A task that the fixed pool gave up has no deadline; the end of everything is late enough.
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
            return Bound(base * duration, 0.0, ((0.0, base), (duration, base)))
    earliest_end = _end(duration, tasks.arrivals, tasks.services)
    end = _end(duration, latest, tasks.services)
    moments = _grid(end, target_wait, len(tasks))
    upper = _progress(moments, tasks.arrivals, tasks.services)
    lower = _progress(moments, latest, tasks.services)
    lower[-1] = upper[-1] = max(lower[-1], upper[-1])
    corners = taut_string(moments, list(map(min, lower, upper)), upper)
    steps = [(before[0], max(base, _slope(before, after))) for before, after in pairwise(corners)]
    steps.append((end, base))
    needed = math.fsum((after[0] - before[0]) * before[1] for before, after in pairwise(steps))
    # Only until the earliest end is it certain that the base is there.
    needed = max(needed - base * (end - earliest_end), tasks.work)
    creations = _creations(steps, base, creation.time + creation.destroy_time)
    return Bound(needed + creations, creations, tuple(steps))


def _end(duration: float, starts: Sequence[float], services: Sequence[float]) -> float:
    last = max(map(float.__add__, starts, services))
    return max(duration, last)


def _grid(end: float, target_wait: float, tasks: int) -> list[float]:
    """Moments from 0 to the end: several within ``target_wait``, which is how wide the tube is; several for each task
    where it is narrower than that."""
    wanted = min(40 * tasks, 4 * end / target_wait if target_wait > 0 else math.inf)
    count = int(min(_MOST_MOMENTS, max(1_000, wanted)))
    return [end * number / count for number in range(count + 1)]


def _progress(moments: Sequence[float], starts: Iterable[float], services: Iterable[float]) -> list[float]:
    """The work done by each moment if each task begins at its start: a line that gets steeper by one at each start, and
    flatter by one at each end."""
    last = len(moments) - 1
    per_second = last / moments[-1]
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
    """What workers beyond the base cost apart from their work, each at ``price`` worker-seconds a time."""
    paid, workers = 0.0, base
    idle_since: dict[int, float] = {}
    for moment, wanted in steps:
        needed = math.ceil(wanted - 1e-6)
        for number in range(workers + 1, needed + 1):
            paid += min(price, moment - idle_since.get(number, -math.inf))
        for number in range(needed + 1, workers + 1):
            idle_since[number] = moment
        workers = needed
    return paid


def thinned(steps: Sequence[Point], most: int) -> list[Point]:
    """At most so many steps, for a plot: the most workers of each of as many stretches of time."""
    if len(steps) <= most:
        return list(steps)
    width = steps[-1][0] / (most - 1)
    kept: dict[int, Point] = {}
    for moment, workers in steps:
        place = int(moment / width)
        first, highest = kept.get(place, (moment, workers))
        kept[place] = (first, max(highest, workers))
    return list(kept.values())
