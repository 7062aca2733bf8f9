"""Room: which part of a screen gets how many lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """How many lines a part could fill with its title, and how many it should have at least. Immutable."""

    wanted: int
    least: int


def share(lines: int, wishes: Sequence[Wish]) -> list[int]:
    """Returns how many of ``lines`` each part gets, the most important part first.

    Each part gets its least, as long as there is room; then what is left goes to the first parts, up to what they want. A part
    that would have its title alone gets nothing.
    """
    left = max(0, lines)
    given = []
    for wish in wishes:
        least = min(wish.least, wish.wanted, left)
        given.append(least if least >= 2 else 0)
        left -= given[-1]
    for place, wish in enumerate(wishes):
        if given[place]:
            more = min(left, wish.wanted - given[place])
            given[place] += more
            left -= more
    return given
