"""The rules of two autoscalers of Kubernetes, with workers in place of pods and the defaults of their documentation.

They were made for pods, which take seconds to start, and so decide over minutes instead of tenths of a second. The
comparison shows the effect of their defaults on a pool of workers, not a weakness in their own domain.
"""

from __future__ import annotations

import math
from collections import deque

from tasker.control.scaling import Decision, Snapshot


class _Average:
    """The moving average of samples over the last ``window`` seconds."""

    __slots__ = ("_samples", "_total", "_window")

    def __init__(self, window: float) -> None:
        self._window = window
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, now: float, value: int) -> float:
        """Adds a sample and returns the average."""
        samples = self._samples
        samples.append((now, value))
        self._total += value
        while len(samples) > 1 and samples[0][0] <= now - self._window:
            self._total -= samples.popleft()[1]
        return self._total / len(samples)


class KnativeRule:
    """Knative's pod autoscaler.

    The number of workers is the number of tasks in the pool (waiting and running), averaged over ``stable`` seconds,
    divided by ``target``. If the average over ``panic`` seconds needs at least ``threshold`` times the present workers,
    it panics: the short average decides, and no worker is removed, until a stable window has passed without another
    panic. (Knative Serving, "Autoscaling concepts": stable-window 60s, panic-window-percentage 10,
    panic-threshold-percentage 200, container-concurrency-target-percentage 70, max-scale-down-rate 2.)
    """

    __slots__ = ("_long", "_panicked_at", "_short", "_stable", "_target", "_threshold")

    def __init__(self, stable: float = 60.0, panic: float = 6.0, threshold: float = 2.0, target: float = 0.7) -> None:
        self._stable = stable
        self._threshold = threshold
        self._target = target
        self._long = _Average(stable)
        self._short = _Average(panic)
        self._panicked_at: float | None = None

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """See ``ScalingPolicy``."""
        tasks = snapshot.queued + snapshot.running
        stable = math.ceil(self._long.add(now, tasks) / self._target)
        panic = math.ceil(self._short.add(now, tasks) / self._target)
        if panic >= self._threshold * snapshot.workers:
            self._panicked_at = now
        elif self._panicked_at is not None and now - self._panicked_at >= self._stable:
            self._panicked_at = None
        if self._panicked_at is not None:
            return Decision(max(snapshot.workers, stable, panic), f"panic: {panic} workers for the last seconds")
        return Decision(max(stable, snapshot.workers // 2), f"{stable} workers for the stable window")


class HorizontalRule:
    """Kubernetes' horizontal pod autoscaler.

    Every ``sync`` seconds, the number of workers is multiplied by utilisation / ``target``, unless that ratio is within
    ``tolerance`` of 1. One step at most doubles the workers, or adds 4; they are reduced only to the highest result of
    the last ``stabilisation`` seconds. (Kubernetes, "Horizontal Pod Autoscaling": sync period 15s, tolerance 0.1,
    scaleDown stabilizationWindowSeconds 300, scaleUp 100% or 4 pods in 15s.)
    """

    __slots__ = ("_answers", "_next", "_stabilisation", "_sync", "_target", "_tolerance", "_used")

    def __init__(
        self, target: float = 0.7, sync: float = 15.0, tolerance: float = 0.1, stabilisation: float = 300.0
    ) -> None:
        self._target = target
        self._sync = sync
        self._tolerance = tolerance
        self._stabilisation = stabilisation
        self._answers: deque[tuple[float, int]] = deque()
        self._next: float | None = None
        self._used = _Average(sync)

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """See ``ScalingPolicy``."""
        used = self._used.add(now, snapshot.running)
        self._next = now + self._sync if self._next is None else self._next
        if now < self._next:
            return Decision(snapshot.workers, "between two syncs")
        self._next = now + self._sync
        ratio = used / snapshot.workers / self._target
        steady = abs(ratio - 1) <= self._tolerance
        wanted = snapshot.workers if steady else math.ceil(snapshot.workers * ratio - 1e-9)
        wanted = min(wanted, max(2 * snapshot.workers, snapshot.workers + 4))
        self._answers.append((now, wanted))
        while self._answers[0][0] <= now - self._stabilisation:
            self._answers.popleft()
        highest = max(answer for _, answer in self._answers)
        target = wanted if wanted >= snapshot.workers else min(snapshot.workers, highest)
        return Decision(target, f"{used:.1f} of {snapshot.workers} workers are busy on average")
