"""A TaskManager over psycopg and an AsyncTaskManager over asyncpg, for tests that run over both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest

from support.aio import AsyncioManager
from support.resources import ScriptedResources
from support.threaded import ThreadedManager
from support.waiting import in_thread
from tasker import AsyncTaskManager, Config, Context, TaskManager, TaskTimeout

psycopg = pytest.importorskip("psycopg")
asyncpg = pytest.importorskip("asyncpg")

LOCK = 7
"""The advisory lock behind which `book` waits while a test holds it."""
_WAIT = f"SELECT pg_advisory_xact_lock_shared({LOCK})"
_BOOK = "INSERT INTO ledger (entry) VALUES ({}) ON CONFLICT (entry) DO UPDATE SET times = ledger.times + 1"
_SETTINGS = {"application_name": "pool", "client_connection_check_interval": "100ms"}
"""The server looks for clients that are gone while a statement runs, too."""


class Driver:
    """Makes managers whose connections go through the port `port`, and the hooks and tasks of these."""

    broken: ClassVar[tuple[type[BaseException], ...]]

    def __init__(self, port: int) -> None:
        self.port = port
        self.tries = 0
        """The number of connections that were tried."""

    def hooks(self) -> dict[str, Any]:
        """The hooks that connect, close and ask."""
        raise NotImplementedError

    def book(self) -> Callable[..., Any]:
        """A task that enters its argument into the table; it may run twice."""
        raise NotImplementedError

    def config(self, **options: Any) -> Config[Any]:
        """Two workers that are not scaled, and a verdict on errors."""
        defaults = {
            "check_health": self.is_healthy,
            "worker_count": 2,
            "resource_pool_size": 0,
            "burst_interval": 0,
        }
        return Config(**{**defaults, **self.hooks(), **options})

    def is_healthy(self, error: BaseException) -> bool:
        """Whether the connection can be used again."""
        return not isinstance(error, (*self.broken, TaskTimeout))


class Psycopg(Driver):
    """TaskManager: each worker has a thread."""

    broken = (psycopg.OperationalError, psycopg.InterfaceError)

    def hooks(self) -> dict[str, Any]:
        return {"on_create": self._connect, "on_destroy": psycopg.Connection.close}

    def probe(self, connection: Any) -> None:
        """`check_resource`."""
        connection.execute("SELECT 1")

    def book(self) -> Callable[..., Any]:
        def book(_ctx: Context, connection: Any, entry: int) -> int:
            connection.execute(_WAIT)
            connection.execute(_BOOK.format("%s"), (entry,))
            return entry

        return book

    @asynccontextmanager
    async def manager(self, **options: Any) -> AsyncIterator[Any]:
        """A manager whose methods are awaitable where they may wait."""
        raw: Any = TaskManager(self.config(**options))
        try:
            yield ThreadedManager(raw, ScriptedResources())
        finally:
            await in_thread(raw.kill, 10)

    def _connect(self) -> Any:
        self.tries += 1
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        where: Any = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "dbname": "postgres"}
        return psycopg.connect(**where, autocommit=True, sslmode="disable", gssencmode="disable", options=options)


class Asyncpg(Driver):
    """AsyncTaskManager: coroutine functions."""

    broken = (
        asyncpg.PostgresConnectionError,
        asyncpg.exceptions.OperatorInterventionError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # the server has said why it ends the connection, and has not ended it yet
        OSError,
    )

    def hooks(self) -> dict[str, Any]:
        return {"on_create": self._connect, "on_destroy": self._close}

    async def probe(self, connection: Any) -> None:
        """`check_resource`."""
        await connection.execute("SELECT 1")

    def book(self) -> Callable[..., Any]:
        async def book(_ctx: Context, connection: Any, entry: int) -> int:
            await connection.execute(_WAIT)
            await connection.execute(_BOOK.format("$1"), entry)
            return entry

        return book

    @asynccontextmanager
    async def manager(self, **options: Any) -> AsyncIterator[Any]:
        """A manager whose `submit` waits."""
        raw: Any = AsyncTaskManager(self.config(**options))
        await raw
        try:
            yield AsyncioManager(raw, ScriptedResources())
        finally:
            await raw.kill(10)

    async def _connect(self) -> Any:
        self.tries += 1
        where: Any = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "database": "postgres"}
        return await asyncpg.connect(**where, ssl=False, server_settings=_SETTINGS)

    async def _close(self, connection: Any) -> None:
        try:
            await connection.close(timeout=1)
        except self.broken:
            connection.terminate()  # it was broken already
