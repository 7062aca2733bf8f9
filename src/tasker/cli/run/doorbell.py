"""How one thread waits for many without a system call for each thing that they have for it."""

from __future__ import annotations

import queue
from collections.abc import Sized


class Doorbell:
    """One thread waits, any thread rings."""

    def __init__(self) -> None:
        self._waits = False
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()

    def ring(self) -> None:
        """Ends a wait that has begun; does nothing otherwise. To be called after the thing was put where the one who waits
        looks for it."""
        if self._waits:
            # Several threads may do so at the same time: then further waits end at once, which does no harm.
            self._waits = False
            self._calls.put(None)

    def call(self) -> None:
        """Ends this wait or the next one. Never blocks."""
        self._calls.put(None)

    def wait(self, timeout: float, things: Sized) -> None:
        """Waits at most ``timeout`` seconds, and not at all if there are ``things``."""
        # First the flag, then the look: what comes after the look rings.
        self._waits = True
        if not things:
            try:
                self._calls.get(timeout=timeout)
            except queue.Empty:
                pass
        self._waits = False
