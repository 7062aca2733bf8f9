"""What becomes of a task whose attempt failed unhealthily."""

from __future__ import annotations

import enum


class Verdict(enum.Enum):
    """What to do with the task."""

    RETRY = "retry"
    OWN_ERROR = "own error"
    EXHAUSTED = "exhausted"


def after_unhealthy(attempts: int, once: bool, max_retries: int) -> Verdict:
    """``once``: never again, it ends with its own error. Else ``max_retries`` further attempts after the first."""
    if once:
        return Verdict.OWN_ERROR
    return Verdict.RETRY if attempts <= max_retries else Verdict.EXHAUSTED
