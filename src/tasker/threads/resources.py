"""Making and ending resources, each exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context
from tasker.core.counters import Counters
from tasker.logs import GuardedLogger


class ResourceElsewhere(Protocol):
    """A resource of ``run_task`` that lives outside of this process, for one caller at a time."""

    @property
    def usable(self) -> bool:
        """Whether it may get another task: its process lives, and it has not served its time."""
        ...

    def context(self) -> Context:
        """Returns the context of the next task."""
        ...

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there; returns its result, or raises its error."""


class ResourceHandle:
    """A resource, and how to end it."""

    __slots__ = ("end", "remote", "resource")

    def __init__(self, resource: Any, end: Callable[[], object] | None) -> None:
        self.resource: Any = resource
        self.end: Callable[[], object] | None = end
        self.remote: ResourceElsewhere | None = None
        """Where it lives, if not in this process."""


class ResourceMaker(Protocol):
    """Makes and ends resources; each call is in the ledger when it returns."""

    def make(self) -> ResourceHandle:
        """Makes a resource; raises what the user's function raises."""

    def end(self, handle: ResourceHandle) -> None:
        """Ends a resource; raises nothing of the user's."""


class Maker:
    """Calls the user's ``on_create``/``on_destroy`` or ``resource``, and enters each call into the ledger."""

    def __init__(self, config: Config[Any], counters: Counters, log: GuardedLogger) -> None:
        self._config = config
        self._books = counters
        self._log = log

    def make(self) -> ResourceHandle:
        """Makes a resource; raises what the user's function raises."""
        handle = self._make()
        self._books.resource(created=1)
        return handle

    def _make(self) -> ResourceHandle:
        config = self._config
        if config.resource is not None:
            manager: Any = config.resource()
            return ResourceHandle(manager.__enter__(), lambda: manager.__exit__(None, None, None))
        assert config.on_create is not None
        resource = config.on_create()
        destroy = config.on_destroy
        return ResourceHandle(resource, None if destroy is None else lambda: destroy(resource))

    def end(self, handle: ResourceHandle) -> None:
        """Ends a resource; what the user's function raises is logged and counted, and the resource is gone all the
        same."""
        try:
            if handle.end is not None:
                handle.end()
        except BaseException as error:
            self._log.fault("on_destroy", error)
        finally:
            self._books.resource(destroyed=1)
