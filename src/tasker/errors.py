"""The whole exception tree.

Everything the library itself raises is a ``TaskerError``. Where the standard library already has a word for the
situation, the class is that too, so code written for ``concurrent.futures`` keeps working. A task's *own* error is
never wrapped: it reaches the caller as it was raised.
"""

from __future__ import annotations

import concurrent.futures
import queue


class TaskerError(Exception):
    """The root of every error that the library raises."""


class ConfigError(TaskerError, ValueError):
    """A ``Config`` field has a value that is not allowed; the message names field, value and what is allowed."""


class ShutdownError(TaskerError, RuntimeError):
    """The manager takes no more tasks: it was stopped or killed, its parent context ended, or it was forked."""


class ResourceError(TaskerError):
    """A resource could not be made; ``__cause__`` is the error of ``on_create`` where there was one."""


class MaxRetriesExceeded(TaskerError):
    """Every attempt failed with an error that ``check_health`` blames on the resource.

    ``attempts`` is the number of times the task was started, ``__cause__`` the last error.
    """

    def __init__(self, message: str, attempts: int = 0) -> None:
        super().__init__(message)
        self.attempts = attempts


class QueueFull(TaskerError, queue.Full):
    """A bounded queue had no place, at once (``block=False``) or within ``queue_timeout`` seconds."""


class TaskCancelled(TaskerError, concurrent.futures.CancelledError):
    """The task was cancelled, by ``TaskFuture.cancel`` or through its ``Context``."""


class TaskKilled(TaskCancelled):
    """The manager was killed before the task was done."""


class TaskTimeout(TaskerError, TimeoutError):
    """The deadline of the task's ``Context`` passed."""


class WorkerLost(TaskerError):
    """The process or node of the worker that ran the task died."""


class DeadlockError(TaskerError, RuntimeError):
    """The call would wait for something that can only happen after it returns."""


class TravelError(TaskerError):
    """A task, argument, result or error could not be pickled, or not be made again on the other side; the message names
    the task and what it was."""


class RemoteTraceback(Exception):
    """The traceback of an error in the process where it was raised, as text: the last ``__cause__`` of such an error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'
