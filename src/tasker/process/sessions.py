"""The children of one manager, and what they have in common."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasker.config import Config
from tasker.logs import GuardedLogger
from tasker.process.parent.connection import Connection
from tasker.process.parent.fork_server_client import ForkServerClient, acquire_client, give_back
from tasker.process.parent.output import OutputReader
from tasker.process.protocol.messages import Setup
from tasker.stats import ProcessUsage

if TYPE_CHECKING:
    from .options import ProcessBackend

_LONGEST = 1e8
"""Seconds; timers and clocks do not take any number."""


class ProcessSessions:
    """Opens and closes links. Thread-safe."""

    def __init__(self, config: Config[Any], log: GuardedLogger, *, asynchronous: bool) -> None:
        assert config.backend is not None
        self.config: Config[Any] = config
        self.options: ProcessBackend = config.backend
        self._grace = min(config.cancel_grace, _LONGEST)
        self._preload: tuple[str, ...] = tuple(self.options.preload)
        self._asynchronous = asynchronous
        self._listener = OutputReader(config.name, log)
        self._lock = threading.Lock()
        self._client_lock = threading.Lock()
        self._client: ForkServerClient | None = None
        self._connections: dict[Connection, None] = {}
        self._finished = False
        self._closed = False

    def open(self, name: str, on_end: Callable[[int], object]) -> Connection:
        """A new child, which makes its resource. ``on_end``: called once it is gone, in a thread of ours."""
        connection = Connection(name, self._grace)
        with self._lock:
            self._connections[connection] = None
        try:
            connection.open(
                self._live_client(),
                self.options.start_method == "spawn",
                self._setup(name),
                lambda: self._listener.pipes(name),
                on_end,
            )
        except BaseException:
            self.close(connection)
            raise
        return connection

    def close(self, connection: Connection) -> None:
        """Waits for a child's end and forgets it."""
        try:
            connection.close()
        finally:
            with self._lock:
                self._connections.pop(connection, None)
            self._close_if_empty()

    def finish(self) -> None:
        """There will be no more children: with the last one, or now, the nursery goes too. Blocks for the moment that it takes
        to end."""
        with self._lock:
            self._finished = True
        self._close_if_empty()

    def cancel_all(self, cause: BaseException) -> None:
        """Cancels whatever runs in a child; the tasks of ``run_task`` included, as in ``kill_all``."""
        for connection in self._all():
            connection.cancel(0, cause)

    def kill_all(self) -> None:
        """Ends every child at once."""
        for connection in self._all():
            connection.kill()

    def usage(self) -> tuple[ProcessUsage, ...]:
        """What the children take now."""
        from .usage import usage_of  # noqa: PLC0415  psutil is needed for this alone

        found = [
            usage_of(connection.name, connection.pid)
            for connection in self._all()
            if connection.pid and not connection.gone
        ]
        return tuple(usage for usage in found if usage is not None)

    def _all(self) -> list[Connection]:
        with self._lock:
            return list(self._connections)

    def _live_client(self) -> ForkServerClient:
        with self._client_lock:
            client = self._client
            if client is None or client.dead:
                if client is not None:
                    give_back(self._preload, client)
                client = self._client = acquire_client(self._preload)
            return client

    def _close_if_empty(self) -> None:
        with self._lock:
            if self._closed or not self._finished or self._connections:
                return
            self._closed = True
            client, self._client = self._client, None
        self._listener.close()
        if client is not None:
            give_back(self._preload, client)

    def _setup(self, name: str) -> Setup:
        config, options = self.config, self.options
        affinity = options.affinity
        return Setup(
            name=name,
            create=config.on_create,
            destroy=config.on_destroy,
            resource=config.resource,
            values=_values(config),
            asynchronous=self._asynchronous,
            must_admit=config.check_health is not None,
            affinity=None if affinity is None else tuple(affinity),
            nice=options.nice,
            max_rss=options.max_rss,
            grace=self._grace,
            levels=_levels(),
        )


def _values(config: Config[Any]) -> list[tuple[Any, Any]]:
    """Those of ``Config.ctx`` that can travel, outermost first."""
    from tasker.process.protocol.pickling import pack  # noqa: PLC0415

    values = []
    for key, value in [] if config.ctx is None else config.ctx._items():
        try:
            pack((key, value))
        except Exception:  # noqa: S112  of no use over there
            continue
        values.append((key, value))
    return values


def _levels() -> dict[str, int]:
    loggers = logging.root.manager.loggerDict
    levels = {name: logger.level for name, logger in tuple(loggers.items()) if isinstance(logger, logging.Logger)}
    return {"": logging.root.level, **{name: level for name, level in levels.items() if level}}
