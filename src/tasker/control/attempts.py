"""What becomes of a task after an attempt: the one place that decides it, asked by every engine and backend.

An attempt that raises passes two questions. The first is whether the resource may be to blame at all, or spoiled
(``after_error``); only if it may does the engine call ``check_health``. The second is what becomes of a task whose
resource *is* to blame (``health_of``, ``after_unhealthy``), or is not (``own_error``). A worker that dies in the middle
of a task skips the first question (``after_loss``), and a task that was handed to a worker but not started has a
question of its own (``unstarted``).
"""

from __future__ import annotations

import enum

from .health import Health


class Verdict(enum.Enum):
    """What becomes of a task after an attempt. ``tasker.attempt.AttemptVerdict`` has the same values."""

    SUCCEEDED = "succeeded"
    """The attempt's result is the outcome. There is nothing to decide."""

    ENDED = "ended"
    """The attempt's own error is the outcome."""
    CANCELLED = "cancelled"
    """The outcome is a cancellation."""
    TRY_AGAIN = "try again"
    EXHAUSTED = "exhausted"
    """The outcome is ``MaxRetriesExceeded``."""
    KILLED = "killed"
    """The outcome is ``TaskKilled``."""
    QUARANTINED = "quarantined"
    """The outcome is ``PoisonTask``."""


class Unstarted(enum.Enum):
    """What becomes of a task that was handed to a worker and has not started there."""

    REQUEUE = "requeue"
    """It goes back to its place in the queue."""
    ISOLATE = "isolate"
    """It goes back to its place as well, and is sent by itself the next time."""
    CANCEL = "cancel"
    DROP = "drop"
    """It ends as killed."""
    LEAVE = "leave"
    """It has its outcome already."""


def after_error(*, cancelled: bool, killed: bool = False, blameless: bool = False) -> Verdict | None:
    """Judges an error without the resource; None if ``check_health`` has to be asked.

    ``cancelled``: the error is how the task obeyed the cancellation of its context. That may have left the resource in
    the middle of something, such as an answer not read or a transaction not ended. ``killed``: the cancellation is that
    of a kill, after which no task gets the resource. ``blameless``: the error cannot be the resource's fault, because
    the library raised it itself.
    """
    if blameless or killed:
        return own_error(cancelled=cancelled)
    return None


def health_of(answer: object) -> Health:
    """Returns what an answer of ``check_health`` means. Raises ``TypeError`` if it is neither a bool nor a ``Health``."""
    if isinstance(answer, Health):
        return answer if answer.blames else Health.OK
    if isinstance(answer, bool):
        return Health.OK if answer else Health.REPLACE
    raise TypeError(f"check_health must return a bool or a Health, got {answer!r}")


def own_error(*, cancelled: bool) -> Verdict:
    """Decides what becomes of a task whose error is its own, or that obeyed a cancellation, whatever that did to the
    resource."""
    return Verdict.CANCELLED if cancelled else Verdict.ENDED


def goes_back(*, healthy: bool, retryable: bool, cancelled: bool = False, timed_out: bool = False) -> bool:
    """Decides whether the supervisor is asked about another attempt, once the resource was judged. ``retryable``: whether
    ``RetryPolicy.retry_on`` names the error; ``timed_out``: whether a time limit has ended the attempt."""
    # A limit that has passed is the outcome, whatever state it has left the resource in, unless the policy says otherwise.
    if healthy or timed_out:
        return retryable
    return not cancelled


def after_unhealthy(
    attempts: int,
    max_retries: int,
    *,
    once: bool = False,
    cancelled: bool = False,
    killing: bool = False,
    harmed: int = 0,
    quarantine_after: int | None = None,
) -> Verdict:
    """Decides what becomes of a task whose attempt left its resource unhealthy.

    ``attempts`` counts the failed one; ``max_retries`` further ones may follow the first. A task that was cancelled
    while it ran is not wanted any more: it never starts again, and ends with the error that it raised.

    ``harmed`` counts the resources that the task has left unhealthy, this one included. A quarantine takes the place of a further
    attempt, so it concerns no task that gets none anyway; but one that reaches both bounds at once is quarantined, because that
    says more.
    """
    if killing:
        return Verdict.KILLED
    if once or cancelled:
        return Verdict.ENDED
    if quarantine_after is not None and harmed >= quarantine_after:
        return Verdict.QUARANTINED
    return Verdict.TRY_AGAIN if attempts <= max_retries else Verdict.EXHAUSTED


def after_retryable(
    attempts: int, max_retries: int, *, once: bool = False, cancelled: bool = False, killing: bool = False
) -> Verdict:
    """Decides what becomes of a task that failed with an error of its own after which ``RetryPolicy.retry_on`` wants it
    tried again. If it may not be, its last error is the outcome, as without a policy."""
    if killing or once or cancelled or attempts > max_retries:
        return Verdict.ENDED
    return Verdict.TRY_AGAIN


def after_snooze(*, cancelled: bool, stopping: bool, killing: bool) -> Verdict:
    """Decides what becomes of a task that gives itself back for a while. ``stopping``: the manager ends, so there is no later
    time for it, and at once it would only snooze again."""
    if killing:
        return Verdict.KILLED
    return Verdict.ENDED if cancelled or stopping else Verdict.TRY_AGAIN


def in_time(verdict: Verdict, age: float, max_elapsed: float | None, *, own: bool) -> Verdict:
    """Returns the verdict, but for a task that is too old for a further attempt. ``age``: the seconds from its
    submission to that attempt; ``own``: whether the error is its own."""
    if verdict is not Verdict.TRY_AGAIN or max_elapsed is None or age < max_elapsed:
        return verdict
    return Verdict.ENDED if own else Verdict.EXHAUSTED


def after_loss(*, cancelled: bool, killed: bool) -> Verdict | None:
    """Decides what becomes of a task whose worker died in the middle of it; None if it failed unhealthily.

    A task that did not obey its cancellation is stopped by ending its worker, so that death is the cancellation's
    doing and not the resource's.
    """
    if not cancelled:
        return None
    return Verdict.KILLED if killed else Verdict.CANCELLED


def unstarted(*, done: bool, killed: bool, cancelled: bool, suspect: bool = False) -> Unstarted:
    """Decides what becomes of a task that a worker gives back unstarted.

    ``suspect``: the worker died before any of the tasks that it had been sent had started, so the message itself may
    have killed it. Which of its tasks is to blame is not known, and most of them are not, so none has lost an attempt.
    But a task that is sent by itself counts as started before anything of it is read: if it kills again, that is a
    failed attempt of this task alone. So no message kills workers for ever.
    """
    if done:
        return Unstarted.LEAVE
    if killed:
        return Unstarted.DROP
    if cancelled:
        return Unstarted.CANCEL
    return Unstarted.ISOLATE if suspect else Unstarted.REQUEUE
