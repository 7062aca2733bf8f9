"""An error as the data of a result line: type, message, traceback."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

from tasker import MaxRetriesExceeded

from . import task_wrapper
from .jobs import MODULE_PREFIX


@dataclass(frozen=True, slots=True)
class ErrorData:
    """`cause` is (type, message) of the error behind MaxRetriesExceeded."""

    type: str
    message: str
    traceback: str | None = None
    cause: tuple[str, str] | None = None

    @property
    def label(self) -> str:
        """What failures are grouped by."""
        return f"{self.type} ({self.cause[0]})" if self.cause else self.type

    def as_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.cause is not None:
            data["cause"] = {"type": self.cause[0], "message": self.cause[1]}
        return {**data, "traceback": self.traceback}


def describe(error: BaseException) -> ErrorData:
    """The data of an error. An error whose own methods are broken is described as far as it goes."""
    behind = error.__cause__ if isinstance(error, MaxRetriesExceeded) else None
    cause = (_name(behind), _message(behind)) if behind is not None else None
    return ErrorData(_name(error), _message(error), _traceback(error), cause)


def _name(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ == "builtins" or kind.__module__.startswith(MODULE_PREFIX):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its message cannot be made: __str__ raised)"


def _traceback(error: BaseException) -> str | None:
    try:
        whole = traceback.TracebackException.from_exception(error)
        _trim(whole)
        return "".join(whole.format())
    except Exception:
        return None


def _trim(part: traceback.TracebackException | None) -> None:
    """Begin where the job's code begins: the frames of the pool before it tell nobody anything."""
    while part is not None:
        ours = [n for n, frame in enumerate(part.stack) if frame.filename == task_wrapper.__file__]
        if ours:
            del part.stack[: ours[-1] + 1]
        part = part.__cause__ or part.__context__
