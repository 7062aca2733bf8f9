"""Making and ending resources, each exactly once, and the pool of ``run_task``."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from .books import Books
from .config import Config
from .errors import ResourceError, ShutdownError
from .logs import GuardedLogger, describe


class Held:
    """A resource, and how to end it."""

    __slots__ = ("end", "resource")

    def __init__(self, resource: Any, end: Callable[[], object] | None) -> None:
        self.resource: Any = resource
        self.end: Callable[[], object] | None = end


class Maker:
    """Calls the user's ``on_create``/``on_destroy`` or ``resource``, and enters each call into the ledger."""

    def __init__(self, config: Config[Any], books: Books, log: GuardedLogger) -> None:
        self._config = config
        self._books = books
        self._log = log

    def make(self) -> Held:
        """Makes a resource; raises what the user's function raises."""
        held = self._make()
        self._books.resource(created=1)
        return held

    def _make(self) -> Held:
        config = self._config
        if config.resource is not None:
            manager: AbstractContextManager[Any] = config.resource()
            return Held(manager.__enter__(), lambda: manager.__exit__(None, None, None))
        assert config.on_create is not None
        resource = config.on_create()
        destroy = config.on_destroy
        return Held(resource, None if destroy is None else lambda: destroy(resource))

    def end(self, held: Held) -> None:
        """Ends a resource; what the user's function raises is logged and counted, and the resource is gone all the
        same."""
        try:
            if held.end is not None:
                held.end()
        except BaseException as error:
            self._log.fault("on_destroy", error)
        finally:
            self._books.resource(destroyed=1)


class InlinePool:
    """The resources of ``run_task``: a pool that is kept full, and temporary ones beyond it. Thread-safe; no resource
    is made or ended under the lock."""

    def __init__(self, maker: Maker, size: int, most_temporary: int | None) -> None:
        self._maker = maker
        self._size = size
        self._most_temporary = most_temporary
        self._idle: deque[Held] = deque()
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

    def acquire(self) -> tuple[Held, bool]:
        """The resource that was used last, or a temporary one (then True)."""
        with self._lock:
            if self._closed:
                raise ShutdownError("task manager is shutting down")
            if self._idle:
                return self._idle.pop(), False
            if self._most_temporary is not None and self._temporary >= self._most_temporary:
                raise ResourceError(
                    f"all {self._size} pooled and {self._temporary} temporary resources are in use "
                    f"(max_temporary_resources={self._most_temporary})"
                )
            self._temporary += 1
        try:
            return self._maker.make(), True
        except BaseException as error:
            with self._lock:
                self._temporary -= 1
            if isinstance(error, KeyboardInterrupt):
                raise
            raise ResourceError(f"failed to create temporary resource: {describe(error)}") from error

    def release(self, held: Held, temporary: bool, healthy: bool) -> bool:
        """Takes a resource back or ends it. True if the pool lacks one now."""
        with self._lock:
            keep = healthy and not temporary and not self._closed
            if keep:
                self._idle.append(held)
            lacks = not keep and not temporary and not self._closed
        if not keep:
            self._maker.end(held)
        if temporary:
            with self._lock:
                self._temporary -= 1
        return lacks

    def refill(self) -> None:
        """Makes one resource; raises what the user's function raises."""
        held = self._maker.make()
        with self._lock:
            keep = not self._closed
            if keep:
                self._idle.append(held)
        if not keep:
            self._maker.end(held)

    def close(self) -> None:
        """Ends every idle resource; those in use are ended when they come back."""
        with self._lock:
            self._closed = True
        while self._idle:
            self._maker.end(self._idle.pop())
