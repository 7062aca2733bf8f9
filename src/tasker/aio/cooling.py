"""Where workers in an event loop wait whose resource must not be used for a while (``Health.COOL_DOWN``)."""

from __future__ import annotations

import asyncio


class CoolingTasks:
    """The workers of one manager that cool down. For the loop's thread alone."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def wake(self) -> None:
        """Has each of them look whether it has to go on waiting."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Waits until ``wake`` is called, so many seconds at most."""
        waiter = loop.create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=seconds)
        finally:
            self._waiters.discard(waiter)
