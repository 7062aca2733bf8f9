"""The connection of this process to a Ray cluster, which the managers here share."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from typing import Any, Protocol

from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.errors import ConfigError, ResourceError

from .options import NO_CLIENT

_PROBE = 5.0
"""Seconds that an address has to answer: Ray itself waits for minutes for one that is dead."""


class Where(Protocol):
    """What the options of a backend say about the cluster."""

    @property
    def address(self) -> str | None: ...
    @property
    def namespace(self) -> str | None: ...


class _Connection:
    """Counts those that use it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._keeper: _Keeper | None = None
        """Of a connection that was made here."""
        self._former: _Keeper | None = None
        """Of the last one, which may be ending."""

    def acquire(self, options: Where) -> bool:
        """Connects, if nothing is connected. Returns whether it is a local Ray that was started here. Raises
        ``ResourceError`` if there is no cluster at the address, ``ConfigError`` if the program has connected by the Ray Client."""
        import ray  # noqa: PLC0415  takes a third of a second

        with self._lock:
            if self._former is not None:
                self._former.join()  # while it ends, Ray still counts as initialised
                self._former = None
            if not ray.is_initialized():
                if self._keeper is not None:  # somebody else has ended its connection
                    self._keeper.disconnect()
                    self._keeper = None
                keeper = _Keeper(options)
                keeper.connect()
                self._keeper = keeper
            elif _is_client():
                raise ConfigError(f"this program has called ray.init with a ray:// address: {NO_CLIENT}")
            self._users += 1
            return self._keeper is not None and self._keeper.local

    def release(self) -> None:
        """Disconnects with the last user, and ends a Ray that was started here; not one that was there before. Does not wait
        for that, which takes seconds: the caller may be an event loop."""
        with self._lock:
            self._users -= 1
            keeper = self._keeper
            if keeper is not None and self._users == 0:
                self._keeper, self._former = None, keeper
                keeper.disconnect()


class _Keeper:
    """The thread that connects, and lives until the connection ends: on Linux, the processes of a local Ray are killed when the
    thread ends that has started them (``PR_SET_PDEATHSIG``)."""

    def __init__(self, options: Where) -> None:
        self.local: bool = options.address is None
        self._options = options
        self._error: BaseException | None = None
        self._connected_as: object = None
        self._settled, self._leave = Flag(), Flag()
        self._thread = Daemon(self._run, "tasker-ray")

    def connect(self) -> None:
        """Returns once it is connected; raises why it is not."""
        self._thread.start()
        self._settled.wait()
        if self._error is not None:
            raise self._error

    def disconnect(self) -> None:
        """Begins to disconnect."""
        self._leave.set()

    def join(self) -> None:
        """Returns once it is disconnected."""
        self._thread.join()

    def _run(self) -> None:
        import ray  # noqa: PLC0415

        try:
            _connect(ray, self._options)
            self._connected_as = connected_as()
        except BaseException as error:
            self._error = error
            return
        finally:
            self._settled.set()
        self._leave.wait()
        if connected_as() == self._connected_as:  # not if somebody else has ended it, and may have another one by now
            ray.shutdown()


connection: _Connection = _Connection()


def connected_as() -> object:
    """Returns what tells the connection of this process from an earlier or later one; None if there is none. Calls of Ray's
    without one would make one, to whatever cluster they find."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    try:
        context = ray.get_runtime_context()
        return context.gcs_address, context.get_job_id()
    except Exception:  # it ends at this moment
        return None


def _is_client() -> bool:
    client: Any = sys.modules.get("ray.util.client")
    return client is not None and bool(client.ray.is_connected())


def _connect(ray: Any, options: Where) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    more: dict[str, Any] = {} if options.namespace is None else {"namespace": options.namespace}
    if options.address is None:
        # Named: a file that a dead Ray has left would else be taken for a cluster.
        more |= {"address": "local", "include_dashboard": False}
    else:
        _probe(options.address)
        more["address"] = options.address
    try:
        ray.init(logging_level=logging.WARNING, **more)
    except Exception as error:
        where = "a local Ray" if options.address is None else f"the Ray cluster at {options.address!r}"
        raise ResourceError(f"{where} could not be reached: {error}") from error


def _probe(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return  # "auto": Ray looks for it on this machine
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE).close()
    except OSError as error:
        raise ResourceError(f"no Ray cluster answers at {address!r}: {error}") from error
