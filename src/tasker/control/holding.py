"""How long an idle worker is kept, and when one is made before it is needed: ski rental with a known distribution.

To keep a worker costs the seconds for which it is idle; to let it go costs a creation when it is needed again, and the
wait of the tasks that need it. Without any knowledge it is best to keep it until it has cost as much as a creation (A.
Karlin et al., "Competitive snoopy caching", 1988). But a load repeats itself: for each worker beyond the base (a *level*:
the third worker is idle whenever fewer than three are needed), the last gaps between two needs are remembered. With them
the cheapest of three is chosen: to keep the worker for a while, to let it go at once, or to let it go and make another
one shortly before it is needed again (M. Shahrad et al., "Serverless in the Wild", 2020, do so for functions).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

REMEMBERED = 24
"""Gaps that a level remembers."""
ENOUGH = 4
"""Gaps without which nothing is learned from them."""
_MAKING = 1 / 3
"""The part of the price that a creation costs if no task waits for it."""
_DEAR = 1.5
"""What is learned is trusted to let workers go sooner, so the price is so many times as high: what it costs if tasks wait is
not in the gaps."""
_MARGIN = 0.25
"""A worker is there earlier, and for longer, than a gap lasted: by this share of the price, but not more than half of the
gap. No two gaps are alike, and needs are only seen at ticks."""


@dataclass(frozen=True, slots=True)
class Level:
    """One worker beyond the others: when it was last needed, and for how long it was not needed before that."""

    since: float | None = None
    """When it was last needed (the clock of ``now``); None while it is needed, and before it ever was."""
    gaps: tuple[float, ...] = ()
    """The last gaps, in seconds, the newest last; at most 24. Gaps shorter than a creation are left out: whatever is
    done, a worker is kept for as long."""


@dataclass(frozen=True, slots=True)
class IdlePlan:
    """What is done with a worker that is not needed; in seconds since it was last needed."""

    keep: float
    """It is kept for so long."""
    warm: float = math.inf
    """If it is not needed by then, another one is made, unless it was kept until now. Infinite: none is."""
    until: float = math.inf
    """That one is kept until then."""

    def wants(self, idle: float) -> bool:
        """Returns whether a worker that has been idle for so long is to be there."""
        return idle < self.keep or self.warm <= idle < self.until

    def makes(self, idle: float) -> bool:
        """Returns whether one that is not there is to be made."""
        return self.warm <= idle < self.until


def idle_plan(gaps: Sequence[float], price: float, creation: float, most: float) -> IdlePlan:
    """Returns the cheapest plan for gaps like these. ``price``: what it costs, in seconds of an idle worker, if a worker
    that was let go is needed; ``creation``: seconds that it takes to make one; ``most``: the longest time that a worker
    is kept."""
    if len(gaps) < ENOUGH:
        return IdlePlan(min(price, most))
    # Rounded, so that a mean that changes a little at each tick does not have the plan computed anew.
    return _cheapest(tuple(sorted(gaps)), _rounded(_DEAR * price), _rounded(creation), most)


@functools.lru_cache(maxsize=4096)
def _cheapest(gaps: tuple[float, ...], price: float, creation: float, most: float) -> IdlePlan:
    number = len(gaps)
    # By the number of gaps for which it is kept; the others are longer. Without making one early, letting go costs the
    # price for each of those.
    sums = [0.0, *itertools.accumulate(gaps)]
    keeps = [0.0, *(gap + _margin(gap, price) for gap in gaps)]
    allowed = [count for count in range(number + 1) if keeps[count] <= most]
    kept = [sums[count] + (number - count) * keeps[count] for count in range(number + 1)]
    best = min(allowed, key=lambda count: kept[count] + (number - count) * price)
    cheapest = (math.inf, IdlePlan(0.0))
    # Making one early is tried with a few of them only: each takes O(gaps squared).
    for count in sorted({0, number // 4, number // 2, 3 * number // 4, best}.intersection(allowed)):
        warm, until, rest = _warmed(gaps[count:], keeps[count], price, creation)
        if kept[count] + rest < cheapest[0]:
            cheapest = (kept[count] + rest, IdlePlan(max(keeps[count], creation), warm, until))
    return cheapest[1]


def _warmed(gaps: tuple[float, ...], after: float, price: float, creation: float) -> tuple[float, float, float]:
    """Returns when it is best to make a worker for gaps that are longer than ``after``, until when it is kept, and the
    cost of all of them; infinite moments if it is best not to."""
    best = (math.inf, math.inf, price * len(gaps))
    for first in dict.fromkeys(gaps):
        warm = first - _margin(first, price) - creation
        if warm <= after:
            continue
        cost = math.fsum(_cost_of(gap, warm, price, creation) for gap in gaps)
        if cost < best[2]:
            best = (warm, gaps[-1] + _margin(gaps[-1], price), cost)
    return best


def _margin(gap: float, price: float) -> float:
    return min(_MARGIN * price, gap / 2)


def _cost_of(gap: float, warm: float, price: float, creation: float) -> float:
    if gap < warm:
        return price
    # A part of the price is what it costs to make a worker, however early; the rest is that tasks wait for it.
    making = _MAKING * price
    if gap < warm + creation:  # it is needed while it is made: tasks wait for the rest
        return making + (price - making) * (warm + creation - gap) / creation
    return making + gap - warm - creation


def _rounded(seconds: float) -> float:
    """Rounds to a power of 1.2."""
    return math.pow(1.2, round(math.log(seconds, 1.2))) if seconds > 0.0 else 0.0
