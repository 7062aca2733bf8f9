"""The time limits of a task: when one has passed, and what follows.

``timeout`` bounds each attempt, from its start. ``deadline`` bounds the task, from its submission: after it, no attempt starts,
and one that runs has run for too long. Whichever comes first counts.

A limit that passes while an attempt runs is *soft* first: the context of the task is cancelled. The attempt that goes on for
``cancel_grace`` seconds more is *overdue*: the task ends without it, its worker is stuck (``workforce``), and what it returns
later is dropped.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Literal

from .finite import is_duration

LimitName = Literal["timeout", "deadline"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What was said of a task. All times are in seconds; None: no limit."""

    timeout: float | None = None
    deadline: float | None = None

    def last_start(self, queued_at: float) -> float:
        """Returns until when an attempt may start; infinite without a deadline."""
        return math.inf if self.deadline is None else queued_at + self.deadline

    def of_attempt(self, queued_at: float, started_at: float) -> tuple[float, LimitName]:
        """Returns until when an attempt may run, and which limit that is."""
        end = math.inf if self.timeout is None else started_at + self.timeout
        last = self.last_start(queued_at)
        return (last, "deadline") if last <= end else (end, "timeout")

    def missed(self, name: LimitName, *, started: bool) -> str:
        """Returns what a task has missed, in words that follow its name."""
        if name == "timeout":
            return f"has not ended within timeout={self.timeout} seconds"
        what = "ended" if started else "started"
        return f"has not {what} within deadline={self.deadline} seconds of its submission"


class LimitStage(enum.Enum):
    """How far a task with limits is."""

    WAITING = "waiting"
    """No attempt runs."""
    RUNNING = "running"
    CANCELLED = "cancelled"
    """A limit has passed, and the context of the attempt was cancelled."""
    OVERDUE = "overdue"
    """The task has ended without its attempt."""


class LimitMove(enum.Enum):
    """What changes the stage."""

    START = "start"
    CANCEL = "cancel"
    GIVE_UP = "give up"
    END = "end"
    """The attempt has ended."""


LIMIT_MOVES: dict[tuple[LimitStage, LimitMove], LimitStage] = {
    (LimitStage.WAITING, LimitMove.START): LimitStage.RUNNING,
    (LimitStage.RUNNING, LimitMove.CANCEL): LimitStage.CANCELLED,
    (LimitStage.RUNNING, LimitMove.END): LimitStage.WAITING,
    (LimitStage.CANCELLED, LimitMove.GIVE_UP): LimitStage.OVERDUE,
    (LimitStage.CANCELLED, LimitMove.END): LimitStage.WAITING,
}


def limit_moved(stage: LimitStage, move: LimitMove) -> LimitStage | None:
    """Returns the stage after a move; None if that comes too late."""
    return LIMIT_MOVES.get((stage, move))


class LimitStep(enum.Enum):
    """What is to be done about a task at a moment."""

    NOTHING = "nothing"
    EXPIRE = "expire"
    """End it: it waits, and may not start any more."""
    CANCEL = "cancel"
    """Cancel its context."""
    GIVE_UP = "give up"
    """End it without its attempt."""


def limit_step(stage: LimitStage, now: float, last_start: float, end: float, grace: float) -> LimitStep:
    """Decides what is to be done about a task ``now``. ``last_start``: until when it may start; ``end``: until when the
    attempt may run; ``grace``: the seconds that it has from then on."""
    if stage is LimitStage.WAITING and now >= last_start:
        return LimitStep.EXPIRE
    if stage is LimitStage.RUNNING and now >= end:
        return LimitStep.CANCEL
    if stage is LimitStage.CANCELLED and now >= end + grace:
        return LimitStep.GIVE_UP
    return LimitStep.NOTHING


def checked_limits(timeout: float | None, deadline: float | None) -> Limits:
    """Returns the limits of a submission, in seconds; ``inf`` is none. Raises ``TypeError`` or ``ValueError`` for anything else
    that is no number above 0."""
    return Limits(_limit("timeout", timeout), _limit("deadline", deadline))


def _limit(name: str, value: float | None) -> float | None:
    """Returns a limit of a submission; ``inf`` is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds or None, got {value!r}")
    if not is_duration(value) or not value:
        raise ValueError(f"{name} must be more than 0 seconds, got {value!r}")
    return None if value == math.inf else float(value)
