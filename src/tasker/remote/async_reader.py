"""A link in an event loop: what the child says is read as it comes, and whoever waits for it is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tasker.process.parent.connection import Connection
from tasker.process.protocol.messages import Answer


class AsyncReader:
    """For one coroutine at a time. ``on_end``: called in the loop once the child has closed its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, session: Connection, on_end: Callable[[], object]) -> None:
        self._loop = loop
        self._session = session
        self._on_end = on_end
        self._received: list[Answer] = []
        self._waiter: asyncio.Future[None] | None = None
        self._writing = False
        self._over = False
        self._closed = False
        loop.add_reader(session.fileno(), self._read)

    def over(self) -> bool:
        """Whether there is no more to come."""
        return self._over

    def close(self) -> None:
        """Before the link is closed."""
        self._closed = True
        self._loop.remove_reader(self._session.fileno())
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._session.fileno())

    async def answers(self, timeout: float | None = None) -> list[Answer]:
        """What the child has said; waits for it, ``timeout`` seconds at most (then none). ``EOFError`` at the end."""
        self._write_on()
        if not self._received and not self._over:
            await self._wait(timeout)
        if not self._received and self._over:
            raise EOFError
        return self.take()

    def take(self) -> list[Answer]:
        """What the child has said so far."""
        received, self._received = self._received, []
        return received

    async def _wait(self, timeout: float | None) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = None if timeout is None else self._loop.call_later(timeout, self._wake)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def look(self) -> None:
        """The child has ended: there is nothing to wait for."""
        if not self._over and not self._closed:
            self._read()

    def nudge(self) -> None:
        """Ends a wait for answers."""
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _read(self) -> None:
        try:
            self._received += self._session.answers()
        except EOFError:
            self._over = True
            self._loop.remove_reader(self._session.fileno())
            self._on_end()
        if self._received or self._over:
            self._wake()

    def _write_on(self) -> None:
        """While the child has not taken all that was sent, the loop sends on."""
        if self._session.wire.blocked and not self._writing and not self._over:
            self._writing = True
            self._loop.add_writer(self._session.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._session.wire.flush()
        except OSError:  # gone, which reading tells
            pass
        else:
            if self._session.wire.blocked:
                return
        self._writing = False
        self._loop.remove_writer(self._session.fileno())
