"""The pool of ``run_task``."""

from __future__ import annotations

import threading
from collections import deque

from tasker.errors import ResourceError, ShutdownError
from tasker.logs import describe

from .resources import ResourceHandle, ResourceMaker


class Lease:
    """What one call has from the pool, at every moment."""

    # Defaults in the class, so that making one calls nothing: each ``run_task`` makes one.
    handle: ResourceHandle | None = None
    lacks: bool = False
    """Whether it comes back without a resource that the pool had."""
    temporary: bool = False
    """Whether it takes the place of a temporary resource, made yet or not."""


class ResourcePool:
    """The resources of ``run_task``: a pool that is kept full, and temporary ones beyond it. Thread-safe; no resource
    is made or ended under the lock."""

    def __init__(self, maker: ResourceMaker, size: int, most_temporary: int | None) -> None:
        self._maker = maker
        self._size = size
        self._most_temporary = most_temporary
        self._idle: deque[ResourceHandle] = deque()
        self._temporary = 0
        self._closed = False
        self._lock = threading.Lock()

    def fill(self) -> None:
        """Makes the pool's resources; at a failure those that were made are ended first."""
        try:
            for _ in range(self._size):
                self._idle.append(self._maker.make())
        except BaseException as error:
            self.close()
            text = f"failed to initialize resource pool, {self._size} wanted (resource_pool_size): {describe(error)}"
            if isinstance(error, KeyboardInterrupt):
                raise
            raise ResourceError(text) from error

    @property
    def available(self) -> int:
        """How many pooled resources are idle."""
        return len(self._idle)

    def acquire(self, lease: Lease) -> None:
        """Lends the resource that was used last, or a temporary one."""
        with self._lock:
            if self._closed:
                raise ShutdownError("task manager is shutting down")
            if self._idle:
                # No call between the two, so no signal either.
                lease.handle = self._idle[-1]
                del self._idle[-1]
                return
            if self._most_temporary is not None and self._temporary >= self._most_temporary:
                raise ResourceError(
                    f"all {self._size} pooled and {self._temporary} temporary resources are in use "
                    f"(max_temporary_resources={self._most_temporary})"
                )
            self._temporary += 1
            lease.temporary = True
        self._make(lease, "temporary resource")

    def renew(self, lease: Lease) -> ResourceHandle:
        """Replaces a resource that is lent and not to be used any more; returns the new one."""
        handle, lease.handle = lease.handle, None
        assert handle is not None
        lease.lacks = not lease.temporary
        self._maker.end(handle)
        made = self._make(lease, "resource in place of one that was worn out")
        lease.lacks = False
        return made

    def _make(self, lease: Lease, what: str) -> ResourceHandle:
        try:
            lease.handle = made = self._maker.make()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise ResourceError(f"failed to create {what}: {describe(error)}") from error
        return made

    def release(self, lease: Lease, healthy: bool) -> None:
        """Takes a loan back and keeps or ends its resource; notes in ``loan.lacks`` if the pool lacks one now."""
        handle = lease.handle
        with self._lock:
            keep = handle is not None and healthy and not lease.temporary and not self._closed
            if keep and handle is not None:
                self._idle += (handle,)
                lease.handle = None
            lease.lacks = lease.lacks or (handle is not None and not keep and not lease.temporary and not self._closed)
        if handle is not None and not keep:
            lease.handle = None
            self._maker.end(handle)
        if lease.temporary:
            with self._lock:
                self._temporary -= lease.temporary
                lease.temporary = False

    def lost(self, handle: ResourceHandle) -> bool:
        """The process of a resource has died. True if it was idle: then the pool lacks one now."""
        with self._lock:
            if handle not in self._idle:
                return False
            self._idle.remove(handle)
            lacks = not self._closed
        self._maker.end(handle)
        return lacks

    def refill(self) -> None:
        """Makes one resource; raises what the user's function raises."""
        handle = self._maker.make()
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(handle)
        if not keep:
            self._maker.end(handle)

    def renew_lock(self) -> None:
        """In a forked child."""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Ends every idle resource; those in use are ended when they come back."""
        with self._lock:
            self._closed = True
        while True:
            try:
                handle = self._idle.pop()
            except IndexError:
                return
            self._maker.end(handle)
