"""A session in an event loop: its events are read as they come, and the coroutine that waits for them is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .events import SessionEvent
from .session import Session


class AsyncReader:
    """For one coroutine at a time; but where Ctrl-C strikes the keeper of a resource, it ends what a caller waits for, and both
    are woken. ``on_end`` is called in the loop once the session is gone and was read to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: Session, on_end: Callable[[], object]) -> None:
        self._loop = loop
        self._session = session
        self._on_end = on_end
        self._received: list[SessionEvent] = []
        self._waiter: asyncio.Future[None] | None = None
        self._at_end = False
        self._closed = False
        self._fault: Exception | None = None
        self._watch = session.watch(loop, self._read)

    def at_end(self) -> bool:
        """Returns whether there is nothing more to come. Raises a fault of the reading."""
        if self._fault is not None:
            raise self._fault
        return self._at_end

    def close(self) -> None:
        """Reads no more; what still waits for events gets ``EOFError``. Before the session is closed."""
        self._closed = True
        self._watch.close()
        self.nudge()

    async def events(self, timeout: float | None = None) -> list[SessionEvent]:
        """Returns what has been reported; waits for it, ``timeout`` seconds at most (then []). Raises ``EOFError`` at the
        end, or a fault of the reading."""
        self._watch.flush()
        if not self._received and not self._at_end and not self._closed and self._fault is None:
            await self._wait(timeout)
        if not self._received and (self.at_end() or self._closed):
            raise EOFError
        return self.take()

    def take(self) -> list[SessionEvent]:
        """Returns what has been read and not returned so far."""
        received, self._received = self._received, []
        return received

    def check(self) -> None:
        """Looks for the end of the session, which the loop may not see: a process that a child has started may hold its
        sockets open."""
        while self._session.dead and not self._at_end and not self._closed and self._fault is None:
            self._read()

    def nudge(self) -> None:
        """Ends a wait for events."""
        if self._waiter is not None:
            _wake(self._waiter)

    async def _wait(self, timeout: float | None) -> None:
        older, self._waiter = self._waiter, self._loop.create_future()
        waiter = self._waiter
        if older is not None:
            waiter.add_done_callback(lambda _: _wake(older))
        timer = None if timeout is None else self._loop.call_later(timeout, self.nudge)
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None
            if timer is not None:
                timer.cancel()

    def _read(self) -> None:
        try:
            self._received += self._session.events()
        except EOFError:
            self._at_end = True
            self._watch.close()
            self._on_end()
        except Exception as fault:  # no memory, say: what waits must get it, and the loop would only log it
            self._fault = fault
            self._session.kill()
            self._watch.close()
            self._on_end()
        if self._received or self._at_end or self._fault is not None:
            self.nudge()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
