"""The exception tree.

Every error that the library itself raises is a ``TaskerError``. If the standard library has an exception for the
situation, the class derives from that one too, so code written for ``concurrent.futures`` keeps working. A task's *own*
error is never wrapped: it reaches the caller as it was raised. All errors can be pickled.
"""

from __future__ import annotations

import concurrent.futures
import queue
import sys

from .attempt import Attempt


class TaskerError(Exception):
    """The root of all errors that the library raises."""


class ConfigError(TaskerError, ValueError):
    """A field of ``Config``, or an argument of ``resize``, has a value that is not allowed. The message names the
    field, the value and what is allowed."""


class ShutdownError(TaskerError, RuntimeError):
    """The manager accepts no more tasks: it was stopped or killed, its parent context (``Config.ctx``) ended, or this
    process is a fork of the one it belongs to. Raised by submissions and ``run_task``."""


class PausedError(TaskerError, RuntimeError):
    """The manager is paused, and ``run_task`` never waits. Raised by ``run_task``; ``submit`` and ``queue_task`` accept tasks
    during a pause."""


class ResourceError(TaskerError):
    """A resource could not be made; ``__cause__`` is the error of ``on_create``, if it raised one.

    Raised by the manager's constructor (the pool of ``run_task``) and by ``run_task``, also if
    ``Config.max_temporary_resources`` are in use. It is the outcome of queued tasks if no worker could be made within
    ``Config.ready_timeout``.
    """


class MaxRetriesExceeded(TaskerError):
    """The outcome of a task whose every attempt failed with an error that ``Config.check_health`` blames on the
    resource.

    ``attempts`` is the number of times that the task was started, ``__cause__`` the error of the last attempt.
    """

    def __init__(self, message: str, attempts: int = 0) -> None:
        super().__init__(message)
        self.attempts = attempts


class PoisonTask(TaskerError):
    """The outcome of a task that has made ``Config.quarantine_after`` resources unhealthy, or has ended so many processes: it is
    not tried again. ``attempts`` is what was tried (``Attempt``), ``__cause__`` the error of the last attempt."""

    def __init__(self, message: str, attempts: tuple[Attempt, ...] = ()) -> None:
        super().__init__(message)
        self.attempts: tuple[Attempt, ...] = attempts


class NoRetry(TaskerError):
    """Raised by a task that must not be tried again, whatever ``Config.check_health`` and ``Config.retry`` say of the error; or
    the base class of such errors. It is the outcome of the task. ``check_health`` is asked all the same: if it blames the
    resource, that is replaced."""


class Snooze(TaskerError):
    """Raised by a task that cannot do its work yet, and says when to start it again: after a ``Retry-After``, say.

    ``seconds``: after which time, at least 0; ``reason``: for people. The task holds no worker meanwhile, and the attempt does
    not count. A ``once`` task may snooze, too: it says itself that it has not done its work. ``check_health`` is not asked.

    It is the outcome only where the task is not started again: if ``RetryPolicy.max_elapsed`` would be over by then, if the
    manager is being stopped and does not hand tasks back, and in ``run_task``. The constructor raises ``ValueError`` for wrong seconds.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds <= sys.float_info.max:  # an int may be larger than any float
            raise ValueError(f"Snooze.seconds must be a finite number of seconds, at least 0, got {seconds!r}")
        # A float of the library's own, whatever kind of number it is: numpy's, say.
        seconds = float(seconds)
        super().__init__(seconds, reason)
        self.seconds = seconds
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or f"not before {self.seconds} seconds have passed"


class QueueFull(TaskerError, queue.Full):
    """``Config.max_queue_size`` tasks were waiting, at the moment of the submission (``block=False``) or until
    ``queue_timeout`` seconds had passed. Raised by submissions; the task was not accepted."""


class TaskCancelled(TaskerError, concurrent.futures.CancelledError):
    """The task was cancelled, by ``TaskFuture.cancel`` or through its ``Context``. Raised in the task by
    ``Context.raise_if_cancelled``."""


class TaskKilled(TaskCancelled):
    """The manager was killed before the task had its outcome: the outcome of queued and abandoned tasks, and raised in
    running ones by ``Context.raise_if_cancelled``."""


class TaskHandedBack(TaskCancelled):
    """The manager was stopped with ``hand_back=True`` before the task was started (again): its outcome here. It is in
    ``StopReport.handed_back``, from which it can be submitted elsewhere."""


class TaskTimeout(TaskerError, TimeoutError):
    """A time limit has passed: the ``timeout`` or ``deadline`` of a task, whose outcome it is, or the deadline of a ``Context``.
    Raised in the task by ``Context.raise_if_cancelled``.

    ``limit`` is ``"timeout"`` or ``"deadline"`` and ``seconds`` how long it was; both are None for a ``Context``'s.
    """

    def __init__(self, message: str = "", limit: str | None = None, seconds: float | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.seconds = seconds


class WorkerLost(TaskerError):
    """The process of the worker that ran the task died. The task may have run, in part or to its end. Never raised for
    workers that are threads of this process.

    ``pid`` is the id of the process, ``exitcode`` its exit code, or the negative number of the signal that ended it, as
    in ``subprocess``; each is None where it is not known.
    """

    def __init__(self, message: str, pid: int | None = None, exitcode: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid
        self.exitcode = exitcode


class DeadlockError(TaskerError, RuntimeError):
    """The call would wait for something that can happen only after it returns: for the result of a task while all
    workers wait for other tasks, or, from inside a task or callback of a manager, for the end of that manager."""


class TravelError(TaskerError):
    """A task, argument, result or error could not be pickled, or not be unpickled in the other process. The message
    names the task and the object; the worker lives on."""


class RemoteTraceback(Exception):
    """The traceback of an error that was raised in another process, as text: the last ``__cause__`` of such an error.
    It is never raised by itself."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'
