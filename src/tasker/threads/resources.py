"""Makes and destroys resources, each exactly once, and keeps the ledger."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from tasker.config import Config
from tasker.context import Context
from tasker.control.wear import Wear
from tasker.core.counters import Counters
from tasker.core.identity import arguments_for
from tasker.core.planning import wear_of
from tasker.logs import GuardedLogger
from tasker.worker_info import WorkerInfo


class ResourceElsewhere(Protocol):
    """A resource of ``run_task`` that lives in another process. Used by one caller at a time."""

    @property
    def usable(self) -> bool:
        """Whether it may run another task: its process is alive and not due for recycling."""
        ...

    def context(self) -> Context:
        """Returns the context of the next task."""
        ...

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there. Returns its result or raises its error."""


class ResourceHandle:
    """Holds a resource, and the function that destroys it."""

    __slots__ = ("end", "remote", "resource", "wear")

    def __init__(self, resource: Any, end: Callable[[], object] | None) -> None:
        self.resource: Any = resource
        self.end: Callable[[], object] | None = end
        self.remote: ResourceElsewhere | None = None
        """The resource in its process; None if it lives in this one."""
        self.wear: Wear | None = None
        """How much it has served; None if there is no limit, or it is kept by the session."""

    @property
    def usable(self) -> bool:
        """Whether it may run another task."""
        if self.remote is not None:
            return self.remote.usable
        return self.wear is None or not self.wear.worn(monotonic())


class ResourceMaker(Protocol):
    """Makes and destroys resources. The ledger is up to date when a call returns. Thread-safe."""

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """Makes a resource, for a worker or for ``run_task``. Raises what the user's function raises."""

    def end(self, handle: ResourceHandle) -> None:
        """Destroys a resource. An error of the user's function is logged and counted, not raised."""


class Maker:
    """Calls ``on_create`` and ``on_destroy``, or ``resource``, in the calling thread."""

    def __init__(self, config: Config[Any], counters: Counters, log: GuardedLogger) -> None:
        self._config = config
        self._counters = counters
        self._log = log

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """See ``ResourceMaker``."""
        handle = self._make(*arguments_for(self._config, worker))
        handle.wear = wear_of(self._config)
        self._counters.resource(created=1)
        return handle

    def _make(self, *args: WorkerInfo) -> ResourceHandle:
        config = self._config
        if config.resource is not None:
            manager: Any = config.resource(*args)
            # Left without an error, whatever tasks have raised: the resource is only done with.
            return ResourceHandle(manager.__enter__(), lambda: manager.__exit__(None, None, None))
        assert config.on_create is not None
        resource: Any = config.on_create(*args)
        destroy = config.on_destroy
        return ResourceHandle(resource, None if destroy is None else lambda: destroy(resource))

    def end(self, handle: ResourceHandle) -> None:
        """See ``ResourceMaker``."""
        try:
            if handle.end is not None:
                handle.end()
        except BaseException as error:
            self._log.fault("on_destroy", error)
        finally:
            # Also after an error: the function is not called again, so the resource counts as destroyed.
            self._counters.resource(destroyed=1)
