"""The protocol of a logger, and the guard that keeps a broken logger from harming the pool."""

from __future__ import annotations

import traceback
from _thread import get_ident
from collections.abc import Callable
from typing import Protocol


class Logger(Protocol):
    """The methods that a manager calls on ``Config.logger``. ``logging.Logger``, ``LoggerAdapter`` and structlog's
    loggers have them.

    ``msg`` is a %-format for ``args``. Called from any thread, never under a lock of the manager. An error that a
    method raises is counted in ``stats().user_errors`` and goes no further.
    """

    def debug(self, msg: str, /, *args: object) -> object: ...
    def info(self, msg: str, /, *args: object) -> object: ...
    def warning(self, msg: str, /, *args: object) -> object: ...
    def error(self, msg: str, /, *args: object) -> object: ...


class GuardedLogger:
    """Calls the user's logger, and counts the errors that it raises; no method raises. Thread-safe."""

    def __init__(self, logger: Logger, name: str, count_fault: Callable[[], None]) -> None:
        self._logger = logger
        self._name = name
        self._count_fault = count_fault
        self._callers: list[int] = []
        """The threads that are in the user's logger, by their idents."""

    def log(self, level: str, msg: str, *args: object) -> None:
        """Logs at ``level``, one of the four methods of ``Logger``; the manager's name precedes the message."""
        caller = get_ident()
        self._callers.append(caller)
        try:
            getattr(self._logger, level)("%s: " + msg, self._name, *args)
        except BaseException:  # even a KeyboardInterrupt: it must not end the supervisor or a worker
            self._count_fault()
        finally:
            self._callers.remove(caller)

    def holds(self, thread: int | None) -> bool:
        """Returns whether a thread is in the user's logger."""
        return thread in self._callers

    def fault(self, what: str, error: BaseException) -> None:
        """Logs and counts an error of user code that has no caller to be raised to."""
        self._count_fault()
        self.log("error", "%s raised %s\n%s", what, describe(error), formatted(error))


def describe(error: BaseException) -> str:
    """Returns ``Type: message``, or the type alone if the error's own ``__str__`` raises. Never raises."""
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:
        return type(error).__name__


def shown(value: object) -> str:
    """Returns ``repr(value)``, or the name of its type if that raises. Never raises."""
    try:
        return repr(value)
    except BaseException:
        return type(value).__name__


def formatted(error: BaseException) -> str:
    """Returns the traceback as text, or what ``describe`` returns if it can't be formatted. Never raises."""
    try:
        return "".join(traceback.format_exception(error)).rstrip()
    except BaseException:
        return describe(error)


def task_name(task: object) -> str:
    """Returns ``module.qualname`` of a task, for messages, or the name of its type if its attributes raise. Never
    raises."""
    try:
        inner = getattr(task, "func", task)  # functools.partial
        name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
        return f"{getattr(inner, '__module__', None) or '?'}.{name}"
    except BaseException:
        return type(task).__name__
