"""The output of `tasker simulate`: a table with a verdict, or JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from tasker.cli import humanize
from tasker.simulation.comparison import FACTOR, Comparison
from tasker.simulation.figures import Figures
from tasker.simulation.rules import OWN, RULES

_TITLES = ("", "mean wait", "p50", "p95", "p99", "max", "late", "workers", "worker-seconds", "oracle x", "verdict")


def lines(comparison: Comparison) -> Iterator[str]:
    """Yields the lines of the table and of its explanation."""
    pool, load = comparison.pool, comparison.workload
    yield f"{load.name}: {load.words}"
    yield (
        f"{comparison.tasks:,} tasks, {comparison.work:,.0f} s of work; {pool.worker_count} to {pool.max_worker_count}"
        f" workers, a resource takes {load.creation.time:g} s to make; seed {comparison.seed}"
    )
    yield ""
    yield from table([_TITLES, *(_row(comparison, figures) for figures in comparison.figures)])
    yield ""
    yield f"oracle: at least {comparison.bound.worker_seconds:,.0f} worker-seconds for any rule, even one that knows the future"
    yield (
        f"good: p99 at most {humanize.duration(comparison.allowed_wait)}, {FACTOR:g}x what the fixed maximum pool reaches"
        f" or the target allows; at most {FACTOR:g}x the oracle's worker-seconds; no task given up"
    )
    yield from failures(comparison.figures, comparison.tasks)


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yields the lines of a table: the first and the last column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *middle, last = (
            cell.rjust(width) if 0 < place < len(row) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join((first, *middle, last)).rstrip()


def wait_columns(figures: Figures) -> tuple[str, ...]:
    """Returns the cells about waits: the mean, three percentiles and the longest."""
    return tuple(map(_wait, (figures.mean, figures.p50, figures.p95, figures.p99, figures.longest)))


def _row(comparison: Comparison, figures: Figures) -> tuple[str, ...]:
    return (
        RULES[figures.rule].title,
        *wait_columns(figures),
        f"{figures.late:.1%}",
        str(figures.peak_workers),
        f"{figures.worker_seconds:,.0f}",
        f"{comparison.cost(figures):.2f}x",
        verdict(comparison, figures),
    )


def _wait(seconds: float) -> str:
    return "0" if seconds < 5e-7 else humanize.duration(seconds)


def verdict(comparison: Comparison, figures: Figures) -> str:
    """Returns what is good or bad about a rule, in a word or two."""
    faults = []
    if figures.failed:
        faults.append("gave up tasks")
    elif not comparison.waits_well(figures):
        faults.append("slow")
    elif comparison.mostly_late(figures):
        faults.append("late")
    if not comparison.costs_well(figures):
        faults.append("costly")
    return " and ".join(faults) or "good"


def failures(compared: Sequence[Figures], tasks: int) -> Iterator[str]:
    """Yields lines about what went wrong under tasker's own rule, if anything did."""
    own = next(figures for figures in compared if figures.rule == OWN)
    if own.creation_failures:
        yield f"{RULES[OWN].title}: {own.creation_failures:,} of {own.created:,} creations failed"
    if own.failed:
        yield f"{RULES[OWN].title}: {own.failed:,} of {tasks:,} tasks were given up"


def as_data(comparison: Comparison) -> dict[str, Any]:
    """Returns every figure, for --json."""
    load = comparison.workload
    return {
        "workload": {
            "name": load.name,
            "words": load.words,
            "duration_s": load.duration,
            "tasks": comparison.tasks,
            "work_s": comparison.work,
            "creation": dataclasses.asdict(load.creation),
        },
        "pool": dataclasses.asdict(comparison.pool),
        "seed": comparison.seed,
        "oracle_worker_seconds": comparison.bound.worker_seconds,
        "allowed_wait_s": comparison.allowed_wait,
        "rules": {figures.rule: _figures(comparison, figures) for figures in comparison.figures},
    }


def _figures(comparison: Comparison, figures: Figures) -> dict[str, Any]:
    return {
        **figures_data(figures),
        "finished_s": figures.finished,
        "oracle_x": comparison.cost(figures),
        "verdict": verdict(comparison, figures),
    }


def figures_data(figures: Figures) -> dict[str, Any]:
    """Returns those that do not depend on what a rule is compared with."""
    waits = ("mean", "p50", "p90", "p95", "p99", "p999", "longest")
    plain = ("served", "failed", "late", "worker_seconds", "created", "creation_failures", "peak_workers")
    return {
        **{f"{name}_wait_s": getattr(figures, name) for name in waits},
        **{name: getattr(figures, name) for name in plain},
    }
