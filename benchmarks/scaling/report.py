"""SCALING.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.scaling.agreement import CLOSE, Agreement
from benchmarks.scaling.limits import Limits
from benchmarks.scaling.workloads import SEED, Case
from tasker.simulation.comparison import FACTOR, Comparison
from tasker.simulation.figures import Figures
from tasker.simulation.rules import OWN, RULES
from tasker.simulation.words import seconds

_FIELDS = (("mean", "mean wait"), ("p95", "p95 wait"), ("worker_seconds", "worker-seconds"))

HOW_TO_READ = f"""\
## How to read this

- All rules run the same tasks on the same control plane: creation, backoff and retiring are those of a real manager.
  They differ only in how the number of workers is decided. The workers of the base are ready when the load begins.
- **p99** is the wait from arrival to start that 99% of the tasks do not exceed. **oracle x** is the worker-seconds
  (from the moment at which a worker begins to make its resource until the resource is gone) as a multiple of the
  oracle's.
- **The oracle** knows the future. It is a lower bound on the worker-seconds of every way to start each task within the
  target or, if not even the fixed maximum pool does so, no later than in that pool (`src/tasker/simulation/oracle.py`
  explains how it is computed, and why it is a bound). It need not be attainable.
- **The aim** for tasker's own policy: a p99 within {FACTOR:g}x of the fixed maximum pool's, at no more than {FACTOR:g}x
  the oracle's worker-seconds. If hardly a task waits in the fixed maximum pool, {FACTOR:g} times nothing is nothing,
  and no pool that ever shrinks gets there; so a p99 within {FACTOR:g}x of the target wait is *good*, too. The column
  *literally* shows whether the aim is met without this allowance.
- A rule can cost less than the oracle, a factor below 1, only if it makes tasks wait longer than the oracle's condition
  allows.
"""


MEASURED = "## The simulation and reality\n"


def parts(page: str) -> tuple[str, str]:
    """Returns the simulated and the measured part of a page."""
    simulated, heading, measured = page.partition(MEASURED)
    return simulated, heading + measured


def simulated(
    cases: Sequence[Case], comparisons: Sequence[Comparison], limits: Sequence[Limits], more: str = ""
) -> str:
    """Returns the part of the page that is simulated; ``more`` goes to its end."""
    pool = comparisons[0].pool
    pieces = [
        "# Scaling rules, compared\n",
        (
            "Written by `make scaling`; do not edit. The figures are simulated (`tasker simulate`), so they are the"
            f" same on every machine; only the last table is measured. {pool.worker_count} to {pool.max_worker_count}"
            f" workers, a decision every {pool.burst_interval:g} s, target wait {pool.target_wait:g} s, and a resource"
            f" that takes 0.5 s to make where nothing else is said; seed {SEED}.\n"
        ),
        _own(comparisons),
        _limits(cases, comparisons, limits),
        "![Workers over time](plots/scaling-workers.svg)\n",
        "![Wait against cost](plots/scaling-trade.svg)\n",
        (
            f"In the second picture lower left is better: the shaded part costs at most {FACTOR:g}x the oracle's"
            " worker-seconds, the dashed line is the p99 that is good enough. Waits below 1 ms are drawn at 1 ms.\n"
        ),
        HOW_TO_READ,
        "## The rules\n",
        "\n".join(f"- **{rule.title}**: {rule.words}." for rule in RULES.values()) + "\n",
        *(_table(comparison) for comparison in comparisons),
        more,
    ]
    return "\n".join(part for part in pieces if part) + "\n"


def table_rows(rows: Iterable[Sequence[str]]) -> str:
    """Returns rows of cells as a table of Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _of(comparison: Comparison, rule: str) -> Figures:
    return next(figures for figures in comparison.figures if figures.rule == rule)


def _met(good: bool) -> str:
    return "met" if good else "**missed**"


def literally(comparison: Comparison, figures: Figures) -> bool:
    """Returns whether the p99 is within the factor of the fixed maximum pool's, without any allowance."""
    return figures.p99 <= FACTOR * comparison.fixed_maximum.p99


def _own(comparisons: Sequence[Comparison]) -> str:
    head = ["workload", "p99", "fixed maximum's p99", "literally", "p99 good to", "", "oracle x", "", "aim"]
    rows = []
    for comparison in comparisons:
        own = _of(comparison, OWN)
        waits, costs = comparison.waits_well(own), comparison.costs_well(own)
        rows.append(
            [
                comparison.workload.name,
                seconds(own.p99),
                seconds(comparison.fixed_maximum.p99),
                "yes" if literally(comparison, own) else "no",
                seconds(comparison.allowed_wait),
                _met(waits),
                f"{comparison.cost(own):.2f}",
                _met(costs),
                _met(waits and costs),
            ]
        )
    met = sum(row[-1] == "met" for row in rows)
    title = f"## tasker's policy: the aim is met on {met} of {len(rows)} workloads\n\n"
    return title + table_rows([head, ["---", *["---:"] * 2, "---", "---:", "---", "---:", "---", "---"], *rows])


def _limits(cases: Sequence[Case], comparisons: Sequence[Comparison], limits: Sequence[Limits]) -> str:
    head = [
        "workload",
        "p99 good to",
        "the eager rule's p99",
        "its oracle x",
        "smallest good fixed pool",
        "its oracle x",
    ]
    rows, lines = [], []
    for case, comparison, limit in zip(cases, comparisons, limits, strict=True):
        own = _of(comparison, OWN)
        if comparison.waits_well(own) and comparison.costs_well(own):
            continue
        lines.append(f"- **{case.workload.name}**: {case.limit or 'no reason is known; the policy is at fault.'}")
        rows.append(
            [
                case.workload.name,
                seconds(comparison.allowed_wait),
                seconds(limit.eager.p99),
                f"{comparison.cost(limit.eager):.2f}",
                "none" if limit.fixed is None else str(limit.fixed),
                "" if limit.fixed is None else f"{limit.fixed_cost:.2f}",
            ]
        )
    if not rows:
        return ""
    words = (
        "Where the aim is missed, and what is possible. *The eager rule* starts all allowed workers at the first tick"
        " at which anything waits, whatever that costs: no rule that begins at the base grows faster. *The smallest"
        " good fixed pool* is the least number of workers with which the p99 is good if they exist all the time.\n"
    )
    return "\n".join([words, table_rows([head, ["---", *["---:"] * 5], *rows]), "\n".join(lines) + "\n"])


def _table(comparison: Comparison) -> str:
    load = comparison.workload
    head = ["rule", "mean", "p50", "p95", "p99", "max", "workers", "made", "worker-seconds", "oracle x"]
    rows = [
        [
            f"**{RULES[one.rule].title}**" if one.rule == OWN else RULES[one.rule].title,
            *map(seconds, (one.mean, one.p50, one.p95, one.p99, one.longest)),
            str(one.peak_workers),
            f"{one.created:,}",
            f"{one.worker_seconds:,.0f}",
            f"{comparison.cost(one):.2f}",
        ]
        for one in comparison.figures
    ]
    words = (
        f"{load.words[0].upper()}{load.words[1:]}. {comparison.tasks:,} tasks in {load.duration:,.0f} s; the oracle:"
        f" {comparison.bound.worker_seconds:,.0f} worker-seconds.\n"
    )
    return f"## {load.name[0].upper()}{load.name[1:]}\n\n{words}\n" + table_rows([head, ["---", *["---:"] * 9], *rows])


def measured(agreements: Sequence[Agreement], machine: dict[str, str]) -> str:
    """Returns the part of the page that is measured."""
    rounds = len(agreements[0].pairs)
    head = ["workload", *(cell for _, name in _FIELDS for cell in (f"{name}, real", "simulated", "off (one round)"))]
    rows = []
    for one in agreements:
        row = [f"{one.workload.name}: {one.workload.words}"]
        for field, _ in _FIELDS:
            show = (lambda value: f"{value:,.1f}") if field == "worker_seconds" else seconds
            off = f"{one.off(field):+.1%}"
            furthest = f"({one.furthest(field):+.0%})"
            row += [show(one.real(field)), show(one.simulated(field))]
            row.append(f"{off if one.close(field) else f'**{off}**'} {furthest}")
        rows.append(row)
    close = sum(one.close(field) for one in agreements for field, _ in _FIELDS)
    return "\n".join(
        [
            MEASURED,
            (
                f"A real manager, with threads whose tasks sleep, on a real clock, under the same tasks: {rounds}"
                " rounds of half a minute for each workload, other tasks in each; a figure is the mean of the rounds."
                f" Within {CLOSE:.0%}: {close} of {len(agreements) * len(_FIELDS)}. In brackets, the round in which"
                " they differ most: half a minute is decided by a few moments, and by where in the load the ticks"
                " fall. The simulation leaves out what the library and the machine themselves cost.\n"
            ),
            table_rows([head, ["---", *["---:"] * 9], *rows]),
            table_rows([["", ""], ["---", "---"], *([name, value] for name, value in machine.items())]),
        ]
    )
