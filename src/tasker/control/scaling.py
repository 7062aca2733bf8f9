"""How many workers there should be: the policy's protocol, and the default policy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a policy decides on. Rates are tasks a second over a recent window."""

    worker_count: int
    max_worker_count: int
    workers: int
    """Those that serve the queue or are about to."""
    queued: int
    running: int
    arrival_rate: float
    completion_rate: float
    calm_since: float | None
    """Since when nothing has waited at any tick; None while something waits."""
    calm_peak: int
    """The most tasks that ran at any tick since then."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers there should be, and why, in words and numbers."""

    target: int
    why: str


class ScalingPolicy(Protocol):
    """Decides the number of workers. One object may serve several managers; so it keeps nothing between two calls."""

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """Called at each tick. The target is held within ``worker_count`` and ``max_worker_count`` by the caller."""
        ...


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """Grows to what arrivals and backlog need, at once; shrinks after a calm time; does nothing where nothing waits.

    A worker completes ``m = completion_rate / running`` tasks a second. The pool needs ``(arrival_rate + queued /
    catch_up) / m`` workers to keep up with the arrivals (Little's law) and to work the backlog off within
    ``catch_up`` seconds. Before anything was completed, ``m`` is unknown, and every waiting task counts as one
    worker's work.
    """

    wait: float = 0.1
    """A backlog that the present workers will have finished within so many seconds is left to them."""
    catch_up: float = 1.0
    calm: float = 1.0
    """Seconds without a backlog before the pool shrinks to what was in use."""

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        if snapshot.queued:
            return self._grow(snapshot)
        return self._shrink(snapshot, now)

    def _grow(self, at: Snapshot) -> Decision:
        if not at.completion_rate or not at.running:
            target = at.running + at.queued
            return Decision(max(at.workers, target), f"{at.queued} wait, {at.running} run, none was completed lately")
        each = at.completion_rate / min(at.running, max(1, at.workers))
        wait = at.queued / at.completion_rate
        if wait <= self.wait:
            return Decision(at.workers, f"{at.queued} wait, and will be started within {wait:.3f} s")
        needed = math.ceil((at.arrival_rate + at.queued / self.catch_up) / each)
        why = f"{at.queued} wait, {at.arrival_rate:.1f}/s arrive, a worker completes {each:.1f}/s"
        return Decision(max(at.workers, needed), why)

    def _shrink(self, at: Snapshot, now: float) -> Decision:
        spare = at.workers - max(at.worker_count, at.calm_peak)
        if spare > 0 and at.calm_since is not None and now - at.calm_since >= self.calm:
            return Decision(
                at.workers - spare, f"nothing has waited for {now - at.calm_since:.1f} s, {at.calm_peak} ran"
            )
        return Decision(at.workers, "nothing waits")
