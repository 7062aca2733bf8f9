"""The report of a simulation: one self-contained HTML file, for screen and print."""

from __future__ import annotations

import html
from collections.abc import Iterator

from . import plots
from .comparison import FACTOR, Comparison
from .figures import Figures
from .page import (
    HEAD,
    TAIL,
    decisions,
    facts,
    judged,
    legend,
    pictures,
    pool_facts,
    row,
    seconds,
    table,
    words_of_rules,
)
from .rules import OWN

_TITLES = ("mean", "p50", "p95", "p99", "p99.9", "max", "late", "workers", "made", "worker-seconds", "oracle x")


def text(comparison: Comparison) -> str:
    """Returns the page. Raises ``MissingExtra`` without matplotlib."""
    return "\n".join([HEAD, *_head(comparison), *_table(comparison), *_plots(comparison), *_notes(comparison), TAIL])


def _head(comparison: Comparison) -> Iterator[str]:
    load = comparison.workload
    own = next(figures for figures in comparison.figures if figures.rule == OWN)
    yield f"<h1>Simulation: {html.escape(load.name)}</h1>"
    yield f"<p>{html.escape(load.words)}. {comparison.tasks:,} tasks, {comparison.work:,.0f} seconds of work.</p>"
    yield from facts([*pool_facts(comparison.pool, load.creation), ("seed", str(comparison.seed))])
    waits, late = comparison.waits_well(own), comparison.mostly_late(own)
    costs = comparison.costs_well(own)
    yield f'<p class="verdict {"good" if waits and costs and not late else "bad"}"><strong>tasker</strong>: 99% of the tasks start'
    yield f"within {seconds(own.p99)} ({_allowed(waits)} {seconds(comparison.allowed_wait)}), at"
    yield f"{comparison.cost(own):.2f} times the oracle's worker-seconds ({_allowed(costs)} {FACTOR:g})."
    if late:
        yield f"But {own.late:.0%} of them are late: they waited longer than the target."
    yield "</p>"


def _allowed(well: bool) -> str:
    return "good: at most" if well else "more than"


def _table(comparison: Comparison) -> Iterator[str]:
    yield from table(_TITLES, [row(figures.rule, _cells(comparison, figures)) for figures in comparison.figures])
    yield '<p class="small">Waits: from arrival to start. <em>late</em>: waited longer than the target.'
    yield "<em>workers</em>: the most at one time. <em>made</em>: creations begun, failing ones included.</p>"


def _cells(comparison: Comparison, figures: Figures) -> Iterator[str]:
    yield from (f"<td>{seconds(wait)}</td>" for wait in (figures.mean, figures.p50, figures.p95))
    yield judged(seconds(figures.p99), comparison.waits_well(figures))
    yield from (f"<td>{seconds(wait)}</td>" for wait in (figures.p999, figures.longest))
    yield f"<td>{figures.late:.1%}{f', {figures.failed:,} given up' if figures.failed else ''}</td>"
    yield f"<td>{figures.peak_workers:,}</td><td>{figures.created:,}</td><td>{figures.worker_seconds:,.0f}</td>"
    yield judged(f"{comparison.cost(figures):.2f}", comparison.costs_well(figures))


def _plots(comparison: Comparison) -> Iterator[str]:
    yield from legend(comparison.figures, '<span><span class="swatch oracle"></span>oracle</span>')
    yield from pictures(plots.draw(comparison))


def _notes(comparison: Comparison) -> Iterator[str]:
    yield "<h2>The rules</h2><dl>"
    yield from words_of_rules(comparison.figures)
    yield "<dt>oracle</dt><dd>Knows the future. A lower bound on the worker-seconds of every way to start each task"
    yield f"within {seconds(comparison.pool.target_wait)} or, if not even the fixed maximum pool does that, no later than"
    yield "in that pool: the base exists all the time, each further worker also costs the seconds of making and ending"
    yield "its resource, and work is taken to be divisible at will. It need not be attainable: a rule that costs 1.1"
    yield f"times as much is at most 10% above the optimum. {comparison.bound.creations:,.0f} of its"
    yield f"{comparison.bound.worker_seconds:,.0f} worker-seconds pay for creations.</dd></dl>"
    yield "<p>Worker-seconds count each worker from the moment at which it begins to make its resource until the"
    yield "resource is ended. The workers of the base are ready when the load begins. After the load, the tasks that"
    yield "wait are run, and the pool stops.</p>"
    yield from decisions(comparison.figures)
