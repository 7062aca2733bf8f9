"""What the errors that tasks raise mean for their futures."""

from __future__ import annotations

from typing import Any

from tasker.control.finite import is_finite
from tasker.errors import NoRetry, Snooze, TaskCancelled, TaskKilled


def carried(error: BaseException) -> BaseException:
    """Returns the error that the future of a task gets for what the task raised: the error itself, or a
    ``RuntimeError`` in place of ``StopIteration``."""
    # No generator and no coroutine raises ``StopIteration``: it would look as if that had returned. CPython 3.11 has no
    # conversion of its own where a future is awaited; there, the one who awaits would never wake up.
    # By ``type``, here and wherever an error of the user's is judged: ``isinstance`` asks a ``__class__`` that may raise.
    if not issubclass(type(error), StopIteration):
        return error
    instead = RuntimeError("the task raised StopIteration")
    instead.__cause__ = error
    return instead


def attribute(error: BaseException, name: str) -> Any:
    """Returns an attribute that every error has, whatever the error's class has in its place, which may raise."""
    return BaseException.__dict__[name].__get__(error)


def without_first_frame(error: BaseException) -> None:
    """Removes from an error's traceback the frame that has caught it, whose locals would live as long as the error."""
    # Read once: another thread that raises the same error may remove the next frame meanwhile.
    trace = attribute(error, "__traceback__")
    if trace is not None:
        # Not by assignment, which the error's class may forbid.
        BaseException.with_traceback(error, trace.tb_next)


def starts_once(error: BaseException, *, once: bool) -> bool:
    """Returns whether a task is not to be started again after this error: it was submitted so, or says so by the error."""
    return once or issubclass(type(error), NoRetry)


def snoozes(error: BaseException) -> bool:
    """Returns whether the error is a task's way to give itself back for a while."""
    return issubclass(type(error), Snooze)


def snooze_of(error: BaseException) -> float | None:
    """Returns for how many seconds a task gives itself back by an error; None if it does not. ``Snooze`` itself has them checked,
    but a class of the user's may have anything in their place; then it is an error like any other."""
    if not snoozes(error):
        return None
    try:
        seconds: Any = error.seconds  # type: ignore[attr-defined]
    except BaseException:
        return None
    return seconds if type(seconds) in (int, float) and is_finite(seconds) and seconds >= 0 else None


def obeyed(error: BaseException, cause: BaseException, label: str) -> TaskCancelled:
    """Returns the cancellation that a task has obeyed by ``error``; ``cause``: why it was cancelled."""
    kind = TaskKilled if issubclass(type(cause), TaskKilled) else TaskCancelled
    cancellation = kind(f"{label} was cancelled: {cause}")
    cancellation.__cause__ = error
    return cancellation
