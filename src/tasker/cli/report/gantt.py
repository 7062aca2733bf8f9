"""Which worker did what when, in constant memory.

An item that is longer than a step of time is kept as it is; shorter ones of a worker are summed in their step. When there are too
many, steps become twice as long. So each worker has at most two spans for each step, and a step is less than what a screen shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .timeline import LEAST_STEP

MOST_WORKERS = 200
"""That get a row of their own: the first ones."""
MOST_SPANS = 24_000


@dataclass(slots=True)
class Span:
    """A time in which a worker ran one item or several short ones."""

    begin: float
    """Seconds since 1970."""
    end: float
    busy: float
    """Seconds of that time in which it ran one."""
    items: int
    failed: int
    index: int
    """Of the first item."""

    def merge(self, other: Span) -> None:
        """Adds another span."""
        if other.begin < self.begin:
            self.index = other.index
        self.begin, self.end = min(self.begin, other.begin), max(self.end, other.end)
        self.busy += other.busy
        self.items += other.items
        self.failed += other.failed


@dataclass(slots=True)
class WorkerRow:
    """What one worker did, or all beyond ``MOST_WORKERS`` together."""

    name: str
    items: int = 0
    failed: int = 0
    busy: float = 0.0
    """Seconds."""
    long: list[Span] = field(default_factory=list)
    """Those of at least a step."""
    short: dict[int, Span] = field(default_factory=dict)
    """The others, by the number of the step in which they begin."""

    def spans(self) -> list[Span]:
        """Returns all of them, in no order."""
        return [*self.long, *self.short.values()]


class Gantt:
    """Spans of workers. For one thread."""

    def __init__(self, most_spans: int = MOST_SPANS, most_workers: int = MOST_WORKERS) -> None:
        self.rows: dict[str, WorkerRow] = {}
        self.others: WorkerRow = WorkerRow("")
        self.step: float = LEAST_STEP
        """Seconds."""
        self._count = 0
        self._most_spans = most_spans
        self._most_workers = most_workers

    def add(self, worker: str, started: float | None, execution: float, is_done: bool, index: int) -> None:
        """Takes an attempt that ended an item. ``started``: seconds since 1970, or ``None``: then it is only counted."""
        row = self.rows.get(worker) or self._new_row(worker)
        row.items += 1
        row.busy += execution
        if not is_done:
            row.failed += 1
        if started is None or row is self.others:
            return
        if self._place(row, Span(started, started + execution, execution, 1, 0 if is_done else 1, index)):
            self._count += 1
            while self._count > self._most_spans:
                self._fold()

    def _new_row(self, worker: str) -> WorkerRow:
        if len(self.rows) >= self._most_workers:
            return self.others
        row = self.rows[worker] = WorkerRow(worker)
        return row

    def _place(self, row: WorkerRow, span: Span) -> bool:
        """Returns whether it is one more, and not added to another."""
        if span.end - span.begin >= self.step:
            row.long.append(span)
            return True
        number = int(span.begin / self.step)
        if (other := row.short.get(number)) is None:
            row.short[number] = span
            return True
        other.merge(span)
        return False

    def _fold(self) -> None:
        self.step *= 2
        self._count = 0
        for row in self.rows.values():
            old = row.spans()
            row.long, row.short = [], {}
            self._count += sum(self._place(row, span) for span in old)
