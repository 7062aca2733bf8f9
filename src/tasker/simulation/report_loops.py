"""The report of a simulation with clients that wait for their answers, in the look of the other one."""

from __future__ import annotations

import html
from collections.abc import Iterator

from . import plots_loops
from .comparison import FACTOR
from .figures import Figures
from .loops import ENOUGH, LoopComparison
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

_TITLES = ("tasks/s", "mean", "p50", "p95", "p99", "p99.9", "max", "workers", "made", "worker-seconds", "cost x")


def text(comparison: LoopComparison) -> str:
    """Returns the page. Raises ``MissingExtra`` without matplotlib."""
    return "\n".join([HEAD, *_head(comparison), *_table(comparison), *_plots(comparison), *_notes(comparison), TAIL])


def _head(comparison: LoopComparison) -> Iterator[str]:
    load = comparison.load
    own = next(figures for figures in comparison.figures if figures.rule == OWN)
    yield f"<h1>Simulation: {html.escape(load.name)}</h1>"
    yield f"<p>{html.escape(load.words)}. {own.served:,} tasks under tasker, in {load.duration:g} seconds.</p>"
    load_facts = [("clients", f"{load.clients:,}"), ("thinking", seconds(load.think) if load.think else "none")]
    yield from facts([*load_facts, *pool_facts(comparison.pool, load.creation), ("seed", str(comparison.seed))])
    enough, costs = comparison.does_enough(own), comparison.costs_well(own)
    good = enough and costs and not own.failed
    best = max(comparison.figures, key=lambda figures: figures.served)
    share = own.served / best.served if best.served else 1.0
    yield f'<p class="verdict {"good" if good else "bad"}"><strong>tasker</strong>: {comparison.rate(own):,.1f} tasks a second,'
    yield f"{share:.0%} of what the best of these rules does ({'good: at least' if enough else 'less than'} {ENOUGH:.0%}), at"
    yield f"{comparison.cost(own):.2f} times the worker-seconds of the cheapest that does enough"
    yield f"({'good: at most' if costs else 'more than'} {FACTOR:g})."
    if own.failed:
        yield f"{own.failed:,} tasks were given up."
    yield "</p>"


def _table(comparison: LoopComparison) -> Iterator[str]:
    yield from table(_TITLES, [row(figures.rule, _cells(comparison, figures)) for figures in comparison.figures])
    yield '<p class="small"><em>tasks/s</em>: over the whole time. Waits: from the moment at which a client sends a task to its start.'
    yield "<em>workers</em>: the most at one time. <em>made</em>: creations begun, failing ones included.</p>"


def _cells(comparison: LoopComparison, figures: Figures) -> Iterator[str]:
    given_up = f", {figures.failed:,} given up" if figures.failed else ""
    yield judged(f"{comparison.rate(figures):,.1f}{given_up}", comparison.does_enough(figures) and not figures.failed)
    waits = (figures.mean, figures.p50, figures.p95, figures.p99, figures.p999, figures.longest)
    yield from (f"<td>{seconds(wait)}</td>" for wait in waits)
    yield f"<td>{figures.peak_workers:,}</td><td>{figures.created:,}</td><td>{figures.worker_seconds:,.0f}</td>"
    yield judged(f"{comparison.cost(figures):.2f}", comparison.costs_well(figures))


def _plots(comparison: LoopComparison) -> Iterator[str]:
    yield from legend(comparison.figures)
    yield from pictures(plots_loops.draw(comparison))


def _notes(comparison: LoopComparison) -> Iterator[str]:
    yield "<h2>The rules</h2><dl>"
    yield from words_of_rules(comparison.figures)
    yield "</dl><p>There is no oracle: when a task arrives depends on when the last answer came, and so on the rule. A rule is"
    yield f"good if it gets at least {ENOUGH:.0%} of the tasks done that the best of these rules does, for at most {FACTOR:g}"
    yield "times the worker-seconds of the cheapest rule that does.</p>"
    yield "<p>Worker-seconds count each worker from the moment at which it begins to make its resource until the"
    yield "resource is ended. The workers of the base are ready when the load begins. At the end the clients send no"
    yield "more, the tasks that wait are run, and the pool stops.</p>"
    yield from decisions(comparison.figures)
