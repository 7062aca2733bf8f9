"""Copies of deques that other threads change meanwhile, as can happen at any moment without the GIL."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from tasker.core.snapshots import snapshot


class Changed(deque[int]):
    """Changed by another thread while it is read, so many times."""

    changes = 0

    def __iter__(self) -> Iterator[Any]:
        """Yields one item, and then finds the change."""
        if not self.changes:
            return super().__iter__()
        self.changes -= 1
        return self._changed()

    def _changed(self) -> Iterator[Any]:
        yield self[0]
        raise RuntimeError("deque mutated during iteration")


def test_one_that_changes_twice() -> None:
    """It is read again."""
    items = Changed([1, 2, 3])
    items.changes = 2
    assert snapshot(items) == [1, 2, 3]


def test_one_that_changes_all_the_time() -> None:
    """It is read item by item."""
    items = Changed([1, 2, 3])
    items.changes = 10**9
    assert snapshot(items) == [1, 2, 3]
