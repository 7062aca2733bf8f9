"""Proxy: a TCP server before PostgreSQL that can be stopped, drop its connections, delay what it forwards and go deaf."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any

_HOST = "127.0.0.1"
_LIMIT = 10.0


class _Link:
    """A connection of a client, and its own to the server."""

    def __init__(self, client: asyncio.StreamWriter, deaf: bool) -> None:
        self.writers = [client]
        self.task = asyncio.current_task()
        self.heard = asyncio.Event()
        if not deaf:
            self.heard.set()


class Proxy:
    """Forwards a TCP port to the Unix socket at `path`, in a thread of its own. Every method takes effect before it returns."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._links: set[_Link] = set()
        self._deaf = False
        self._delay = 0.0
        self._server: asyncio.Server | None = None
        self._socket = _bind(0)
        self.port: int = self._socket.getsockname()[1]
        self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.start()

    @property
    def links(self) -> int:
        """The number of connections now."""
        return len(self._links)

    def start(self) -> None:
        """Accept connections again."""
        self._do(self._start())

    def stop(self) -> None:
        """Refuse connections. Those that exist stay; `drop` closes them."""
        self._do(self._stop())

    def drop(self) -> int:
        """Close every connection, as a server does that crashes; return how many there were."""
        return self._do(self._drop())

    def delay(self, seconds: float) -> None:
        """Hold up by this time what is forwarded, each piece and in both directions; 0 ends that."""
        self._delay = seconds

    def deafen(self, *, present: bool = True, new: bool = True) -> None:
        """Forward nothing more of the present connections, of new ones, or of both; accept and keep them all."""
        self._do(self._set_deaf(True, present, new))

    def hear(self, *, present: bool = True, new: bool = True) -> None:
        """Forward again, also what has come meanwhile, as TCP would send it again."""
        self._do(self._set_deaf(False, present, new))

    def close(self) -> None:
        """Stop, drop all and end the thread."""
        self.stop()
        self.drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT)
        assert not self._thread.is_alive()
        self._loop.close()
        self._socket.close()

    def _do(self, step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(_LIMIT)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket)

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._socket = _bind(self.port)  # does not listen: refuses, and nobody else can have the port

    async def _drop(self) -> int:
        links = list(self._links)
        for link in links:
            for writer in link.writers:
                writer.transport.abort()
            assert link.task is not None
            link.task.cancel()
        if links:
            await asyncio.wait([link.task for link in links if link.task is not None])
        return len(links)

    async def _set_deaf(self, deaf: bool, present: bool, new: bool) -> None:
        if new:
            self._deaf = deaf
        for link in self._links if present else ():
            if deaf:
                link.heard.clear()
            else:
                link.heard.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, self._deaf)
        self._links.add(link)
        self.accepted += 1
        try:
            await link.heard.wait()
            server_reader, server_writer = await asyncio.open_unix_connection(self._path)
            link.writers.append(server_writer)
            await self._pump_both(link, (reader, server_writer), (server_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the server is down, or `drop`
        finally:
            for end in link.writers:
                end.close()
            self._links.discard(link)

    async def _pump_both(self, link: _Link, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Forward until one side has ended."""
        pumps = [asyncio.ensure_future(self._pump(link, *way)) for way in ways]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if self._delay:
                await asyncio.sleep(self._delay)
            await link.heard.wait()
            writer.write(data)
            await writer.drain()


def _bind(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((_HOST, port))
    return made
