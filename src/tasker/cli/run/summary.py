"""The summary of a run: its facts, and their plain form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasker.cli import humanize

from .run_parts import RunEnd
from .run_stats import SHOWN_INDICES, RunDurations, RunFailureGroup, RunStats

PERCENTILES = (0.5, 0.9, 0.95, 0.99)
SHOWN_GROUPS = 10
_EXAMPLE_WIDTH = 100


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One kind of error, in the table of failures."""

    count: str
    label: str
    indices: str
    example: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The contents of the summary, as the text of its cells."""

    headline: str
    facts: tuple[tuple[str, str], ...]
    latencies: tuple[tuple[str, ...], ...]
    failures: tuple[FailureRow, ...]
    more_kinds: int

    @staticmethod
    def latency_titles() -> tuple[str, ...]:
        return ("", *(f"p{share * 100:g}" for share in PERCENTILES), "max")


def summarise(run_end: RunEnd, run_stats: RunStats, output: str) -> Summary:
    """Returns the summary of a run. `output` is the name of the results' file."""
    groups = sorted(run_stats.groups.values(), key=lambda group: -group.count)
    return Summary(
        headline=_headline(run_end),
        facts=tuple(_facts(run_end, run_stats, output)),
        latencies=_latencies(run_stats),
        failures=tuple(_failure(group) for group in groups[:SHOWN_GROUPS]),
        more_kinds=max(0, len(groups) - SHOWN_GROUPS),
    )


def _headline(run_end: RunEnd) -> str:
    snapshot = run_end.snapshot
    parts = [f"{snapshot.done:,} done", f"{snapshot.failed:,} failed"]
    if snapshot.skipped:
        parts.append(f"{snapshot.skipped:,} skipped (done before)")
    if run_end.interrupted_by:
        parts.append(f"stopped by {run_end.interrupted_by}")
    return ", ".join(parts)


def _facts(run_end: RunEnd, run_stats: RunStats, output: str) -> Iterator[tuple[str, str]]:
    snapshot, stats = run_end.snapshot, run_end.snapshot.stats
    rate = run_stats.finished / snapshot.elapsed if snapshot.elapsed > 0 else 0.0
    yield "time", f"{_elapsed(snapshot.elapsed)}, {humanize.rate(rate)}"
    yield "retried", f"{run_stats.retries:,}"
    made = stats.resources.created
    # A worker that was abandoned by a kill counts as lost, too, and no other one took its place.
    died = max(0, stats.lost_workers - stats.abandoned_workers)
    deaths = f" ({died:,} died)" if died else ""
    yield "workers", f"{made:,} made, {stats.replaced_workers + died:,} replaced{deaths}, {_most(run_stats)} at most"
    if run_end.abandoned:
        yield "abandoned", ", ".join(run_end.abandoned)
    if run_end.kept:
        yield "kept", f"{run_end.kept:,} results that match none of the inputs (--prune drops them)"
    if run_end.pruned:
        yield "pruned", f"{run_end.pruned:,} results that matched none of the inputs"
    yield "results", output


def _most(run_stats: RunStats) -> str:
    return f"{run_stats.most_workers:,}"


def _elapsed(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 60 else humanize.clock(seconds)


def _latencies(run_stats: RunStats) -> tuple[tuple[str, ...], ...]:
    if not run_stats.executions.greatest:
        return ()
    return (_row("waiting", run_stats.waits), _row("execution", run_stats.executions))


def _row(title: str, durations: RunDurations) -> tuple[str, ...]:
    shown = [humanize.duration(durations.percentile(share)) for share in PERCENTILES]
    return (title, *shown, humanize.duration(durations.greatest))


def _failure(group: RunFailureGroup) -> FailureRow:
    indices = ", ".join(str(index) for index in group.indices)
    more = ", ..." if group.count > SHOWN_INDICES else ""
    example = humanize.one_line(group.example, _EXAMPLE_WIDTH)
    return FailureRow(f"{group.count:,}", group.label, indices + more, example)


def plain(summary: Summary) -> str:
    """Returns the summary as text without colours or boxes."""
    lines = [f"tasker run: {summary.headline}"]
    lines += [f"  {name:<10} {value}" for name, value in summary.facts]
    if summary.latencies:
        rows = [summary.latency_titles(), *summary.latencies]
        lines += ["  " + f"{row[0]:<10}" + "".join(f"{c:>10}" for c in row[1:]) for row in rows]
    if summary.failures:
        lines.append("  failures")
        for failure in summary.failures:
            lines.append(f"    {failure.count} x {failure.label}, index {failure.indices}")
            lines.append(f"      {failure.example}")
    if summary.more_kinds:
        lines.append(f"    and {summary.more_kinds} more kinds of error")
    return "\n".join(line.rstrip() for line in lines)
