"""The taut string: the shortest line through a tube.

Of all lines from the first point to the last that stay between ``lower`` and ``upper``, the taut string minimises the
integral of *every* convex function of the slope: it is the shortest, has the lowest peak slope, and the least time
above any slope (R. Barlow et al., "Statistical Inference under Order Restrictions", 1972; P. Davies and A. Kovac,
"Local Extremes, Runs, Strings and Multiresolution", 2001). It is found by the funnel algorithm, in one pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

Point = tuple[float, float]
"""(time, value)."""


def taut_string(times: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> list[Point]:
    """Returns the corners of the string, the first and the last point included.

    ``times`` must increase, ``lower`` must not exceed ``upper``, and the two must meet at the first and the last time.
    Costs O(number of times).
    """
    apex = (times[0], lower[0])
    corners = [apex]
    # The funnel: the shortest lines from the apex, the last corner that is certain, to the newest point of either side.
    # The one along the upper side turns upwards at each of its points, the one along the lower side downwards.
    ceiling, floor = deque([apex]), deque([apex])
    for number in range(1, len(times)):
        _extend(ceiling, floor, (times[number], upper[number]), corners, 1)
        _extend(floor, ceiling, (times[number], lower[number]), corners, -1)
    # Both sides meet at the last time, so both lines of the funnel end there, and either is the rest of the string.
    corners.extend(list(floor)[1:])
    return corners


def _extend(own: deque[Point], other: deque[Point], point: Point, corners: list[Point], sign: int) -> None:
    """Adds a point to the line along the upper side (``sign`` 1) or along the lower side (-1) of the funnel."""
    # The line must stay convex: points that the shortest line to the new one no longer touches are dropped.
    while len(own) > 1 and sign * (_slope(own[-2], own[-1]) - _slope(own[-1], point)) >= 0:
        own.pop()
    if len(own) == 1:
        # Only the apex is left, so the direct line to the new point may cross the other side. Then the string must turn
        # round the points there: they are corners for certain, and the last of them is the new apex.
        while len(other) > 1 and sign * (_slope(other[0], other[1]) - _slope(other[0], point)) > 0:
            other.popleft()
            corners.append(other[0])
        own[0] = other[0]
    own.append(point)


def _slope(first: Point, second: Point) -> float:
    return (second[1] - first[1]) / (second[0] - first[0])
