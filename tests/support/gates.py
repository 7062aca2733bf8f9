"""Gate: where tasks and hooks wait until the test lets them through, and count themselves."""

from __future__ import annotations

import asyncio
import threading

from support.waiting import POLL, eventually, wait_until

_LIMIT = 90.0


class Gate:
    """A closed door with a counter of who arrived at it."""

    def __init__(self) -> None:
        self._door = threading.Event()
        self._lock = threading.Lock()
        self._arrived = 0

    def open(self) -> None:
        """Let everyone through, from now on."""
        self._door.set()

    @property
    def is_open(self) -> bool:
        """Whether the door is open."""
        return self._door.is_set()

    @property
    def arrived(self) -> int:
        """How many came to the door so far."""
        return self._arrived

    def arrive(self) -> None:
        """Count oneself, without waiting."""
        with self._lock:
            self._arrived += 1

    def pass_through(self) -> None:
        """Count oneself and block until the door is open."""
        self.arrive()
        if not self._door.wait(_LIMIT):
            raise AssertionError("nobody opened the gate")

    async def apass_through(self) -> None:
        """`pass_through` for coroutines."""
        self.arrive()
        while not self._door.is_set():
            await asyncio.sleep(POLL)

    async def arrivals(self, count: int, timeout: float = 20.0) -> None:
        """Wait until `count` have arrived."""
        await eventually(lambda: self._arrived >= count, timeout, f"{count} arrivals at the gate")

    def wait_arrivals(self, count: int, timeout: float = 20.0) -> None:
        """`arrivals` for plain tests."""
        wait_until(lambda: self._arrived >= count, timeout, f"{count} arrivals at the gate")
