"""The taut string: the straightest line through a tube.

Of all lines from the first point to the last that stay between ``lower`` and ``upper``, the taut string has the least
integral of *every* convex function of its slope at once: the shortest length, the lowest peak, the least time above
any level (R. Barlow et al., "Statistical Inference under Order Restrictions", 1972; P. Davies and A. Kovac, "Local
Extremes, Runs, Strings and Multiresolution", 2001). It is found by the funnel algorithm, in one pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

Point = tuple[float, float]


def taut_string(times: Sequence[float], lower: Sequence[float], upper: Sequence[float]) -> list[Point]:
    """The corners of the string. ``lower`` and ``upper`` must meet at the first and at the last time."""
    apex = (times[0], lower[0])
    corners = [apex]
    # From the apex, the string turns round the one or the other: a chain that bends up under the ceiling, and one that
    # bends down over the floor.
    ceiling, floor = deque([apex]), deque([apex])
    for number in range(1, len(times)):
        _extend(ceiling, floor, (times[number], upper[number]), corners, 1)
        _extend(floor, ceiling, (times[number], lower[number]), corners, -1)
    corners.extend(list(floor)[1:])
    return corners


def _extend(own: deque[Point], other: deque[Point], point: Point, corners: list[Point], sign: int) -> None:
    """Adds a point to the chain of the ceiling (``sign`` 1) or of the floor (-1)."""
    while len(own) > 1 and sign * (_slope(own[-2], own[-1]) - _slope(own[-1], point)) >= 0:
        own.pop()
    if len(own) == 1:
        while len(other) > 1 and sign * (_slope(other[0], other[1]) - _slope(other[0], point)) > 0:
            other.popleft()
            corners.append(other[0])
        own[0] = other[0]
    own.append(point)


def _slope(first: Point, second: Point) -> float:
    return (second[1] - first[1]) / (second[0] - first[0])
