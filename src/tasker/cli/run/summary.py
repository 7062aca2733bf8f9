"""The summary of a run: its facts, and their plain form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import wording
from .engine import Ending
from .tally import SHOWN_INDICES, Durations, FailureGroup, Tally

SHARES = (0.5, 0.9, 0.95, 0.99)
SHOWN_GROUPS = 10
_EXAMPLE_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of "where the failures are"."""

    count: str
    label: str
    places: str
    example: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What is told at the end, as text by cell."""

    headline: str
    facts: tuple[tuple[str, str], ...]
    latencies: tuple[tuple[str, ...], ...]
    failures: tuple[Failure, ...]
    more_kinds: int

    @staticmethod
    def latency_titles() -> tuple[str, ...]:
        return ("", *(f"p{share * 100:g}" for share in SHARES), "max")


def summarise(ending: Ending, tally: Tally, output: str) -> Summary:
    """The summary of a run that ended like this."""
    groups = sorted(tally.groups.values(), key=lambda group: -group.count)
    return Summary(
        headline=_headline(ending),
        facts=tuple(_facts(ending, tally, output)),
        latencies=_latencies(tally),
        failures=tuple(_failure(group) for group in groups[:SHOWN_GROUPS]),
        more_kinds=max(0, len(groups) - SHOWN_GROUPS),
    )


def _headline(ending: Ending) -> str:
    view = ending.view
    parts = [f"{view.done:,} done", f"{view.failed:,} failed"]
    if view.skipped:
        parts.append(f"{view.skipped:,} skipped (done before)")
    if ending.interrupted_by:
        parts.append(f"stopped by {ending.interrupted_by}")
    return ", ".join(parts)


def _facts(ending: Ending, tally: Tally, output: str) -> Iterator[tuple[str, str]]:
    view, stats = ending.view, ending.view.stats
    rate = tally.finished / view.elapsed if view.elapsed > 0 else 0.0
    yield "time", f"{_elapsed(view.elapsed)}, {wording.rate(rate)}"
    yield "retried", f"{tally.retries:,}"
    made = stats.resources.created
    yield "workers", f"{made:,} made, {stats.replaced_workers:,} replaced, {_most(tally)} at most"
    if ending.abandoned:
        yield "abandoned", ", ".join(ending.abandoned)
    yield "results", output


def _most(tally: Tally) -> str:
    return f"{tally.most_workers:,}"


def _elapsed(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 60 else wording.clock(seconds)


def _latencies(tally: Tally) -> tuple[tuple[str, ...], ...]:
    if not tally.executions.greatest:
        return ()
    return (_row("waiting", tally.waits), _row("execution", tally.executions))


def _row(title: str, durations: Durations) -> tuple[str, ...]:
    shown = [wording.duration(durations.percentile(share)) for share in SHARES]
    return (title, *shown, wording.duration(durations.greatest))


def _failure(group: FailureGroup) -> Failure:
    places = ", ".join(str(index) for index in group.indices)
    more = ", ..." if group.count > SHOWN_INDICES else ""
    example = wording.one_line(group.example, _EXAMPLE_WIDTH)
    return Failure(f"{group.count:,}", group.label, places + more, example)


def plain(summary: Summary) -> str:
    """The summary without colours or boxes."""
    lines = [f"tasker run: {summary.headline}"]
    lines += [f"  {name:<10} {value}" for name, value in summary.facts]
    if summary.latencies:
        rows = [summary.latency_titles(), *summary.latencies]
        lines += ["  " + f"{row[0]:<10}" + "".join(f"{c:>10}" for c in row[1:]) for row in rows]
    if summary.failures:
        lines.append("  failures")
        for failure in summary.failures:
            lines.append(f"    {failure.count} x {failure.label}, index {failure.places}")
            lines.append(f"      {failure.example}")
    if summary.more_kinds:
        lines.append(f"    and {summary.more_kinds} more kinds of error")
    return "\n".join(line.rstrip() for line in lines)
