"""Which package implements which backend: one line for each.

A backend is the class of its options, a subclass of ``tasker.options.Backend``, and a factory of ``Sessions``. The factory is
imported when a manager asks for it, since it may need what comes with an extra.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from tasker.config import Config
from tasker.errors import ConfigError
from tasker.logs import GuardedLogger
from tasker.options import Backend

from .session import ArgsOf, Sessions


class SessionsFactory(Protocol):
    """Makes the sessions of one manager."""

    def __call__(
        self, config: Config[Any], log: GuardedLogger, *, asynchronous: bool, args_of: ArgsOf
    ) -> Sessions[Any]: ...


_factories: dict[str, SessionsFactory | str] = {
    "tasker.process.options.ProcessBackend": "tasker.process.sessions:ProcessSessions",
    "tasker.ray.options.RayBackend": "tasker.ray.sessions:RaySessions",
}
"""By the full name of the options: naming a backend here imports none."""


def register(options: type[Backend], factory: SessionsFactory | str) -> None:
    """Registers what implements a backend: a factory, or ``"module:name"`` of one. The last registration counts."""
    _factories[_name(options)] = factory


def open_sessions(config: Config[Any], log: GuardedLogger, *, asynchronous: bool, args_of: ArgsOf) -> Sessions[Any]:
    """Returns the sessions for the backend of ``config``, which has one.

    ``asynchronous``: whether tasks and hooks may be coroutine functions. ``args_of`` reads the arguments out of a future.
    """
    factory = _factory_of(type(config.backend))
    for name in ("max_tasks", "max_age", "pipeline"):
        if not hasattr(config.backend, name):
            kind = _name(type(config.backend))
            raise ConfigError(f"Config.backend: {kind} has no attribute {name!r}, see SessionOptions")
    return factory(config, log, asynchronous=asynchronous, args_of=args_of)


def _factory_of(options: type) -> SessionsFactory:
    for kind in options.__mro__:
        factory = _factories.get(_name(kind))
        if isinstance(factory, str):
            module, name = factory.split(":")
            factory = getattr(importlib.import_module(module), name)
        if factory is not None:
            return factory
    raise ConfigError(f"Config.backend: no backend is registered for {_name(options)}")


def _name(options: type) -> str:
    return f"{options.__module__}.{options.__qualname__}"
