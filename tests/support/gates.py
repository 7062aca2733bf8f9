"""Gate: where tasks and hooks wait until the test lets them through, and which counts their arrivals."""

from __future__ import annotations

import asyncio
import threading

from support.waiting import POLL, eventually, wait_until

_LIMIT = 90.0


class Gate:
    """Holds every arrival until it is opened, and counts arrivals. Thread-safe."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._lock = threading.Lock()
        self._arrived = 0

    def open(self) -> None:
        """Let every arrival through, now and later."""
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Whether the gate is open."""
        return self._opened.is_set()

    @property
    def arrived(self) -> int:
        """The number of arrivals so far."""
        return self._arrived

    def arrive(self) -> None:
        """Count an arrival, without waiting."""
        with self._lock:
            self._arrived += 1

    def pass_through(self) -> None:
        """Count an arrival and block until the gate is open."""
        self.arrive()
        if not self._opened.wait(_LIMIT):
            raise AssertionError("the gate was never opened")

    async def apass_through(self) -> None:
        """Do what `pass_through` does, in a coroutine."""
        self.arrive()
        while not self._opened.is_set():
            await asyncio.sleep(POLL)

    async def arrivals(self, count: int, timeout: float = 20.0) -> None:
        """Wait for `count` arrivals; fail after `timeout` seconds."""
        await eventually(lambda: self._arrived >= count, timeout, f"{count} arrivals at the gate")

    def wait_arrivals(self, count: int, timeout: float = 20.0) -> None:
        """Do what `arrivals` does, in a test that is a plain function."""
        wait_until(lambda: self._arrived >= count, timeout, f"{count} arrivals at the gate")
