"""What the page of a simulation shows, as data: that of clients that wait for their answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tasker.simulation.comparison import FACTOR
from tasker.simulation.figures import Figures
from tasker.simulation.loops import ENOUGH, LoopComparison
from tasker.simulation.words import pool_facts, seconds

from . import charts
from .clients import verdict
from .contents import Cell, decisions, judged, own_of, pool_cells, rules, status, waits


def contents(comparison: LoopComparison) -> dict[str, Any]:
    """Returns the data of the page."""
    load, own = comparison.load, own_of(comparison.figures)
    titles = ("tasks/s", "mean", "p50", "p95", "p99", "p99.9", "max", "workers", "made", "worker-s", "cost x")
    loop_facts = [("clients", f"{load.clients:,}"), ("thinking", seconds(load.think) if load.think else "none")]
    return {
        "name": load.name,
        "words": f"{load.words}. {own.served:,} tasks under tasker, in {load.duration:g} seconds.",
        "duration": load.duration,
        "facts": [*loop_facts, *pool_facts(comparison.pool, load.creation), ("seed", str(comparison.seed))],
        "status": status(verdict(comparison, own)),
        "verdict": _sentence(comparison, own),
        "tiles": _tiles(comparison, own),
        "rules": rules(comparison.figures),
        "table": {
            "titles": titles,
            "rows": [(one.rule, list(_cells(comparison, one))) for one in comparison.figures],
            "words": "tasks/s: over the whole time. Waits: from the moment at which a client sends a task to its start. workers:"
            " the most at one time. made: creations begun, failing ones included. worker-s: worker-seconds.",
        },
        "charts": list(_charts(comparison)),
        "cost": None,
        "notes": list(_notes()),
        **decisions(own),
    }


def _sentence(comparison: LoopComparison, own: Figures) -> Cell:
    enough, cheap = comparison.does_enough(own), comparison.costs_well(own)
    words = (
        f"tasker: {comparison.rate(own):,.1f} tasks a second, {_share(comparison, own):.0%} of what the best of these rules does"
        f" ({'good: at least' if enough else 'less than'} {ENOUGH:.0%}), at {comparison.cost(own):.2f} times the worker-seconds of"
        f" the cheapest that does enough ({'good: at most' if cheap else 'more than'} {FACTOR:g})."
    )
    if own.failed:
        words += f" {own.failed:,} tasks were given up."
    return words, "good" if enough and cheap and not own.failed else "bad"


def _share(comparison: LoopComparison, own: Figures) -> float:
    best = max(figures.served for figures in comparison.figures)
    return own.served / best if best else 1.0


def _tiles(comparison: LoopComparison, own: Figures) -> Iterable[tuple[str, str, str, str]]:
    enough = comparison.does_enough(own)
    given_up = f"{own.failed:,} given up" if own.failed else f"{comparison.load.clients:,} clients"
    return [
        ("Tasks", f"{own.served:,}", given_up, "bad" if own.failed else ""),
        (
            "Throughput",
            f"{comparison.rate(own):,.1f}/s",
            f"{_share(comparison, own):.0%} of the best",
            "" if enough else "bad",
        ),
        ("Wait, p99", seconds(own.p99), f"at most {seconds(own.longest)}", ""),
        ("Workers", f"{own.peak_workers:,}", "the most at one time", ""),
        ("Worker-seconds", f"{own.worker_seconds:,.0f}", f"{own.created:,} resources made", ""),
        (
            "Cost",
            f"{comparison.cost(own):.2f}x",
            "of the cheapest's",
            "" if comparison.costs_well(own) else "bad",
        ),
    ]


def _cells(comparison: LoopComparison, figures: Figures) -> Iterator[Cell]:
    given_up = f", {figures.failed:,} given up" if figures.failed else ""
    yield judged(f"{comparison.rate(figures):,.1f}{given_up}", comparison.does_enough(figures) and not figures.failed)
    yield from waits(figures)
    yield from pool_cells(figures)
    yield judged(f"{comparison.cost(figures):.2f}", comparison.costs_well(figures))


def _charts(comparison: LoopComparison) -> Iterator[charts.Chart]:
    compared, duration, target = comparison.figures, comparison.load.duration, comparison.pool.target_wait
    best = max(map(comparison.rate, compared))
    yield charts.throughput(compared, comparison.rate)
    yield charts.workers(compared, duration)
    yield charts.queue(compared, duration)
    yield charts.waits_over_time(compared, target)
    yield charts.percentiles(compared, target)
    yield charts.trade(
        compared,
        (FACTOR, ENOUGH * best, 1.15 * best),
        title="Throughput against cost",
        hint="",
        note="Worker-seconds as a multiple of the cheapest's that does enough. Upper left is better; the filled corner is good enough.",
        times="times the worker-seconds of the cheapest that does enough",
        unit="rate",
        x=comparison.cost,
        y=comparison.rate,
    )


def _notes() -> Iterator[Cell]:
    yield (
        "good enough",
        (
            "There is no oracle: when a task arrives depends on when the last answer came, and so on the rule. A rule is good if it"
            f" gets at least {ENOUGH:.0%} of the tasks done that the best of these rules does, for at most {FACTOR:g} times the"
            " worker-seconds of the cheapest rule that does."
        ),
    )
    yield (
        "worker-seconds",
        (
            "Count each worker from the moment at which it begins to make its resource until the resource is ended. The workers of"
            " the base are ready when the load begins. At the end the clients send no more, the tasks that wait are run, and the"
            " pool stops."
        ),
    )
