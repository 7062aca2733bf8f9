"""What a future can carry."""

from __future__ import annotations


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
