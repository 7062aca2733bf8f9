"""Checks of arguments that both managers take."""

from __future__ import annotations

import inspect

from tasker.control.finite import is_duration
from tasker.control.retries import RetryPolicy
from tasker.options import Priority


def check_timeout(timeout: float | None) -> None:
    """Raises ``ValueError`` for what is neither None nor a number of seconds, at least 0."""
    if timeout is not None and not is_duration(timeout):
        raise ValueError(f"timeout must be a number of seconds, at least 0, or None, got {timeout!r}")


def check_queue_timeout(timeout: float | None) -> None:
    """Raises ``TypeError`` for what is neither None nor a number of seconds, and ``ValueError`` for a number below 0 or
    NaN."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"queue_timeout must be a number of seconds or None, got {timeout!r}")
    if not is_duration(timeout):
        raise ValueError(f"queue_timeout must be at least 0 seconds, got {timeout!r}")


def check_rare(callback: object, retry: object) -> None:
    """Checks options that few submissions have. Raises ``TypeError`` for what is no callback or policy, and ``ValueError`` for
    a policy whose ``retry_on`` is asynchronous."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")
    if retry is None:
        return
    if not isinstance(retry, RetryPolicy):
        raise TypeError(f"retry must be a RetryPolicy or None, got {retry!r}")
    if inspect.iscoroutinefunction(retry.retry_on):
        raise ValueError(f"retry must be a RetryPolicy whose retry_on is not asynchronous, got {retry!r}")


def check_look_ahead(look_ahead: int | None) -> int:
    """Returns how far ``map`` may read ahead; raises ``ValueError`` for what is no positive integer."""
    if look_ahead is None:
        return 1000
    if isinstance(look_ahead, bool) or not isinstance(look_ahead, int) or look_ahead < 1:
        raise ValueError(f"look_ahead must be a positive integer, got {look_ahead!r}")
    return look_ahead


def task_options(
    *,
    priority: Priority = Priority.NORMAL,
    once: bool = False,
    retry: RetryPolicy | None = None,
    timeout: float | None = None,
    deadline: float | None = None,
) -> tuple[Priority, bool, RetryPolicy | None, float | None, float | None]:
    """Returns the options of the tasks of a ``map``. Raises ``TypeError`` for what is none, and as ``check_rare`` does."""
    check_rare(None, retry)
    return priority, once, retry, timeout, deadline
