"""Whether the wait of a task for tasks of its own manager can ever end.

The deadlock that every pool knows: tasks that wait for tasks of their own pool, until no worker is left to run them. The
engines find out which workers are *blocked*, and what each of them needs; here it is decided what that leads to. It is
asked again at each event that may change the answer: when a wait begins, when a worker is ready, retires, ends or cannot
be made, when the bounds change, and at each tick.

A wait is entered only if nothing but tasks of the same manager can end it. One that has a timeout, or that something
else may end, is not entered, and its worker counts as free. So a deadlock may be missed, but none is found where there
is none. The time limits of tasks do not count: a task that only its deadline would end, unrun, is waited for in vain, and
the error is to say so before that time.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

W = TypeVar("W")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Need(Generic[T]):
    """What the task of a blocked worker waits for. None of it has happened yet."""

    awaited: tuple[T, ...]
    """Tasks of the same manager; or anything else that takes a worker which takes tasks, such as a slot in the queue."""
    any: bool = False
    """Whether one of them ends the wait; otherwise all of them do."""


@dataclass(frozen=True, slots=True)
class Staff:
    """The workers of a pool, as far as a wait depends on them."""

    ready: int
    starting: int
    retiring: int
    """Those of them that have to end as soon as they can."""
    target: int
    """How many there should be."""
    may_grow: bool
    """Whether a further worker may be made before a blocked one ends."""
    ready_timeout: float | None = None
    """The seconds for which blocked tasks wait for a worker to be made; None: no limit."""


class Outlook(enum.Enum):
    """What the waits of a pool lead to."""

    FINE = "fine"
    """All of them can end."""
    NEEDS_WORKER = "needs a worker"
    """Every worker is blocked; the pool may still grow, and has to."""
    DEADLOCK = "deadlock"
    """At least one of them would last for ever."""


class WaitJudge(Generic[W, T]):
    """Judges the waits of one manager. Not thread-safe."""

    __slots__ = ("_blocked", "_blocked_since", "stuck")

    def __init__(self) -> None:
        self._blocked: dict[W, Need[T]] = {}
        """The needs that were judged last, if every ready worker was blocked."""
        self._blocked_since: float | None = None
        """Since when every ready worker is blocked without a break."""
        self.stuck: list[W] = []
        """The workers whose wait would last for ever, as found last, in the order of their waits."""

    def judge(self, needs: Mapping[W, Need[T]], running: Mapping[T, W], staff: Staff, now: float) -> Outlook:
        """``needs``: of the blocked workers, in the order in which they began to wait. ``running``: the worker of each
        task that one of them runs."""
        free = staff.ready > len(needs)
        self._note(needs if not free else {}, now)
        coming = (staff.starting > 0 or staff.may_grow) and not self._given_up(staff, now)
        self.stuck = stuck_among(needs, running, served=free or coming)
        if self.stuck:
            return Outlook.DEADLOCK
        # A worker that is starting, or that is missing from the target, is on its way.
        asked = staff.starting > 0 or staff.target > staff.ready - staff.retiring
        return Outlook.FINE if free or asked or not needs else Outlook.NEEDS_WORKER

    def forget(self) -> None:
        """Until now, no worker could serve what is waited for."""
        self._blocked, self._blocked_since = {}, None

    def gives_up_at(self, staff: Staff) -> float | None:
        """Returns when it is no longer waited for a worker that was to be made, or None."""
        if self._blocked_since is None or staff.ready_timeout is None:
            return None
        return self._blocked_since + staff.ready_timeout

    def _note(self, blocked: Mapping[W, Need[T]], now: float) -> None:
        # Waits come and go between two judgements. Where one of them is over, its worker was free in between.
        unbroken = all(blocked.get(worker) == need for worker, need in self._blocked.items())
        if not blocked:
            self._blocked_since = None
        elif self._blocked_since is None or not unbroken:
            self._blocked_since = now
        self._blocked = dict(blocked)

    def _given_up(self, staff: Staff, now: float) -> bool:
        moment = self.gives_up_at(staff)
        return moment is not None and now >= moment


def stuck_among(needs: Mapping[W, Need[T]], running: Mapping[T, W], *, served: bool) -> list[W]:
    """Returns the workers whose need can never be met, in the order of ``needs``. ``served``: whether a worker takes
    tasks from the queue, or will."""
    left: dict[W, Need[T]] = dict(needs)

    def may_come(awaited: Any) -> bool:
        worker = running.get(awaited)
        return served if worker is None else worker not in left

    changed = True
    while changed:
        changed = False
        # Latest first: most often a task waits for one that began to wait after it, and so one round is enough.
        for worker in reversed(list(left)):
            need = left[worker]
            if (any if need.any else all)(map(may_come, need.awaited)):
                del left[worker]
                served = changed = True  # once its wait has ended, its worker takes the next task
    return list(left)
