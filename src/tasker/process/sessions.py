"""The children of one manager, and what they have in common."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tasker.config import Config
from tasker.logs import GuardedLogger
from tasker.process.parent.fork_server_client import ForkServerClient, acquire_client, give_back
from tasker.process.parent.output import OutputReader
from tasker.process.parent.session import ProcessSession
from tasker.process.protocol.messages import Setup
from tasker.process.protocol.setups import ResourceSetup
from tasker.remote.session import ArgsOf, Sessions
from tasker.remote.sharing import notify_of_ends
from tasker.stats import ProcessUsage
from tasker.worker_info import WorkerInfo

from .options import ProcessBackend
from .usage import usage_of

_LONGEST = 1e8
"""Seconds; timers and clocks do not take any number."""
DESCRIPTORS = 10 if hasattr(os, "eventfd") else 11
"""Of this process for each child: three sockets, a pipe of its messages, two ends of the permits, one or two of what ends a wait,
and three pipes of its output."""


class ProcessSessions(Sessions[ProcessSession]):
    """See the module's docstring."""

    def __init__(self, config: Config[Any], log: GuardedLogger, *, asynchronous: bool, args_of: ArgsOf) -> None:
        options = config.backend
        assert isinstance(options, ProcessBackend)
        super().__init__(options)
        self._config = config
        self._backend = options
        self._grace = min(config.cancel_grace, _LONGEST)
        self._preload: tuple[str, ...] = tuple(options.preload)
        self._asynchronous = asynchronous
        self._args_of = args_of
        self._output = OutputReader(config.name, log)
        self._client_lock = threading.Lock()
        self._client: ForkServerClient | None = None
        notify_of_ends(self)

    def usage(self) -> tuple[ProcessUsage, ...]:
        """See ``Sessions``."""
        found = [usage_of(session.name, session.pid) for session in self._all() if session.pid and not session.closed]
        return tuple(usage for usage in found if usage is not None)

    def _new(self, name: str, on_end: Callable[[], object]) -> ProcessSession:
        with _naming_the_limit():
            return ProcessSession(name, self._grace, self._args_of, on_end)

    def _start(self, session: ProcessSession) -> None:
        spawn = self._backend.start_method == "spawn"
        name = session.name
        with _naming_the_limit():
            session.start(
                self._live_client(),
                spawn,
                self._setup(name, session.worker),
                lambda: self._output.pipes(name, session.take_progress),
            )

    def _live_client(self) -> ForkServerClient:
        with self._client_lock:
            client = self._client
            if client is None or client.dead:
                if client is not None:
                    give_back(self._preload, client)
                client = self._client = acquire_client(self._preload)
            return client

    def _release(self) -> None:
        self._output.close()
        client, self._client = self._client, None
        if client is not None:
            give_back(self._preload, client)

    def _setup(self, name: str, worker: WorkerInfo | None) -> Setup:
        config, options = self._config, self._backend
        affinity = options.affinity
        return Setup(
            name=name,
            made_of=ResourceSetup.of(config, worker, asynchronous=self._asynchronous, grace=self._grace),
            must_admit=config.check_health is not None,
            affinity=None if affinity is None else tuple(affinity),
            nice=options.nice,
            max_rss=options.max_rss,
            levels=_levels(),
        )


@contextlib.contextmanager
def _naming_the_limit() -> Iterator[None]:
    """Says which limit was reached where no descriptor was left."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        text = f"too many child processes for RLIMIT_NOFILE, which is {most}: each takes {DESCRIPTORS} descriptors"
        raise OSError(errno.EMFILE, text) from error


def _levels() -> dict[str, int]:
    # A copy, which is made in one step: other threads may add loggers meanwhile.
    loggers = logging.root.manager.loggerDict.copy()
    levels = {name: logger.level for name, logger in loggers.items() if isinstance(logger, logging.Logger)}
    return {"": logging.root.level, **{name: level for name, level in levels.items() if level}}
