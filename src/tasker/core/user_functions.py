"""What every backend has to know of the functions that users hand in."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable
from types import CoroutineType, GeneratorType
from typing import Any, NoReturn, TypeGuard, cast

from tasker.config import Config
from tasker.errors import ConfigError


def refused(coroutine: CoroutineType[Any, Any, Any]) -> TypeError:
    """Closes a coroutine that nothing will run, and returns the error of its task."""
    coroutine.close()
    return TypeError(
        f"{coroutine.__qualname__} is an async task: it needs an AsyncTaskManager, a TaskManager can't run it"
    )


def refuse(coroutine: CoroutineType[Any, Any, Any]) -> NoReturn:
    """Raises that error."""
    raise refused(coroutine)


def is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Returns whether ``value`` is to be awaited. Asks its type alone: ``inspect.isawaitable`` asks a proxy for its
    ``__class__``, which may raise."""
    kind = type(value)
    if kind is GeneratorType:
        return bool(cast("GeneratorType[Any, Any, Any]", value).gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    return getattr(kind, "__await__", None) is not None


def is_async(fn: Any) -> bool:
    """Returns whether calling ``fn`` returns a coroutine. Looks through ``partial`` and at ``__call__``."""
    # By ``type``: a proxy may raise at its ``__class__``, which ``isinstance`` asks.
    while issubclass(type(fn), functools.partial):
        fn = fn.func
    try:
        if inspect.iscoroutinefunction(fn):
            return True
    except Exception:  # noqa: S110  a proxy, whose attributes may raise anything
        pass
    return inspect.iscoroutinefunction(getattr(type(fn), "__call__", None))  # noqa: B004


def forbid_async(config: Config[Any]) -> None:
    """Raises ``ConfigError`` if a function of the configuration needs an event loop. For managers that have none: a
    coroutine would become the resource, and every error would count as healthy."""
    for field in (
        "on_create",
        "on_destroy",
        "on_return",
        "check_resource",
        "check_health",
        "resource",
        "on_quarantine",
    ):
        function = getattr(config, field)
        if function is None:
            continue
        # ``asynccontextmanager`` wraps an asynchronous generator in a plain function.
        generator = getattr(function, "__wrapped__", None)
        if is_async(function) or inspect.isasyncgenfunction(generator):
            raise ConfigError(
                f"Config.{field} is asynchronous: it needs an AsyncTaskManager, a TaskManager can't await it, got {function!r}"
            )
