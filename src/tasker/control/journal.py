"""What was decided about the number of workers, and on what: for people to read, and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .scaling import Decision, Snapshot

REMEMBERED = 32

Cause = Literal["start", "policy", "blocked", "resize", "stop", "kill"]


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """The number of workers that there should be was changed."""

    at: float
    """When, by ``time.monotonic()``."""
    cause: Cause
    """Who changed it: the policy, a resize, a pool whose workers all wait for each other, or the manager's start and
    end."""
    before: int
    target: int
    why: str
    """In words and numbers."""
    snapshot: Snapshot | None
    """What the policy decided on; None where it was not the policy, and before the first tick."""

    def __str__(self) -> str:
        return f"{self.before} -> {self.target} ({self.cause}): {self.why}"


@dataclass(frozen=True, slots=True)
class ScalingExplanation:
    """Why there are as many workers as there are."""

    at: float
    """When it was asked for, by ``time.monotonic()``."""
    target: int
    """How many workers there should be."""
    ready: int
    starting: int
    worker_count: int
    max_worker_count: int
    latest: Decision | None
    """What the policy said at the last tick; None before the first, and where scaling is off."""
    snapshot: Snapshot | None
    """What it said that on."""
    decisions: tuple[ScalingDecision, ...]
    """The last changes, up to 32, the newest last."""

    def __str__(self) -> str:
        bounds = f"{self.worker_count} to {self.max_worker_count}"
        said = "the policy was not asked" if self.latest is None else self.latest.why
        return "\n".join(
            [
                f"{self.target} workers wanted ({bounds} allowed): {self.ready} ready, {self.starting} starting",
                f"now: {said}",
                *(f"{self.at - one.at:.1f} s ago: {one}" for one in reversed(self.decisions)),
            ]
        )


class Journal:
    """The last decisions. ``entries`` is replaced, never changed, so that other threads may read it."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: tuple[ScalingDecision, ...] = ()

    def add(self, entry: ScalingDecision) -> None:
        """Enters one, and forgets the oldest."""
        self.entries = (*self.entries, entry)[-REMEMBERED:]
