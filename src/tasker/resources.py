"""Making and ending resources, each exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .books import Books
from .config import Config
from .logs import GuardedLogger

if TYPE_CHECKING:
    from .backends.process.threaded import Away


class Held:
    """A resource, and how to end it."""

    __slots__ = ("away", "end", "resource")

    def __init__(self, resource: Any, end: Callable[[], object] | None) -> None:
        self.resource: Any = resource
        self.end: Callable[[], object] | None = end
        self.away: Away | None = None
        """The child process that it lives in, where it does."""


class ResourceMaker(Protocol):
    """Makes and ends resources; each call is in the ledger when it returns."""

    def make(self) -> Held:
        """Makes a resource; raises what the user's function raises."""

    def end(self, held: Held) -> None:
        """Ends a resource; raises nothing of the user's."""


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
            manager: Any = config.resource()
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
