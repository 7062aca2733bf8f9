"""Copies of deques that other threads change meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_TRIES = 1_000


def copied(items: deque[T]) -> list[T] | None:
    """Returns what a deque holds at one moment, or None if other threads change it all the time."""
    for _ in range(_TRIES):
        try:
            return list(items)  # one step with the GIL
        except RuntimeError:  # without it, another thread has changed it meanwhile
            continue
    return None


def snapshot(items: deque[T]) -> list[T]:
    """As ``copied``; of a deque that is changed all the time, some items that are behind one that is taken out are left out."""
    found = copied(items)
    return [*_one_by_one(items)] if found is None else found


def _one_by_one(items: deque[T]) -> Iterator[T]:
    index = 0
    while True:
        try:
            item = items[index]
        except IndexError:
            return
        yield item
        index += 1
