"""The view as plain lines, for where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from tasker.control.wording import duration
from tasker.watch.frame import Durations, Frame
from tasker.watch.wording import rate

from .look import Look

MOST_NEWS = 10
"""Lines about decisions and events, for each line of numbers."""


class Telling:
    """Tells what a frame shows, and what has happened since the last one."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._told_until = float("-inf")

    def lines(self, frame: Frame) -> Iterator[str]:
        """Returns the lines."""
        name = self._look.clean(frame.name)
        news = [(at, text) for at, text in self._news(frame) if at > self._told_until]
        for _, text in sorted(news)[-MOST_NEWS:]:
            yield f"{name}: {text}"
        self._told_until = max([self._told_until, *(at for at, _ in news)])
        yield f"{name}: {self._look.clean(summary(frame))}"

    def _news(self, frame: Frame) -> Iterator[tuple[float, str]]:
        clean, arrow = self._look.clean, self._look.arrow
        for one in frame.decisions:
            yield one.at, f"{one.before} {arrow} {one.target} workers: {clean(one.why)}"
        for told in frame.notables:
            yield told.at, clean(told.text)
        for group in frame.failures:
            yield group.last, clean(f"{group.count + group.retried:,} x {group.type}: {group.message}")


def summary(frame: Frame) -> str:
    """Returns the numbers of a frame on one line."""
    stats, totals, rates = frame.stats, frame.totals, frame.rates
    parts = [
        frame.state,
        f"queue {stats.queued_tasks + stats.priority_tasks:,}",
        f"running {stats.running_tasks:,}",
        f"done {totals.total_tasks_completed:,}",
        f"failed {totals.total_tasks_failed:,}",
        f"workers {stats.active_workers} of {frame.target}",
    ]
    if stats.stuck_workers:
        parts.append(f"stuck {stats.stuck_workers}")
    if rates is not None:
        parts.append(rate(rates.completions))
    parts += [f"{label} p95 {duration(one.p95)}" for label, one in _durations(frame) if not isnan(one.p95)]
    return ", ".join(parts)


def _durations(frame: Frame) -> tuple[tuple[str, Durations], ...]:
    return ("wait", frame.waits), ("run", frame.executions)
