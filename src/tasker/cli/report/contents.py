"""What the page shows, as data: plain numbers and texts, rounded, in seconds."""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from math import ceil
from typing import Any, NamedTuple

from tasker.metrics.histogram import Histogram

from .gantt import Gantt, Span, WorkerRow
from .kinds import Kind
from .lines import ResultLines
from .tally import Tally
from .timeline import Step, Timeline

MOST_DRAWN = 400
"""Steps of time in a chart."""
_ITEMS_IN_A_STEP = 8
"""On average, at least: a rate of one item in a step says only how long the step is."""
MOST_BARS = 48
_LEAST_BAR = 1e-6
SHOWN_KINDS = 100


class Pause(NamedTuple):
    """A time in which nothing ran, and which the charts leave out."""

    begin: float
    """Seconds since 1970."""
    end: float
    removed: float
    """Seconds that are missing on the axis behind it, those of earlier pauses included."""


class Axis:
    """The axis of time: seconds since 1970, less the pauses before."""

    def __init__(self, timeline: Timeline, items: int) -> None:
        timeline.shorten(max(8, min(MOST_DRAWN, items // _ITEMS_IN_A_STEP)))
        self.pauses: list[Pause] = []
        self.numbers: list[int | None] = timeline.drawn()
        """The steps to draw; ``None`` for a pause."""
        step, removed = timeline.step, 0.0
        for place, number in enumerate(self.numbers):
            before, after = self.numbers[place - 1 : place], self.numbers[place + 1 : place + 2]
            if number is None and before[0] is not None and after[0] is not None:
                begin, end = (before[0] + 1) * step, after[0] * step
                removed += end - begin - step  # one step is left, so that it can be seen
                self.pauses.append(Pause(begin, end, removed))
        self._ends = [pause.end for pause in self.pauses]

    def place(self, moment: float) -> float:
        """Returns where a moment is on the axis."""
        passed = bisect_right(self._ends, moment)
        return moment - self.pauses[passed - 1].removed if passed else moment

    @property
    def removed(self) -> float:
        """Seconds that are missing in all."""
        return self.pauses[-1].removed if self.pauses else 0.0


def contents(lines: ResultLines, tally: Tally) -> dict[str, Any]:
    """Returns the data of the page."""
    axis = Axis(tally.timeline, tally.items)
    timed = bool(tally.timeline.steps)
    return {
        "name": lines.name,
        "made_at": round(time.time()),
        "totals": _totals(tally),
        "first": tally.first if timed else None,
        "last": tally.last if timed else None,
        "seconds": round(tally.last - tally.first - axis.removed, 6) if timed else None,
        "pauses": [list(one) for one in axis.pauses],
        "steps": _steps(tally, axis),
        "wait": _distribution(tally.waits),
        "execution": _distribution(tally.executions),
        "gantt": _gantt(tally.gantt, axis),
        "attempts": sorted(tally.attempts.items()),
        "kinds": [_kind(one) for one in tally.kinds.all()[:SHOWN_KINDS]],
        "more_kinds": max(0, len(tally.kinds.all()) - SHOWN_KINDS),
        "slowest": tally.slowest.rows(),
        "retried": tally.retried.rows(),
        "problems": [list(one) for one in lines.problems],
        "foreign": lines.foreign,
        "broken_off": lines.broken_off,
    }


def _totals(tally: Tally) -> dict[str, int]:
    return {
        "items": tally.items,
        "done": tally.done,
        "failed": tally.failed,
        "retries": sum(max(0, number - 1) * count for number, count in tally.attempts.items()),
        "retried": sum(count for number, count in tally.attempts.items() if number > 1),
        "not_started": tally.attempts[0],
        "untimed": tally.untimed,
        "jobs": len(tally.jobs),
        "workers": len(tally.gantt.rows),
    }


def _steps(tally: Tally, axis: Axis) -> dict[str, Any]:
    timeline = tally.timeline
    names = ("at", "done", "failed", "busy", "wait50", "wait95", "wait99", "run50", "run95", "run99")
    rows = []
    last = 0.0
    for number in axis.numbers:
        if number is None:  # the place that is left for a pause, without values: lines are interrupted there
            rows.append((last + timeline.step, *(None for _ in names[1:])))
            continue
        begin, end = number * timeline.step, (number + 1) * timeline.step
        last = axis.place((begin + end) / 2)
        # The first and the last step may be cut; but a rate over next to nothing would be none.
        width = max(timeline.step / 4, min(end, tally.last) - max(begin, tally.first))
        rows.append((last, *_values(timeline.steps.get(number), width)))
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {"step": timeline.step, **{name: list(column) for name, column in zip(names, columns, strict=True)}}


def _values(found: Step | None, width: float) -> tuple[float | None, ...]:
    if found is None:
        return (0, 0, 0, *(None,) * 6)
    rates = (_short(found.done / width), _short(found.failed / width), _short(found.busy / width))
    return (*rates, *_percentiles(found.waits), *_percentiles(found.executions))


def _percentiles(histogram: Histogram) -> tuple[float | None, ...]:
    if not histogram.count:
        return None, None, None
    return tuple(_short(histogram.percentile(share)) for share in (0.5, 0.95, 0.99))


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _distribution(histogram: Histogram) -> dict[str, Any]:
    found: dict[str, Any] = {"count": histogram.count, "bars": _bars(histogram)}
    if histogram.count:
        p50, p95, p99 = _percentiles(histogram)
        found |= {"p50": p50, "p95": p95, "p99": p99, "greatest": histogram.greatest, "total": _short(histogram.total)}
    return found


def _bars(histogram: Histogram) -> list[list[float]]:
    """Returns (from, to, count): ranges of the same width on a logarithmic scale, the first with all that is less."""
    filled = [bucket for bucket, count in enumerate(histogram.counts) if count]
    if not filled:
        return []
    least = next(bucket for bucket in range(len(histogram.counts)) if histogram.edges(bucket)[1] > _LEAST_BAR)
    begin, end = max(filled[0], least), max(filled[-1], least)
    width = ceil((end - begin + 1) / MOST_BARS)
    counts = histogram.counts
    bars: list[list[float]] = [
        [_short(histogram.edges(at)[0]), _short(histogram.edges(at + width - 1)[1]), sum(counts[at : at + width])]
        for at in range(begin, end + 1, width)
        if at + width - 1 < len(counts) - 1
    ]
    if not bars:
        bars = [[0.0, _LEAST_BAR, 0]]
    bars[0][2] += sum(counts[:begin])
    bars[-1][2] += histogram.count - sum(int(count) for _, _, count in bars)  # what is beyond all edges
    return bars


def _gantt(gantt: Gantt, axis: Axis) -> dict[str, Any]:
    rows = sorted(gantt.rows.values(), key=lambda row: _natural(row.name))
    return {
        "step": gantt.step,
        "rows": [_row(row, [_span(one, axis) for one in sorted(row.spans(), key=_begin)]) for row in rows],
        "others": _row(gantt.others, []) if gantt.others.items else None,
    }


def _begin(span: Span) -> float:
    return span.begin


def _row(row: WorkerRow, spans: list[list[float]]) -> dict[str, Any]:
    return {"name": row.name, "items": row.items, "failed": row.failed, "busy": _short(row.busy), "spans": spans}


def _span(span: Span, axis: Axis) -> list[float]:
    begin = axis.place(span.begin)
    end = begin + span.end - span.begin
    return [round(begin, 6), round(end, 6), round(span.busy, 6), span.items, span.failed, span.index]


def _natural(name: str) -> list[tuple[int, str]]:
    """Orders "jobs-9" before "jobs-10"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _kind(kind: Kind) -> dict[str, Any]:
    return {
        "type": kind.type,
        "message": kind.message,
        "rest": kind.is_rest,
        "count": kind.count,
        "retried": kind.retried,
        "indices": kind.indices,
        "traceback": kind.traceback,
    }
