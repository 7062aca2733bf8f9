"""The upper part of the view: the state of a manager, its numbers, and how long tasks take."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan

from rich.cells import cell_len
from rich.text import Text

from tasker.control.wording import duration
from tasker.watch.frame import Durations, Frame
from tasker.watch.wording import rate

from .look import Look, Piece
from .sparkline import sparkline

INDENT = 9
_STATES = {"running": "green", "ended": "dim", "not started": "dim", "paused": "yellow", "stopping": "yellow"}


def head(frame: Frame, look: Look) -> list[Text]:
    """Returns the lines."""
    return [
        look.line((look.clean(frame.name), "bold"), ("  ", ""), (frame.state, _STATES[frame.state])),
        *look.flow("tasks", _tasks(frame), INDENT),
        *look.flow("workers", _workers(frame), INDENT),
        *look.flow("rate", _rates(frame), INDENT),
        _durations("wait", frame.waits, look),
        _durations("run", frame.executions, look),
        *_trouble(frame, look),
    ]


def _tasks(frame: Frame) -> Iterator[Piece]:
    stats, totals = frame.stats, frame.totals
    yield f"queue {stats.queued_tasks + stats.priority_tasks:,}", "bold"
    if stats.priority_tasks:
        yield f"urgent {stats.priority_tasks:,}", ""
    if stats.delayed_tasks:
        yield f"delayed {stats.delayed_tasks:,}", ""
    yield f"running {stats.running_tasks:,}", "bold"
    yield f"done {totals.total_tasks_completed:,}", "green"
    yield f"failed {totals.total_tasks_failed:,}", "red" if totals.total_tasks_failed else "dim"
    for name in ("retried", "cancelled"):
        if count := getattr(totals, f"total_tasks_{name}"):
            yield f"{name} {count:,}", ""


def _workers(frame: Frame) -> Iterator[Piece]:
    stats = frame.stats
    bounds = f"{frame.least}" if frame.least == frame.most else f"{frame.least} to {frame.most}"
    yield f"{stats.active_workers} ready", "bold"
    yield f"{frame.target} wanted of {bounds}", ""
    for name, style in (
        ("starting", "yellow"),
        ("parked", "dim"),
        ("cooling", "yellow"),
        ("stuck", "bold red"),
        ("lost", "red"),
    ):
        if count := getattr(stats, f"{name}_workers"):
            yield f"{count} {name}", style


def _rates(frame: Frame) -> Iterator[Piece]:
    rates = frame.rates
    if rates is None:
        yield "-", "dim"
        return
    yield f"in {rate(rates.arrivals)}", ""
    yield f"done {rate(rates.completions)}", ""
    yield f"failed {rate(rates.failures)}", "red" if rates.failures else "dim"


def _durations(label: str, durations: Durations, look: Look) -> Text:
    """Returns the line of p95 in the last seconds, with the figures of the last one at its right."""
    figures = "-" if isnan(durations.p95) else f"p50 {duration(durations.p50)}  p95 {duration(durations.p95)}"
    if not look.is_unicode:
        figures = look.clean(figures.replace("\N{MICRO SIGN}", "u"))
    bars = sparkline(durations.line, look.width - INDENT - cell_len(figures) - 2, look.bars)
    return look.split([(label.ljust(INDENT), "dim"), (bars, "cyan")], [(figures, "")])


def _trouble(frame: Frame, look: Look) -> Iterator[Text]:
    stats = frame.stats
    if stats.failing_creations:
        after = "" if not stats.next_creation else f", next in {duration(stats.next_creation)}"
        error = look.clean(stats.creation_error or "")
        yield look.line((f"creations fail ({stats.failing_creations} in a row{after}): {error}", "red"))
    if stats.restart_alarm:
        yield look.line(("workers are replaced too often", "red"))
    if frame.dropped:
        yield look.line((f"{frame.dropped:,} events came too fast to be counted below", "yellow"))
