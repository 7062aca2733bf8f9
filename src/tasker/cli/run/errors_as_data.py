"""An error as the data of a result line: type, message, traceback."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasker import MaxRetriesExceeded, PoisonTask

from . import task_wrapper
from .type_names import type_name, without_job_module

_CALLERS = {task_wrapper.__file__, str(Path(task_wrapper.__file__).with_name("thread_lanes.py"))}
"""The files that call the job's task."""


@dataclass(frozen=True, slots=True)
class ErrorData:
    """The fields of an error in a result line."""

    type: str
    message: str
    traceback: str | None = None
    cause: tuple[str, str] | None = None  # type and message of the error behind MaxRetriesExceeded and PoisonTask

    @property
    def label(self) -> str:
        """The kind of error, by which failures are grouped."""
        return f"{self.type} ({self.cause[0]})" if self.cause else self.type

    def as_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"type": self.type, "message": _in_utf8(self.message)}
        if self.cause is not None:
            data["cause"] = {"type": self.cause[0], "message": _in_utf8(self.cause[1])}
        return {**data, "traceback": None if self.traceback is None else _in_utf8(self.traceback)}


def describe(error: BaseException) -> ErrorData:
    """Returns the data of an error; as much as there is, if the error's own methods raise."""
    behind = error.__cause__ if isinstance(error, MaxRetriesExceeded | PoisonTask) else None
    cause = (type_name(type(behind)), _message(behind)) if behind is not None else None
    return ErrorData(type_name(type(error)), _message(error), _traceback(error), cause)


def in_short(error: BaseException | None) -> dict[str, str] | None:
    """Returns the type and the message of an error; None if there is none."""
    return None if error is None else {"type": type_name(type(error)), "message": _in_utf8(_message(error))}


def _in_utf8(text: str) -> str:
    """Returns a text with a backslash and a number for what UTF-8 lacks: lone surrogates, as in some file names."""
    return text.encode(errors="backslashreplace").decode()


def _message(error: BaseException) -> str:
    try:
        return without_job_module(str(error))
    except Exception:
        return "(no message: __str__ raised)"


def _traceback(error: BaseException) -> str | None:
    try:
        whole = traceback.TracebackException.from_exception(error)
        _trim(whole)
        return without_job_module("".join(whole.format()))
    except Exception:  # formatting calls methods of the error, which may raise
        return None


def _trim(part: traceback.TracebackException | None) -> None:
    """Removes the frames before the job's own code: those of the pool are of no use to the user."""
    while part is not None:
        ours = [n for n, frame in enumerate(part.stack) if frame.filename in _CALLERS]
        if ours:
            del part.stack[: ours[-1] + 1]
        part = part.__cause__ or part.__context__
