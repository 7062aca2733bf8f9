"""Copies of deques that other threads change meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_TRIES = 100


def snapshot(items: deque[T]) -> list[T]:
    """Returns what a deque holds at one moment. If it is changed all the time, items that are behind one that is taken out may be
    left out."""
    for _ in range(_TRIES):
        try:
            return list(items)  # one step with the GIL
        except RuntimeError:  # without it, another thread has changed it meanwhile
            continue
    return [*one_by_one(items)]


def one_by_one(items: deque[T]) -> Iterator[T]:
    """Yields the items of a deque that other threads change; some that are behind one that is taken out are left out."""
    index = 0
    while True:
        try:
            item = items[index]
        except IndexError:
            return
        yield item
        index += 1
