"""The actors of one manager, and what they have in common."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from tasker.config import Config
from tasker.core.daemon import Daemon
from tasker.errors import ResourceError
from tasker.logs import GuardedLogger
from tasker.process.protocol.pickling import pack_named
from tasker.process.protocol.setups import ResourceSetup
from tasker.remote.session import ArgsOf, Sessions
from tasker.remote.sharing import notify_of_ends

from .cell import GROUPS, Cell
from .cluster import connected_as, connection
from .messages import message
from .options import RayBackend
from .session import ENDED, RaySession
from .sharing import referring

_LOOK = 0.5
"""Seconds between two looks at the connection."""
_LONGEST = 1e8
"""Seconds; clocks do not take any number."""


class RaySessions(Sessions[RaySession]):
    """See the module's docstring."""

    def __init__(self, config: Config[Any], log: GuardedLogger, *, asynchronous: bool, args_of: ArgsOf) -> None:
        options = config.backend
        assert isinstance(options, RayBackend)
        super().__init__(options)
        self._config = config
        self._backend = options
        self._grace = min(config.cancel_grace, _LONGEST)
        self._asynchronous = asynchronous
        self._args_of = args_of
        self._connecting = threading.Lock()
        self._connected = False
        self._connected_as: object = None
        """See ``connected_as``."""
        self._kind: Any = None
        """The class of the actors, with their options."""
        self._news: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._log = log
        notify_of_ends(self)

    def _new(self, name: str, on_end: Callable[[], object]) -> RaySession:
        return RaySession(name, self._grace, self._args_of, on_end, self._news.put, self._has_connection)

    def _start(self, session: RaySession) -> None:
        with referring(session.told) as shared:
            made_of = ResourceSetup.of(self._config, session.worker, asynchronous=self._asynchronous, grace=self._grace)
            setup = message(pack_named(made_of, "on_create, on_destroy or resource of the Config"))
        make = self._actor_class().remote
        if not self._has_connection():
            raise ResourceError(ENDED)
        session.start(make, setup, shared)

    def _release(self) -> None:
        with self._connecting:
            connected, self._connected = self._connected, False
        if connected:
            self._news.put(None)
            connection.release()

    def _actor_class(self) -> Any:
        """Returns the class of the actors; connects first, with the first one."""
        with self._connecting:
            if not self._connected:
                local = connection.acquire(self._backend)
                self._connected = True
                self._connected_as = connected_as()
                self._kind = _actor_class(self._backend, local=local)
                Daemon(self._handle_news, f"{self._config.name}-ray").start()
            return self._kind

    def _handle_news(self) -> None:
        """See ``RaySession``."""
        while True:
            try:
                call = self._news.get(timeout=_LOOK)
            except queue.Empty:
                self._look()
                continue
            if call is None:
                return
            try:
                call()
            except BaseException as error:  # the other sessions need this thread as well
                self._log.fault("news of an actor", error)
            del call

    def _has_connection(self) -> bool:
        return connected_as() == self._connected_as

    def _look(self) -> None:
        """Notices the end of the connection, of which Ray tells nobody: a program may call ``ray.shutdown``."""
        if not self._has_connection():
            for session in self._all():
                session.lost(ConnectionError(ENDED))


def _actor_class(options: RayBackend, *, local: bool) -> Any:
    import ray  # noqa: PLC0415

    more: dict[str, Any] = {}
    if options.resources is not None:
        more["resources"] = dict(options.resources)
    if options.scheduling_strategy is not None:
        more["scheduling_strategy"] = options.scheduling_strategy
    if options.runtime_env is not None:
        more["runtime_env"] = dict(options.runtime_env)
    # An actor that asks for nothing makes no cluster grow. Ours need not grow, and one with few processors would let tasks that
    # only wait use few workers.
    cpus = options.num_cpus if options.num_cpus is not None else 0.0 if local else 1.0
    return ray.remote(concurrency_groups=GROUPS)(Cell).options(
        num_cpus=cpus, num_gpus=options.num_gpus, max_restarts=0, max_task_retries=0, **more
    )
