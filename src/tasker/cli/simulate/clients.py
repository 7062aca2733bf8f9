"""Clients that wait for their answers: the load from the options of `tasker simulate`, and its table or JSON."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import Any

from tasker.simulation.comparison import FACTOR
from tasker.simulation.feedback import ClosedLoop, Contention
from tasker.simulation.figures import Figures
from tasker.simulation.loops import ENOUGH, LoopComparison
from tasker.simulation.rules import RULES

from .load import DURATION, creation_of, services_of
from .text import failures, figures_data, table, wait_columns

_TITLES = (
    "",
    "tasks/s",
    "mean wait",
    "p50",
    "p95",
    "p99",
    "max",
    "workers",
    "made",
    "worker-seconds",
    "cost x",
    "verdict",
)


def loop_of(options: argparse.Namespace) -> ClosedLoop:
    """Returns the load that the options describe."""
    services, words = services_of(options, None, follows=False)
    best, loss = options.contention or (None, 0.0)
    who = f"{options.clients} clients that think for {options.think_time:g} s on average" if options.think_time else ""
    who = who or f"{options.clients} clients that send the next task with the answer to the last"
    if best is not None:
        words += f" if at most {best} run; each further {best} cost {loss:.0%} of the throughput"
    loop = ClosedLoop(
        name="clients",
        words=f"{who}; {words}",
        clients=options.clients,
        services=services,
        duration=options.duration or DURATION,
        think=options.think_time,
        creation=creation_of(options),
    )
    return loop if best is None else dataclasses.replace(loop, contention=Contention(best, loss))


def lines(comparison: LoopComparison) -> Iterator[str]:
    """Yields the lines of the table and of its explanation."""
    pool, load = comparison.pool, comparison.load
    yield f"{load.name}: {load.words}"
    yield (
        f"for {load.duration:g} s; {pool.worker_count} to {pool.max_worker_count} workers, a resource takes"
        f" {load.creation.time:g} s to make; seed {comparison.seed}"
    )
    yield ""
    yield from table([_TITLES, *(_row(comparison, figures) for figures in comparison.figures)])
    yield ""
    yield (
        f"good: at least {ENOUGH:.0%} of the tasks that the best of these rules gets done; at most {FACTOR:g}x the"
        " worker-seconds of the cheapest one that does; no task given up"
    )
    yield from failures(comparison.figures, comparison.figures[0].served + comparison.figures[0].failed)


def _row(comparison: LoopComparison, figures: Figures) -> tuple[str, ...]:
    return (
        RULES[figures.rule].title,
        f"{comparison.rate(figures):,.1f}",
        *wait_columns(figures),
        str(figures.peak_workers),
        str(figures.created),
        f"{figures.worker_seconds:,.0f}",
        f"{comparison.cost(figures):.2f}x",
        verdict(comparison, figures),
    )


def verdict(comparison: LoopComparison, figures: Figures) -> str:
    """Returns what is good or bad about a rule, in a word or two."""
    faults = []
    if figures.failed:
        faults.append("gave up tasks")
    elif not comparison.does_enough(figures):
        faults.append("slow")
    if not comparison.costs_well(figures):
        faults.append("costly")
    return " and ".join(faults) or "good"


def as_data(comparison: LoopComparison) -> dict[str, Any]:
    """Returns every figure, for --json."""
    load = comparison.load
    return {
        "clients": {
            "clients": load.clients,
            "words": load.words,
            "duration_s": load.duration,
            "think_s": load.think,
            "contention": dataclasses.asdict(load.contention),
            "creation": dataclasses.asdict(load.creation),
        },
        "pool": dataclasses.asdict(comparison.pool),
        "seed": comparison.seed,
        "rules": {figures.rule: _figures(comparison, figures) for figures in comparison.figures},
    }


def _figures(comparison: LoopComparison, figures: Figures) -> dict[str, Any]:
    return {
        **figures_data(figures),
        "tasks_per_second": comparison.rate(figures),
        "cost_x": comparison.cost(figures),
        "verdict": verdict(comparison, figures),
    }
