"""The tasks that are to be sent by themselves: what they were sent with may have killed a session, or could not be read.

See ``control.attempts.unstarted``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Suspects:
    """Those of one manager, while they wait in its queue. Thread-safe: each change of the set is atomic."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: set[Any] = set()

    def __bool__(self) -> bool:
        return bool(self._futures)

    def add(self, future: Any) -> None:
        """Adds a task. Before it goes back to the queue, where another worker may take it at once."""
        self._futures.add(future)

    def take(self, futures: Iterable[Any]) -> bool:
        """Removes these, which have come out of the queue. Returns whether any of them was a suspect."""
        found = self._futures.intersection(futures)
        self._futures.difference_update(found)
        return bool(found)

    def forget_ended(self) -> None:
        """Removes those that have ended meanwhile, and so do not come out of the queue."""
        self._futures.difference_update([future for future in self._futures.copy() if future.done()])
