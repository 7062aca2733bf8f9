"""CoolingWorkers: where workers wait whose resource must not be used for a while (``Health.COOL_DOWN``), and callers of
``run_task`` that pause between two attempts.

They must not wait for the tokens of the queue, since they would take those of tasks; but they have to obey orders, which are
among these tokens, and a stop, which waits for no pause. So each waits at a queue of its own, and what puts an order or
closes the door wakes all of them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from time import monotonic

_LONGEST = 3600.0
"""Seconds; ``get`` takes no number that is too large."""


class CoolingWorkers:
    """Those of one manager. Thread-safe; ``wake`` may be called from finalizers and signal handlers."""

    def __init__(self, tokens: queue.SimpleQueue[object], orders: tuple[object, ...]) -> None:
        """``orders``: the tokens that one of them may take."""
        self._tokens = tokens
        self._orders = orders
        self._alarms: set[queue.SimpleQueue[None]] = set()

    def wake(self) -> None:
        """Has each of them look whether it has to go on waiting."""
        for alarm in self._alarms.copy():  # one step: workers come and go meanwhile
            alarm.put(None)

    def wait(self, until: float, over: Callable[[], bool]) -> object:
        """Waits until that moment (``time.monotonic``), until ``over()``, or for an order. Returns the order, or None."""
        return self._wait(until, over, self._take_order)

    def pause(self, until: float, over: Callable[[], bool]) -> None:
        """The same for a caller of ``run_task``, which no order concerns."""
        self._wait(until, over, _no_order)

    def _wait(self, until: float, over: Callable[[], bool], take_order: Callable[[], object]) -> object:
        alarm: queue.SimpleQueue[None] = queue.SimpleQueue()
        try:
            self._alarms.add(alarm)  # before the look: what changes after the look wakes this worker
            while True:  # docs/decisions/0043
                if over() or (left := until - monotonic()) <= 0:
                    break
                if (order := take_order()) is not None:
                    return order
                try:
                    alarm.get(True, min(left, _LONGEST))
                except queue.Empty:
                    pass
        finally:
            self._alarms.discard(alarm)
        return None

    def _take_order(self) -> object:
        try:
            token = self._tokens.get_nowait()
        except queue.Empty:
            return None
        if token in self._orders:
            return token
        self._tokens.put(token)
        return None


def _no_order() -> None:
    """Takes no order."""
