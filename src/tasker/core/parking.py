"""ParkingLot: the workers that keep their resource and take no tasks, and those that are to join them."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ParkingLot:
    """Carries out ``Park`` for one engine. Thread-safe, but not for signal handlers and finalizers.

    An *order* is the request to one worker, whichever finds it first, to be parked. An engine hands orders out in its own
    way; one that has been withdrawn is found by a worker that is then refused, and serves on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders = 0
        self._parked: dict[object, Callable[[], object]] = {}
        """What ends the stay of each worker."""

    def __bool__(self) -> bool:
        """Whether an order waits for a worker."""
        return self._orders > 0

    def want(self, count: int) -> int:
        """Has so many workers be parked, those that are already included: withdraws orders and ends stays that are too many.
        Returns how many further orders the caller has to hand out."""
        with self._lock:
            missing = count - self._orders - len(self._parked)
            if missing > 0:
                self._orders += missing
                return missing
            withdrawn = min(-missing, self._orders)
            self._orders -= withdrawn
            for _ in range(-missing - withdrawn):
                self._parked.popitem()[1]()
            return 0

    def enter(self, worker: object, release: Callable[[], object]) -> bool:
        """Has a worker obey an order: it is parked until ``release`` is called, in any thread. Returns False if there is no
        order any more."""
        with self._lock:
            if not self._orders:
                return False
            self._orders -= 1
            self._parked[worker] = release
            return True

    def leave(self, worker: object) -> None:
        """Ends the stay of a worker, whatever was wanted. Harmless if it is not parked."""
        with self._lock:
            release = self._parked.pop(worker, None)
        if release is not None:
            release()
