"""Attempt: one execution of a task, as ``TaskFuture.attempts_made`` and ``PoisonTask.attempts`` show it. Quarantined and
HandedBack: a task that is not executed any more, with what it takes to submit it elsewhere."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

AttemptVerdict = Literal["succeeded", "ended", "cancelled", "try again", "exhausted", "killed", "quarantined"]
"""What became of a task after an attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a task, which has ended. Immutable. Can be pickled if its error can."""

    number: int
    """The first attempt has number 1."""
    worker: str
    """The name of the worker that ran it."""
    slot: int
    """The worker's slot, as in ``WorkerInfo``."""
    generation: int
    """The worker's generation, as in ``WorkerInfo``. Each worker has one resource, so two attempts with the same generation
    had the same resource."""
    wait: float
    """The seconds that the task waited before it: since its submission, or since the end of the attempt before."""
    run: float
    """The seconds that it took. 0 where the end is not known, because the worker was lost or left behind."""
    error: BaseException | None
    """What the task raised; None if it returned. The error of an attempt that was followed by another one has no
    ``__traceback__``, which would keep the resource and the arguments alive; see ``traceback``."""
    verdict: AttemptVerdict
    """What became of the task: ``"succeeded"``; ``"ended"`` with the error; ``"cancelled"``; ``"try again"``; ``"exhausted"``
    (``MaxRetriesExceeded``); ``"killed"``; ``"quarantined"`` (``PoisonTask``)."""
    ended_at: float = 0.0
    """When it ended, in seconds of ``time.monotonic``."""
    frames: tuple[tuple[str, int, str], ...] = field(default=(), repr=False)
    """Where the error was raised: file, line and function, the outermost call first; of a long stack the innermost 30. Empty
    for an error that comes from another process, whose last ``__cause__`` is a ``RemoteTraceback``."""

    @property
    def traceback(self) -> str:
        """``frames`` as the lines of a traceback, with the source lines as the files have them now."""
        return "".join(traceback.format_list([traceback.FrameSummary(*frame) for frame in self.frames]))


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A task that has ended with ``PoisonTask``, as ``Config.on_quarantine`` gets it. Immutable."""

    id: int
    """Its number, ``TaskFuture.id``; 0 for a call of ``run_task``."""
    name: str
    """Module and name of its function, as in messages."""
    task: Callable[..., Any] = field(repr=False)
    """The function, to be submitted again once the reason is known."""
    args: tuple[Any, ...]
    """Its arguments, without context and resource."""
    attempts: tuple[Attempt, ...] = field(repr=False)
    """What was tried; of more than 10 attempts, the first 5 and the last 5."""
    error: BaseException
    """The ``PoisonTask`` that is its outcome; ``__cause__`` is the error of the last attempt."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """A task that ``stop(hand_back=True)`` has not run, with what it takes to submit it elsewhere. Immutable.

    It holds the function and the arguments as they were given. With an ``as_executor`` view, the function is a wrapper
    that calls the callable without a resource.
    """

    task: Callable[..., Any]
    args: tuple[Any, ...] = field(repr=False)
    priority: IntEnum
    """The ``Priority`` with which it was queued: a retry has ``HIGH``."""
    attempts: int
    """How many times it was started before; more than 0 for a retry."""
    future: Any = field(repr=False)
    """Its future, which has ended with ``TaskHandedBack``."""
    once: bool = False
    retry: Any = None
    """The ``RetryPolicy`` that was submitted with it, or None."""
    timeout: float | None = None
    deadline: float | None = None
    """Its limits, in seconds, as they were for it; submitted again, the time of the deadline begins anew. None: no limit."""

    def resubmit(self, manager: Any) -> Any:
        """Submits it to another manager and returns the new future; the old one stays as it is. ``attempts`` begin anew. For an
        ``AsyncTaskManager``, to be called in its event loop. Raises what ``submit`` raises."""
        given = {"retry": self.retry, "timeout": self.timeout, "deadline": self.deadline}
        options = {name: value for name, value in given.items() if value is not None}
        return manager.submit(self.task, *self.args, priority=self.priority, once=self.once, **options)
