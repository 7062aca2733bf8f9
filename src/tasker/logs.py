"""The Logger protocol, and the guard that keeps a broken logger from harming the pool."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Protocol


class Logger(Protocol):
    """What a manager needs of a logger. ``logging.Logger``, ``LoggerAdapter`` and structlog's loggers fit as they
    are. Called from any thread, never under a lock."""

    def debug(self, msg: str, /, *args: object) -> object: ...
    def info(self, msg: str, /, *args: object) -> object: ...
    def warning(self, msg: str, /, *args: object) -> object: ...
    def error(self, msg: str, /, *args: object) -> object: ...


class GuardedLogger:
    """Hands on to the user's logger; what that raises is counted and goes no further."""

    def __init__(self, logger: Logger, name: str, count_fault: Callable[[], None]) -> None:
        self._logger = logger
        self._name = name
        self._count_fault = count_fault

    def log(self, level: str, msg: str, *args: object) -> None:
        """Logs at ``level``, one of the protocol's four; the manager's name goes before."""
        try:
            getattr(self._logger, level)("%s: " + msg, self._name, *args)
        except BaseException:
            self._count_fault()

    def fault(self, what: str, error: BaseException) -> None:
        """Logs and counts an error that user code raised where nobody can receive it."""
        self._count_fault()
        self.log("error", "%s raised %s\n%s", what, describe(error), formatted(error))


def describe(error: BaseException) -> str:
    """``Type: message``, also where the error's own ``__str__`` is broken."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return type(error).__name__


def formatted(error: BaseException) -> str:
    """The traceback as text."""
    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except BaseException:
        return describe(error)


def task_name(task: object) -> str:
    """``module.qualname`` of a task, for messages; whatever the task's own attributes do."""
    try:
        inner = getattr(task, "func", task)  # functools.partial
        name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
        return f"{getattr(inner, '__module__', None) or '?'}.{name}"
    except BaseException:
        return type(task).__name__
