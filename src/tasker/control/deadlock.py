"""Which worker's task waits for what, and whether that wait can ever end.

The deadlock that every pool knows: tasks that wait for tasks of their own pool, until no worker is left to run them.
A worker's task that is about to wait is entered here. If then every worker that the pool can ever have waits for
something that has not happened, nothing will make it happen, and the wait that came last is refused.

Whether it has happened is asked of the awaited things themselves. A worker whose wait is over but that has not woken up
yet does not count as waiting, so there is no false alarm.
"""

from __future__ import annotations

import enum
from typing import Generic, Protocol, TypeVar

K = TypeVar("K")


class Awaited(Protocol):
    """What a task can wait for."""

    def done(self) -> bool:
        """Returns whether there is nothing to wait for any more."""
        ...


class Outlook(enum.Enum):
    """What a wait leads to."""

    FINE = "fine"
    """A worker is left that can bring it about."""
    NEEDS_WORKER = "needs a worker"
    """Every worker waits; the pool may still grow, and has to."""
    DEADLOCK = "deadlock"
    """It would last for ever. The wait was not entered."""


class WaitGraph(Generic[K]):
    """The waits of one manager, by waiting worker. Not thread-safe."""

    __slots__ = ("_waits",)

    def __init__(self) -> None:
        self._waits: dict[K, Awaited] = {}

    def __contains__(self, worker: K) -> bool:
        return worker in self._waits

    def enter(self, worker: K, awaited: Awaited, *, limit: int, workers: int, living: int) -> Outlook:
        """Enters a wait, and judges it.

        ``limit``: the most workers that can serve the queue. ``workers``: how many exist; after a resize downwards
        that can be more than ``limit`` until the surplus has retired, and each of them may still run the awaited task.
        ``living``: how many are ready or starting.
        """
        self._waits[worker] = awaited
        waiting = self.waiting()
        if waiting >= max(limit, workers):
            del self._waits[worker]
            return Outlook.DEADLOCK
        return Outlook.NEEDS_WORKER if waiting >= living else Outlook.FINE

    def leave(self, worker: K) -> None:
        """Takes a wait out. Harmless when repeated."""
        self._waits.pop(worker, None)

    def waiting(self) -> int:
        """Returns how many workers wait for something that has not happened."""
        return sum(1 for awaited in self._waits.values() if not awaited.done())
