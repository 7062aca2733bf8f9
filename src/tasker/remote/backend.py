"""What an engine has of its sessions, apart from its workers and the resources of ``run_task``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from tasker.logs import GuardedLogger
from tasker.stats import ProcessUsage

from .session import Sessions
from .window import InFlightWindow


class SessionsBackend(ABC):
    """Implements ``core.ports.RemoteBackend``."""

    def __init__(self, sessions: Sessions[Any], log: GuardedLogger) -> None:
        self._sessions: Sessions[Any] = sessions
        self._log = log

    @abstractmethod
    def _windows(self) -> Iterable[InFlightWindow]:
        """Returns the windows of the workers that serve now."""

    def recall(self, future: Any) -> None:
        """See ``RemoteBackend``."""
        for window in self._windows():
            if window.name == future.worker:
                window.recall()

    def recall_all(self) -> None:
        """See ``RemoteBackend``."""
        for window in self._windows():
            window.recall()

    def overtake(self, priority: int) -> None:
        """See ``RemoteBackend``."""
        for window in self._windows():
            if window.last_level() > priority:
                window.recall()

    def cancel_all(self, cause: BaseException) -> None:
        """See ``RemoteBackend``."""
        self._sessions.cancel_all(cause)

    def terminate_all(self) -> None:
        """See ``RemoteBackend``."""
        self._sessions.terminate_all()

    def kill_all(self) -> None:
        """See ``RemoteBackend``."""
        self._sessions.bar()
        self._sessions.kill_all()

    def finish(self) -> None:
        """See ``RemoteBackend``."""
        try:
            self._sessions.finish()
        except Exception as fault:  # those that wait for the end of the engine have to be notified all the same
            self._log.fault("the end of the backend", fault)

    @abstractmethod
    def finish_apart(self) -> None:
        """See ``RemoteBackend``."""

    def usage(self) -> tuple[ProcessUsage, ...]:
        """See ``RemoteBackend``."""
        return self._sessions.usage()
