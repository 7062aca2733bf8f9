"""All that is counted while an output is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tasker.metrics.histogram import Histogram

from .gantt import Gantt
from .kinds import Kinds
from .lines import ResultLine
from .standouts import Standouts
from .timeline import Timeline

BATCH = 4096
_MOST_JOBS = 100
_MOST_ATTEMPTS = 20


class Tally:
    """Counts results. For one thread."""

    def __init__(self) -> None:
        self.done: int = 0
        self.failed: int = 0
        self.attempts: Counter[int] = Counter()
        """How many items were tried how often; the last number stands for all above it."""
        self.jobs: set[str] = set()
        """The versions of the job."""
        self.untimed: int = 0
        """Items that were run, but of which the line does not say when."""
        self.first: float = float("inf")
        """When the first item was started, and the last one ended, in seconds since 1970."""
        self.last: float = 0.0
        self.waits: Histogram = Histogram()
        self.executions: Histogram = Histogram()
        self.timeline: Timeline = Timeline()
        self.gantt: Gantt = Gantt()
        self.kinds: Kinds = Kinds()
        self.slowest: Standouts = Standouts()
        self.retried: Standouts = Standouts()
        self._waits: list[float] = []
        self._executions: list[float] = []

    @property
    def items(self) -> int:
        return self.done + self.failed

    def add_all(self, lines: Iterable[ResultLine]) -> None:
        """Takes results, to their end."""
        for number, line in enumerate(lines):
            self._add(line)
            if number % BATCH == BATCH - 1:
                self._flush()
        self._flush()

    def _add(self, line: ResultLine) -> None:
        if line.is_done:
            self.done += 1
        else:
            self._add_failure(line)
        attempts = line.attempts
        self.attempts[min(_MOST_ATTEMPTS, attempts)] += 1
        if attempts > 1 and attempts > self.retried.threshold:
            self.retried.offer(attempts, line)
        if line.job not in self.jobs and len(self.jobs) < _MOST_JOBS:
            self.jobs.add(line.job)
        if line.execution is not None:
            self._add_times(line, line.execution)

    def _add_failure(self, line: ResultLine) -> None:
        self.failed += 1
        self.kinds.add(line.index, line.error or {})
        for attempt in line.earlier:
            if isinstance(attempt, dict):
                self.kinds.add_retried(attempt.get("error"))

    def _add_times(self, line: ResultLine, execution: float) -> None:
        started = line.started
        self._executions.append(execution)
        if line.wait is not None:
            self._waits.append(line.wait)
        if execution > self.slowest.threshold:
            self.slowest.offer(execution, line)
        if line.worker is not None:
            self.gantt.add(line.worker, started, execution, line.is_done, line.index)
        if started is None:
            self.untimed += 1
            return
        self.timeline.add(started, line.wait, execution, line.is_done)
        self.first = min(self.first, started)
        self.last = max(self.last, started + execution)

    def _flush(self) -> None:
        # In batches, because that costs less for each; and so often, because they are kept one by one until then.
        self.waits.add_all(self._waits)
        self.executions.add_all(self._executions)
        self._waits, self._executions = [], []
        self.timeline.flush()
