"""What the page of a simulation shows, as data: that of a load whose arrivals do not depend on the pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tasker.simulation.comparison import FACTOR, Comparison
from tasker.simulation.figures import Figures
from tasker.simulation.rules import OWN, RULES
from tasker.simulation.words import pool_facts, seconds

from . import charts
from .text import verdict

_SHOWN_DECISIONS = 100

Cell = tuple[str, str]
"""A text, and its tone: good, bad or none."""


def contents(comparison: Comparison) -> dict[str, Any]:
    """Returns the data of the page."""
    load, own = comparison.workload, own_of(comparison.figures)
    titles = ("mean", "p50", "p95", "p99", "p99.9", "max", "late", "workers", "made", "worker-s", "oracle x")
    return {
        "name": load.name,
        "words": f"{load.words}. {comparison.tasks:,} tasks, {comparison.work:,.0f} seconds of work.",
        "duration": load.duration,
        "facts": [*pool_facts(comparison.pool, load.creation), ("seed", str(comparison.seed))],
        "status": status(verdict(comparison, own)),
        "verdict": _sentence(comparison, own),
        "tiles": _tiles(comparison, own),
        "rules": rules(comparison.figures),
        "table": {
            "titles": titles,
            "rows": [(one.rule, list(_cells(comparison, one))) for one in comparison.figures],
            "words": "Waits: from arrival to start. late: waited longer than the target. workers: the most at one time."
            " made: creations begun, failing ones included. worker-s: worker-seconds.",
        },
        "charts": list(_charts(comparison)),
        "cost": _cost(comparison),
        "notes": list(_notes(comparison)),
        **decisions(own),
    }


def own_of(compared: Iterable[Figures]) -> Figures:
    """Returns the figures of tasker's own rule."""
    return next(figures for figures in compared if figures.rule == OWN)


def status(words: str) -> Cell:
    """Returns a verdict with its tone."""
    return f"tasker: {words}", "good" if words == "good" else "bad"


def rules(compared: Iterable[Figures]) -> list[dict[str, str]]:
    """Returns name, title and words of each rule."""
    return [{"name": one.rule, "title": RULES[one.rule].title, "words": RULES[one.rule].words} for one in compared]


def waits(figures: Figures) -> list[Cell]:
    """Returns the cells of the mean wait, four percentiles and the longest, without a tone."""
    values = (figures.mean, figures.p50, figures.p95, figures.p99, figures.p999, figures.longest)
    return [(seconds(value), "") for value in values]


def judged(value: str, good: bool) -> Cell:
    """Returns a cell whose value is good or bad."""
    return f"{value} {'✓' if good else '✗'}", "good" if good else "bad"


def pool_cells(figures: Figures) -> list[Cell]:
    """Returns the cells of workers, creations and worker-seconds."""
    return [(f"{figures.peak_workers:,}", ""), (f"{figures.created:,}", ""), (f"{figures.worker_seconds:,.0f}", "")]


def decisions(own: Figures) -> dict[str, Any]:
    """Returns the first lines of the log of tasker's own rule, and whether there are more."""
    return {"decisions": own.log[:_SHOWN_DECISIONS], "more_decisions": len(own.log) > _SHOWN_DECISIONS}


def _sentence(comparison: Comparison, own: Figures) -> Cell:
    in_time, cheap, late = comparison.waits_well(own), comparison.costs_well(own), comparison.mostly_late(own)
    words = (
        f"tasker: 99% of the tasks start within {seconds(own.p99)} ({_allowed(in_time)} {seconds(comparison.allowed_wait)}),"
        f" at {comparison.cost(own):.2f} times the oracle's worker-seconds ({_allowed(cheap)} {FACTOR:g})."
    )
    if late:
        words += f" But {own.late:.0%} of them are late: they waited longer than the target."
    return words, "good" if in_time and cheap and not late else "bad"


def _allowed(well: bool) -> str:
    return "good: at most" if well else "more than"


def _tiles(comparison: Comparison, own: Figures) -> Iterable[tuple[str, str, str, str]]:
    late = "bad" if comparison.mostly_late(own) else ""
    given_up = f"{own.failed:,} given up" if own.failed else f"{comparison.work:,.0f} s of work"
    return [
        ("Tasks", f"{comparison.tasks:,}", given_up, "bad" if own.failed else ""),
        ("Wait, p99", seconds(own.p99), f"at most {seconds(own.longest)}", "" if comparison.waits_well(own) else "bad"),
        ("Late", f"{own.late:.1%}", f"waited over {seconds(comparison.pool.target_wait)}", late),
        ("Workers", f"{own.peak_workers:,}", "the most at one time", ""),
        ("Worker-seconds", f"{own.worker_seconds:,.0f}", f"{own.created:,} resources made", ""),
        _cost_tile(f"{comparison.cost(own):.2f}x", "of the oracle's", comparison.costs_well(own)),
    ]


def _cost_tile(value: str, note: str, good: bool) -> tuple[str, str, str, str]:
    return "Cost", value, note, "" if good else "bad"


def _cells(comparison: Comparison, figures: Figures) -> Iterator[Cell]:
    cells = waits(figures)
    cells[3] = judged(cells[3][0], comparison.waits_well(figures))
    yield from cells
    yield f"{figures.late:.1%}{f', {figures.failed:,} given up' if figures.failed else ''}", ""
    yield from pool_cells(figures)
    yield judged(f"{comparison.cost(figures):.2f}", comparison.costs_well(figures))


def _charts(comparison: Comparison) -> Iterator[charts.Chart]:
    compared, duration, target = comparison.figures, comparison.workload.duration, comparison.pool.target_wait
    yield charts.workers(compared, duration, comparison.bound.workers)
    yield charts.queue(compared, duration)
    yield charts.waits_over_time(compared, target)
    yield charts.percentiles(compared, target)
    yield charts.trade(
        compared,
        (FACTOR, 0.0, comparison.allowed_wait),
        title="Wait against cost",
        hint="p99",
        note="Worker-seconds as a multiple of the oracle's. Lower left is better; the filled corner is good enough.",
        times="times the oracle's worker-seconds",
        unit="seconds",
        log=0.01,
        target=target,
        x=comparison.cost,
        y=lambda figures: figures.p99,
    )


def _cost(comparison: Comparison) -> dict[str, Any]:
    return {
        "bars": [(one.rule, one.worker_seconds, f"{comparison.cost(one):.2f}x") for one in comparison.figures],
        "bound": comparison.bound.worker_seconds,
        "allowed": comparison.bound.worker_seconds * FACTOR,
        "note": f"The line is the oracle, the dashed one {FACTOR:g} times that.",
    }


def _notes(comparison: Comparison) -> Iterator[Cell]:
    bound = comparison.bound
    yield (
        "oracle",
        (
            "Knows the future. A lower bound on the worker-seconds of every way to start each task within"
            f" {seconds(comparison.pool.target_wait)} or, if not even the fixed maximum pool does that, no later than in that pool: the"
            " base exists all the time, each further worker also costs the seconds of making and ending its resource, and work is"
            " taken to be divisible at will. It need not be attainable: a rule that costs 1.1 times as much is at most 10% above the"
            f" optimum. {bound.creations:,.0f} of its {bound.worker_seconds:,.0f} worker-seconds pay for creations."
        ),
    )
    yield (
        "worker-seconds",
        (
            "Count each worker from the moment at which it begins to make its resource until the resource is ended. The workers of"
            " the base are ready when the load begins. After the load, the tasks that wait are run, and the pool stops."
        ),
    )
