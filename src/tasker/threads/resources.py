"""Makes and destroys resources, each exactly once, and keeps the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import starmap
from time import monotonic
from typing import Any, Protocol, TypeVar

from tasker.config import Config
from tasker.context import Context
from tasker.core.counters import Counters
from tasker.core.handles import Elsewhere, Handle
from tasker.core.identity import arguments_for
from tasker.core.planning import wear_of
from tasker.logs import GuardedLogger
from tasker.worker_info import WorkerInfo

T = TypeVar("T")
_UNMADE = object()


class ResourceElsewhere(Elsewhere, Protocol):
    """As threads use it."""

    def context(self) -> Context:
        """Returns the context of the next task."""
        ...

    def run(self, context: Context, task: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Runs a task there. Returns its result or raises its error."""

    def check(self) -> str | None:
        """Has the resource checked there. Returns why it is not to be used any more, or None."""

    def kill(self) -> None:
        """Ends it by force, and with it what runs there. May be called from any thread."""


class ResourceHandle(Handle):
    """Holds a resource, and the function that destroys it."""

    __slots__ = ("args", "end", "ended")

    remote: ResourceElsewhere | None

    def __init__(self, resource: Any, end: Callable[..., object] | None) -> None:
        super().__init__(resource)
        self.end: Callable[..., object] | None = end
        self.args: tuple[Any, ...] = ()
        """What ``end`` takes."""
        self.ended: bool = False
        """Whether it was ended, or is about to be."""


class ResourceMaker(Protocol):
    """Makes and destroys resources. The ledger is up to date when a call returns. Thread-safe."""

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """Makes a resource, for a worker or for ``run_task``. Raises what the user's function raises."""

    def end(self, handle: ResourceHandle) -> None:
        """Destroys a resource, once. An error of the user's function is logged and counted, not raised."""


class Maker:
    """Calls ``on_create`` and ``on_destroy``, or ``resource``, in the calling thread."""

    def __init__(self, config: Config[Any], counters: Counters, log: GuardedLogger) -> None:
        self._config = config
        self._counters = counters
        self._log = log
        self._now: Callable[[], float] = monotonic
        """Times the creations."""

    def make(self, worker: WorkerInfo | None = None) -> ResourceHandle:
        """See ``ResourceMaker``."""
        # Ctrl-C may strike wherever a call returns. A resource that is there by then is destroyed again; and what calls
        # this takes the handle by a step of an iterator, behind which none can strike.
        handle, counted, begun = ResourceHandle(_UNMADE, None), False, self._now()
        try:
            self._make(handle, *arguments_for(self._config, worker))
            handle.wear = wear_of(self._config)
            if self._counters.origins is not None:
                owner = "run_task" if worker is None else worker.name
                self._counters.origins.made(handle, owner, self._config)
            with self._counters.lock:
                # No call in between, as in ``Counters.resource``.
                self._counters.ledger.created += 1
                counted = True
            self._counters.creation_times.add(self._now() - begun)
            return handle
        except BaseException:
            if handle.resource is not _UNMADE:
                if not counted:
                    self._counters.resource(created=1)
                self.end(handle)
            raise

    def _make(self, handle: ResourceHandle, *args: WorkerInfo) -> None:
        config = self._config
        if config.resource is not None:
            manager: Any = config.resource(*args)
            for handle.resource in uninterrupted(manager.__enter__):
                # Left without an error, whatever tasks have raised: the resource is only done with.
                handle.args = (None, None, None)
                handle.end = manager.__exit__
                return
        else:
            assert config.on_create is not None
            for handle.resource in uninterrupted(config.on_create, *args):
                handle.args = (handle.resource,)
                handle.end = config.on_destroy
                return
        raise RuntimeError("a resource could not be made: its function raised StopIteration")

    def end(self, handle: ResourceHandle) -> None:
        """See ``ResourceMaker``."""
        if handle.ended:
            return
        handle.ended = True  # from here to the user's function, nothing is called
        try:
            if handle.end is not None:
                handle.end(*handle.args)
        except BaseException as error:
            self._log.fault("on_destroy", error)
        finally:
            # Also after an error: the function is not called again, so the resource counts as destroyed. No call, as above.
            with self._counters.lock:
                self._counters.ledger.destroyed += 1
            if self._counters.origins is not None:
                self._counters.origins.ended(handle)


def uninterrupted(fn: Callable[..., T], *args: Any) -> Iterator[T]:
    """Yields what ``fn(*args)`` returns. Between a step of an iterator in C and the next line no Ctrl-C strikes."""
    return starmap(fn, (args,))
