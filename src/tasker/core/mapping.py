"""What ``map`` has in common on both engines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol


class Cancellable(Protocol):
    """A future."""

    def cancel(self) -> bool:
        """Cancels the task, if it has not started."""
        ...


def is_in_memory(inputs: object) -> bool:
    """Returns whether reading an input never waits for anything."""
    return isinstance(inputs, list | tuple | range | dict | set | frozenset | deque)


def cancel_all(futures: Iterable[Cancellable]) -> None:
    """Takes back what has not started."""
    # A copy: cancelling may remove a future from the collection.
    for future in list(futures):
        future.cancel()
