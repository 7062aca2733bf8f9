"""The options of a submission, and the base of a backend's options."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

from .control.retries import RetryPolicy

F = TypeVar("F", bound=Callable[..., Any])


class Priority(enum.IntEnum):
    """A task of a smaller value is started first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class TaskOptions(TypedDict, total=False):
    """What can be said of every task that goes through the queue."""

    priority: Priority
    """Started before all tasks of lower priority; in the order of submission inside one. Default: ``NORMAL``."""
    once: bool
    """Never started a second time, even if the resource was at fault, unless it raises ``Snooze``. Default: False."""
    retry: RetryPolicy | None
    """When it is tried again. Default: None, as ``Config.retry`` says."""
    timeout: float | None
    """The seconds that each attempt may take, from its start. Default: ``Config.task_timeout``; ``math.inf``: no limit."""
    deadline: float | None
    """The seconds from the submission within which the task has to end; one that has not started by then never does.
    Default: ``Config.task_deadline``; ``math.inf``: no limit."""


class QueueOptions(TaskOptions, total=False):
    """... and of its way into a bounded queue (``Config.max_queue_size``)."""

    block: bool
    """Whether to wait for a slot; else ``QueueFull`` is raised at once. Default: True."""
    queue_timeout: float | None
    """For how many seconds to wait at most; then ``QueueFull`` is raised. Default: None, without a limit."""


DEFAULTS: dict[str, Any] = {
    "priority": Priority.NORMAL,
    "once": False,
    "retry": None,
    "timeout": None,
    "deadline": None,
    "block": True,
    "queue_timeout": None,
}


def spells_out(options: type) -> Callable[[F], F]:
    """Shows the keywords of ``**options: Unpack[options]`` one by one in ``help()`` and in a signature."""

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        kept = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        spelled = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name], annotation=annotation)
            for name, annotation in _annotations(options).items()
        ]
        function.__signature__ = signature.replace(parameters=[*kept, *spelled])  # type: ignore[attr-defined]
        return function

    return decorate


def _annotations(options: type) -> dict[str, Any]:
    # As text, as all annotations of this package are: a ``ForwardRef`` would show as such.
    return {name: getattr(kind, "__forward_arg__", kind) for name, kind in options.__annotations__.items()}


class Backend:
    """The options of a backend: where the resources of workers live, if not in this process.

    ``Config(backend=...)`` takes an instance; the registry of ``tasker.remote`` knows what implements it.
    """
