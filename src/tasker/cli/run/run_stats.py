"""The counts of a run, and the snapshots of them that progress and summary show."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tasker import TaskStats
from tasker.metrics.histogram import Histogram

from .records import Record

RATE_WINDOW_S = 10.0
SHOWN_INDICES = 5
MOST_GROUPS = 50
_BATCH = 1024


@dataclass(slots=True)
class RunFailureGroup:
    """Failures with one kind of error: how many, an example, and the indices of the first ones."""

    label: str
    example: str
    count: int = 0
    indices: list[int] = field(default_factory=list)


class RunDurations:
    """Percentiles of durations in seconds, in constant memory."""

    def __init__(self) -> None:
        self._histogram = Histogram()
        self._batch: list[float] = []

    def add(self, seconds: float) -> None:
        # In batches, because `add_all` costs less for each duration than adding one at a time.
        self._batch.append(seconds)
        if len(self._batch) >= _BATCH:
            self._flush()

    def add_all(self, seconds: Iterable[float]) -> None:
        self._batch.extend(seconds)
        if len(self._batch) >= _BATCH:
            self._flush()

    def percentile(self, share: float) -> float:
        """Returns the duration that `share` of all durations (0 to 1) do not exceed."""
        self._flush()
        return self._histogram.percentile(share)

    @property
    def greatest(self) -> float:
        self._flush()
        return self._histogram.greatest

    def histogram(self) -> Histogram:
        """Returns a copy of all durations."""
        self._flush()
        copy = Histogram()
        copy.merge(self._histogram)
        return copy

    def _flush(self) -> None:
        self._histogram.add_all(self._batch)
        self._batch = []


class RunStats:
    """Counts records as they are written. Used by the main thread alone."""

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: int = 0
        self.retries: int = 0
        self.most_workers = 0
        self.groups: dict[str, RunFailureGroup] = {}
        self.waits: RunDurations = RunDurations()
        self.executions: RunDurations = RunDurations()

    @property
    def finished(self) -> int:
        return self.done + self.failed

    def add_done(self, waits: Sequence[float], executions: Sequence[float]) -> None:
        """Counts items that were done at once."""
        self.done += len(waits)
        self.waits.add_all(waits)
        self.executions.add_all(executions)

    def add(self, record: Record) -> None:
        """Counts one record."""
        self.retries += max(0, record.attempts - 1)
        if record.wait_s is not None and record.execution_s is not None:
            self.waits.add(record.wait_s)
            self.executions.add(record.execution_s)
        if record.error is None:
            self.done += 1
            return
        self.failed += 1
        group = self._group(record.error.label, record.error.message)
        group.count += 1
        if len(group.indices) < SHOWN_INDICES:
            group.indices.append(record.item.index)

    def _group(self, label: str, example: str) -> RunFailureGroup:
        # Bounded: a job may raise an error class of its own for each item.
        if label not in self.groups and len(self.groups) >= MOST_GROUPS:
            label, example = "other errors", ""
        return self.groups.setdefault(label, RunFailureGroup(label, example))


class RateMeter:
    """Items a second over the last RATE_WINDOW_S seconds."""

    def __init__(self, now: float) -> None:
        self._points: deque[tuple[float, int]] = deque([(now, 0)])

    def update(self, now: float, finished: int) -> float:
        """Notes how many items were finished by `now`, and returns the rate."""
        self._points.append((now, finished))
        # The point before the window stays: the rate is measured from there, over at least the whole window.
        while len(self._points) > 2 and self._points[1][0] <= now - RATE_WINDOW_S:
            self._points.popleft()
        since, before = self._points[0]
        return (finished - before) / (now - since) if now > since else 0.0


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """The state of a run at one moment."""

    elapsed: float
    done: int
    failed: int
    skipped: int
    total: int | None  # may be an estimate; None if unknown
    rate: float
    stats: TaskStats
    stopping: bool = False
    queued: int = 0

    @property
    def processed(self) -> int:
        return self.done + self.failed + self.skipped

    @property
    def eta(self) -> float | None:
        """The seconds left at the present rate; None if they cannot be estimated."""
        if self.total is None or self.rate <= 0 or self.stopping:
            return None
        return max(0, self.total - self.processed) / self.rate
