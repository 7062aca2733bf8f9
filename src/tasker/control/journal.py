"""The record of decisions about the number of workers and the state they were based on, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .scaling import Decision, Snapshot
from .wording import duration

REMEMBERED = 32
_GIL_CAME_BACK = "threads compute one at a time: an extension module has switched the GIL of this interpreter on (PYTHON_GIL=0 keeps it off)"

Cause = Literal["start", "policy", "task", "blocked", "resize", "stop", "kill"]


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """A change of the number of workers that there should be. Immutable."""

    at: float
    """When, in ``time.monotonic`` seconds."""
    cause: Cause
    """What changed it: the policy, the first task where no worker is kept, a resize, a pool whose workers all wait for
    other tasks, or the start or end of the manager."""
    before: int
    target: int
    why: str
    """In words and numbers."""
    snapshot: Snapshot | None
    """The state on which the policy decided; None if the cause is another one."""

    def __str__(self) -> str:
        return f"{self.before} -> {self.target} ({self.cause}): {self.why}"


@dataclass(frozen=True, slots=True)
class ScalingExplanation:
    """Why there are as many workers as there are: what ``manager.explain()`` returns. ``str()`` of it is readable text.
    Immutable."""

    at: float
    """When it was requested, in ``time.monotonic`` seconds."""
    target: int
    """The number of workers that there should be."""
    ready: int
    starting: int
    worker_count: int
    max_worker_count: int
    latest: Decision | None
    """The policy's decision at the last tick; None before the first tick and if scaling is off."""
    snapshot: Snapshot | None
    """The state on which it decided; None before the first tick and if scaling is off."""
    decisions: tuple[ScalingDecision, ...]
    """The last changes, at most 32, the newest last."""
    failing_creations: int = 0
    """How many times in a row no resource could be made."""
    creation_error: str | None = None
    """The last error of a creation, while creations fail."""
    next_creation: float | None = None
    """Seconds until the next attempt, while creations fail and a resource is missing; 0 if it is due or under way."""
    quarantined: tuple[str, ...] = ()
    """The last tasks that ended with ``PoisonTask``, at most 10, the newest last."""
    breaker: str = "closed"
    """The circuit breaker around creations: ``"closed"``, ``"open"`` or ``"half-open"``."""
    cooling: int = 0
    """Ready workers that take no task for a while, see ``Health.COOL_DOWN``."""
    restart_alarm: bool = False
    """Whether workers are replaced more often than ``Config.restart_intensity`` says."""

    refused_retries: int = 0
    """Retries that were not made because the ``RetryBudget`` of their policy had no tokens left, since the start."""
    generation: int = 0
    """How many times ``refresh()`` was called."""
    outdated: int = 0
    """Workers whose resource is of before the last ``refresh()``, and that have yet to be replaced."""
    paused: bool = False
    """Whether ``pause()`` holds the start of tasks: then the number of workers stays as it is."""
    gil_came_back: bool = False
    """Whether the interpreter was built without the GIL, and an extension module has switched it on: more workers then
    compute no more."""

    def __str__(self) -> str:
        bounds = f"{self.worker_count} to {self.max_worker_count}"
        cooling = f" ({self.cooling} of them cooling down)" if self.cooling else ""
        said = "the policy was not asked" if self.latest is None else self.latest.why
        return "\n".join(
            [
                f"{self.target} workers wanted ({bounds} allowed): {self.ready} ready{cooling}, {self.starting} starting",
                *self._nothing_kept(),
                *(["paused: no task starts, and the number of workers stays as it is"] if self.paused else []),
                *self._failures(),
                *self._refresh(),
                *self._refused(),
                *(["workers are replaced more often than restart_intensity says"] if self.restart_alarm else []),
                *([f"quarantined: {', '.join(self.quarantined)}"] if self.quarantined else []),
                *([_GIL_CAME_BACK] if self.gil_came_back else []),
                f"now: {said}",
                *(f"{duration(self.at - one.at)} ago: {one}" for one in reversed(self.decisions)),
            ]
        )

    def _nothing_kept(self) -> list[str]:
        if self.worker_count or self.target:
            return []
        return ["no worker is kept while there is nothing to do (worker_count=0): the next task has one started"]

    def _refresh(self) -> list[str]:
        if not self.outdated:
            return []
        return [f"refresh {self.generation} is under way: {self.outdated} workers have yet to be replaced"]

    def _refused(self) -> list[str]:
        if not self.refused_retries:
            return []
        retries = "1 retry was" if self.refused_retries == 1 else f"{self.refused_retries} retries were"
        return [f"{retries} not made, because the retry budget was used up"]

    def _failures(self) -> list[str]:
        if not self.failing_creations:
            return []
        times = "once" if self.failing_creations == 1 else f"{self.failing_creations} times in a row"
        after = "" if self.next_creation is None else f"; next try in {duration(self.next_creation)}"
        return [f"a resource could not be made, {times} ({self.creation_error}); the breaker is {self.breaker}{after}"]


class Journal:
    """The last decisions. Written by one thread; any thread may read ``entries``."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: tuple[ScalingDecision, ...] = ()

    def add(self, entry: ScalingDecision) -> None:
        """Adds a decision and, once there are 32, drops the oldest."""
        # A new tuple each time: a thread that reads the old one sees it whole.
        self.entries = (*self.entries, entry)[-REMEMBERED:]
